"""What bytes really are, by their beginning: the types a client may upload. Nothing here trusts a name or a header."""

from __future__ import annotations

AUDIO = ("audio/mpeg", "audio/wav", "audio/ogg")
IMAGES = ("image/jpeg", "image/png", "image/gif")
SUPPORTED = (*AUDIO, *IMAGES, "application/pdf")


def content_type_of(data: bytes) -> str:
    """Media type of the bytes; empty when it is none of the supported ones."""
    for magic, content_type in _MAGIC:
        if data.startswith(magic):
            return content_type
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "audio/wav"
    return "audio/mpeg" if _is_mp3_frame(data[:4]) else ""


_MAGIC = (
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


def _is_mp3_frame(head: bytes) -> bool:
    """Whether these four bytes are the header of an MPEG layer III frame (ISO 11172-3, 2.4.1.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, bitrate, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and bitrate not in (0, 15) and rate != 3
