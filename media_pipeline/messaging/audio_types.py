"""What kind of audio a voice message is, told by its bytes; names and declared types only have to agree.

Looks at the first 64 KB and the end of a file and decodes nothing: a second look, with duration, belongs to sending.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from media_pipeline.interactions.content import HEAD_BYTES, content_of

MEDIA_TYPES = {"mp3": "audio/mpeg", "wav": "audio/x-wav", "ogg": "audio/ogg"}
"""The type that libmagic, and so this project, calls each accepted format by."""
SYNONYMS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/ogg": "ogg",
    "application/ogg": "ogg",
}
UNDECLARED = ("", "application/octet-stream")
"""What senders say that do not know the type."""

_STREAMED_SIZES = (0, 0xFFFFFFFF)
"""Written into RIFF headers by encoders that cannot seek back."""
_MARKUP = re.compile(rb"<(?:!doctype|html|head|body|script|svg|iframe|\?php)\b", re.IGNORECASE)
_MARKUP_BYTES = 4096
_PDF_BYTES = 1024
"""PDF readers accept a header that begins so late."""
_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22


class NotAudio(Exception):
    """These bytes are not a voice message's; the sentence says why, `reason` is for tables and metrics."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def audio_format(size: int, read: Callable[[int, int], bytes], declared: str = "") -> str:
    """`mp3`, `wav` or `ogg` for a file of that size; `read(offset, length)` gives its bytes. Raises NotAudio."""
    if size == 0:
        raise NotAudio("empty", "The file is empty.")
    head = read(0, HEAD_BYTES)
    found = content_of(head, whole=size <= len(head))
    if found.format not in MEDIA_TYPES:
        what = f" ({found.format})" if found.format else ""
        raise NotAudio("not_audio", f"The file is neither MP3 nor WAV nor Ogg by its content{what}.")
    if not found.intact:
        raise NotAudio("broken", f"The file begins like {found.format} and is damaged, or holds no audio.")
    _refuse_polyglots(head, read(max(0, size - HEAD_BYTES), HEAD_BYTES))
    if found.format == "wav":
        _refuse_other_sizes(head, size)
    stated = declared.partition(";")[0].strip().lower()
    if stated not in UNDECLARED and SYNONYMS.get(stated) != found.format:
        raise NotAudio(
            "type_differs",
            f"The file is {MEDIA_TYPES[found.format]} by its content, and was declared to be something else.",
        )
    return found.format


def _refuse_polyglots(head: bytes, tail: bytes) -> None:
    """Files that are audio to one program and a document or an archive to another."""
    kind = None
    if b"%PDF-" in head[:_PDF_BYTES]:
        kind = "a PDF"
    elif _MARKUP.search(head[:_MARKUP_BYTES]):
        kind = "markup or a script"
    elif (place := tail.rfind(_ZIP_END)) >= 0 and len(tail) >= place + _ZIP_END_BYTES:
        comment = int.from_bytes(tail[place + 20 : place + 22], "little")
        if place + _ZIP_END_BYTES + comment == len(tail):
            kind = "a ZIP archive"
    if kind:
        raise NotAudio("polyglot", f"The file is audio and {kind} at the same time.")


def _refuse_other_sizes(head: bytes, size: int) -> None:
    stated = int.from_bytes(head[4:8], "little")
    if head[:4] != b"RIFF" or stated in _STREAMED_SIZES:
        return
    if size < stated + 8:
        raise NotAudio("torn", f"The file ends early: {size} of {stated + 8} bytes that its header states.")
    if size > stated + 8 + stated % 2:
        raise NotAudio("polyglot", "The file goes on behind the audio that its header states.")
