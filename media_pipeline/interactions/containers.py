"""The containers of audio and video: RIFF, MPEG audio, Ogg, ISO media (mp4) and EBML (webm), by their first bytes.

Each function takes (head, whole) and returns None for what is not its format. Sources: RFC 2361 and mmreg.h (WAVE),
ISO/IEC 11172-3 (MPEG frames), RFC 3533 and RFC 7845 (Ogg, Opus), ISO/IEC 14496-12 (boxes), RFC 8794 and 9559 (EBML).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """Format (None: not recognized) and, where it tells, the codec; `intact`: the container holds as far as seen."""

    format: str | None
    codec: str | None = None
    intact: bool = True


_WAVE_CODECS = {1: "pcm", 3: "float", 6: "alaw", 7: "mulaw", 0x31: "gsm", 0x55: "mp3"}
_WAVE_EXTENSIBLE = 0xFFFE
_KBPS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates of layer III by index: MPEG 1, and MPEG 2 and 2.5."""
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_OGG_CODECS = {b"\x01vorbis": "vorbis", b"OpusHead": "opus", b"\x7fFLAC": "flac", b"Speex   ": "speex"}
_BOXES_WITH_BOXES = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_DEEPEST_BOX = len(_BOXES_WITH_BOXES)
"""Each of them in the one before; 64 KB could hold 8,000 boxes in one another."""
_EBML, _SEGMENT, _DOC_TYPE = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x42\x82"
_MATROSKA_CODECS = (b"V_VP8", b"V_VP9", b"V_AV1", b"V_MPEG4/ISO/AVC", b"A_OPUS", b"A_VORBIS")


def wave(head: bytes, whole: bool) -> Content | None:
    """RIFF/WAVE; intact with a format chunk that names channels and a rate."""
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return None
    place = 12
    while place + 8 <= len(head):
        name, size = head[place : place + 4], int.from_bytes(head[place + 4 : place + 8], "little")
        if name == b"fmt " and size >= 16 and place + 24 <= len(head):
            tag, channels, rate = struct.unpack_from("<HHI", head, place + 8)
            if tag == _WAVE_EXTENSIBLE and len(head) >= place + 34:
                tag = int.from_bytes(head[place + 32 : place + 34], "little")
            return Content("wav", _WAVE_CODECS.get(tag), intact=channels > 0 and rate > 0)
        place += 8 + size + size % 2
    return Content("wav", intact=not whole and place > len(head))


def mpeg_audio(head: bytes, whole: bool) -> Content | None:
    """MP3 behind an ID3 tag or bare, and AAC in ADTS frames; bare ones need a second frame where the first ends."""
    if head[:3] == b"ID3" and len(head) >= 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        start = 10 + size
        while start < len(head) and head[start] == 0:  # padding
            start += 1
        return Content("mp3", "mp3", intact=not whole if start >= len(head) else _mp3_frame(head, start) is not None)
    length = _mp3_frame(head, 0)
    if length is not None and (length >= len(head) or _mp3_frame(head, length) is not None):
        return Content("mp3", "mp3")
    if len(head) >= 7 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if length > 7 and head[length : length + 2] in (b"", head[:2]):
            return Content("aac", "aac")
    return None


def _mp3_frame(head: bytes, start: int) -> int | None:
    """Where the frame of layer III that begins here ends; None when none begins."""
    if start + 4 > len(head) or head[start] != 0xFF or head[start + 1] & 0xE6 != 0xE2:
        return None
    version, rate_index, bits = (head[start + 1] >> 3) & 3, head[start + 2] >> 4, (head[start + 2] >> 2) & 3
    if version == 1 or rate_index in (0, 15) or bits == 3:
        return None
    factor = 144_000 if version == 3 else 72_000
    kbps = _KBPS[version == 3][rate_index]
    return start + factor * kbps // _RATES_HZ[version][bits] + (head[start + 2] >> 1 & 1)


def ogg(head: bytes, whole: bool) -> Content | None:
    """Ogg; intact when the first page is one and its packet names a codec."""
    if head[:4] != b"OggS":
        return None
    if len(head) < 28 or head[4] != 0 or head[5] & 2 == 0:
        return Content("ogg", intact=False)
    packet = head[27 + head[26] :]
    codec = next((name for magic, name in _OGG_CODECS.items() if packet.startswith(magic)), None)
    return Content("ogg", codec, intact=codec is not None)


def iso_media(head: bytes, whole: bool) -> Content | None:
    """mp4, m4a and mov; intact when box follows box, and a whole file has its `moov`."""
    if head[4:8] != b"ftyp" or len(head) < 12:
        return None
    brand = head[8:12]
    name = "mov" if brand == b"qt  " else "m4a" if brand in (b"M4A ", b"M4B ") else "mp4"
    kinds, codecs, sound = set(), [], True
    for kind, body, complete in _boxes(head, 0, len(head)):
        sound = complete or not whole
        if not all(32 <= byte < 127 for byte in kind):
            return Content(name, intact=False)
        kinds.add(kind)
        if kind == b"stsd" and len(body) >= 16:
            codecs.append(body[12:16].decode("latin-1").strip().lower())
    codec = next((each for each in codecs if each != "mp4a"), codecs[0] if codecs else None)
    return Content(name, codec, intact=sound and (b"moov" in kinds or not whole))


def _boxes(head: bytes, start: int, end: int, depth: int = 0) -> Iterator[tuple[bytes, bytes, bool]]:
    """Boxes and those inside them: type, content, and whether all of it is here."""
    while start + 8 <= end:
        size, kind, skip = int.from_bytes(head[start : start + 4]), head[start + 4 : start + 8], 8
        if size == 1:
            size, skip = int.from_bytes(head[start + 8 : start + 16]), 16
        elif size == 0:
            size = end - start
        if size < skip:
            yield b"\0\0\0\0", b"", False  # no box is shorter than its own head
            return
        inside = min(start + size, end)
        yield kind, head[start + skip : inside], start + size <= end
        if kind in _BOXES_WITH_BOXES and depth < _DEEPEST_BOX:
            yield from _boxes(head, start + skip, inside, depth + 1)
        start += size


def ebml(head: bytes, whole: bool) -> Content | None:
    """webm and Matroska; intact when the header names its kind and a segment follows."""
    if head[:4] != _EBML or len(head) < 6:
        return None
    size, width = _vint(head, 4)
    header = head[4 + width : 4 + width + size]
    place = header.find(_DOC_TYPE)
    doc_type = b"webm"
    if place >= 0:
        length, bytes_of_length = _vint(header, place + 2)
        doc_type = header[place + 2 + bytes_of_length :][:length]
    after = head[4 + width + size :][:4]
    codec = next((each.decode().lower() for each in _MATROSKA_CODECS if each in head), None)
    return Content("webm" if doc_type == b"webm" else "mkv", codec, intact=place >= 0 and after == _SEGMENT)


def _vint(data: bytes, place: int) -> tuple[int, int]:
    """A variable-size number of EBML and its width in bytes."""
    first = data[place] if place < len(data) else 0x81
    width = 9 - first.bit_length() if first else 8
    value = int.from_bytes(data[place : place + width]) & ((1 << 7 * width) - 1)
    return value, width


def archive(head: bytes, whole: bool) -> Content | None:
    """Zip, gzip and PDF, which media are sometimes wrapped in."""
    magic = {b"PK\x03\x04": "zip", b"\x1f\x8b\x08": "gzip", b"%PDF-": "pdf"}
    return next((Content(name) for start, name in magic.items() if head.startswith(start)), None)


SNIFFERS = (wave, ogg, iso_media, ebml, archive, mpeg_audio)
"""Those with the surest magic first: two bytes of a bare MPEG frame may be anything."""
