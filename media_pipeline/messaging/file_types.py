"""What a guest's file is by its bytes, and whether it is that and nothing besides: png, jpeg and pdf only.

A file passes when it has its type's structure from the first byte to the last, and no second format can be read out of
the same bytes (polyglots: PDF behind HTML, an archive behind a picture). Nothing is decoded or unpacked. This is no
virus scanner: what a PDF's own scripts or a picture's decoder would do is not looked at.

- PNG (ISO/IEC 15948): every chunk with its CRC, IHDR first, IDAT, IEND last and at the very end.
- JPEG (ITU T.81): segments from SOI to EOI with a frame and a scan; behind EOI nothing but zeros or, where the picture
  announces them (CIPA DC-007, as phones do), whole further pictures.
- PDF (ISO 32000): header in the first byte, startxref that leads to a table or an object, %%EOF and white space last.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import IO

READ_BYTES = 256 * 1024
FIRST_READ_BYTES = 4 * 1024
"""Of a JPEG's scan: a hostile one has a scan each four bytes, and each would cost a whole read."""
MOST_PARTS = 20_000
"""Segments and fill of a JPEG, chunks of a PNG; 10 MiB of real pictures have a few thousand."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OTHERS = (
    (b"GIF8", "image/gif"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b", "application/gzip"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x7fELF", "application/x-executable"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
)
"""Not accepted, and named so that people see what guests try to send."""
_MARKUP = re.compile(rb"<(?:!doctype\s|html[\s>]|script[\s>/]|iframe[\s>]|\?php\s)", re.IGNORECASE)
_MARKUP_INSIDE = re.compile(_MARKUP.pattern + rb"|<(?:svg[\s>]|img\s|body[\s>])", re.IGNORECASE)
_ARCHIVES = re.compile(rb"Rar!\x1a\x07|7z\xbc\xaf\x27\x1c")
_OVERLAP = 32
_PDF_MARKUP_BYTES = 4_096
"""Browsers look for markup in the first 1.5 KB; further on a document may well talk about HTML."""
_ZIP_END, _ZIP_ENTRY = b"PK\x05\x06", b"PK\x01\x02"
_ZIP_END_BYTES = 65_557
"""The end of an archive with the longest comment (APPNOTE 4.3.16): who reads one looks no further back."""
_TAR, _ISO = (257, b"ustar"), (32_769, b"CD001")
_PDF_ANYWHERE, _PDF_BEGINS_WITHIN = re.compile(rb"%PDF-\d"), 1_024 + 8
"""So far readers of PDF look for its header (ISO 32000-1, Annex H.3); all the rest fits into a picture's comments."""
_PDF_HEADER = re.compile(rb"%PDF-[12]\.\d[\s%]")
_PDF_TAIL_BYTES = 2_048
_PDF_TAIL = re.compile(rb"startxref\s+(\d{1,10})\s+%%EOF[\s\0]*\Z")
_PDF_TABLE = re.compile(rb"\s*(?:xref\b|\d{1,10}\s+\d{1,5}\s+obj\b)")
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD8)}
"""Markers without a segment; inside a scan they are part of it."""
_BEHIND_SCAN = re.compile(rb"\xff[^\x00\x01\xd0-\xd7]", re.DOTALL)
_SEVERAL_PICTURES = b"MPF\0"


class Unfit(Exception):
    """The bytes are not what they begin as; `reason` is for tables, the text is a sentence."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def type_of(head: bytes) -> str | None:
    """Media type by the first bytes, of accepted and of some other kinds; None for what is not known."""
    if head.startswith(PNG_SIGNATURE):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head[4:8] == b"ftyp":
        return "image/heic" if head[8:11] in (b"hei", b"mif") else "video/mp4"
    if head[:4] == b"RIFF":
        return "image/webp" if head[8:12] == b"WEBP" else None
    if _MARKUP.match(head.lstrip()):
        return "text/html"
    return next((kind for magic, kind in _OTHERS if head.startswith(magic)), None)


def check_structure(file: IO[bytes], size: int, media_type: str) -> None:
    """Raise Unfit unless the file is one of an accepted type, whole, and nothing else; memory is bounded."""
    _CHECKS[media_type](file, size)
    _refuse_archives(file, size)
    if media_type == "application/pdf":
        _refuse_markup(file, min(size, _PDF_MARKUP_BYTES))
    else:
        _refuse_markup(file, size)
        _refuse_pdf(file, size)


def _check_png(file: IO[bytes], size: int) -> None:
    at, kinds = len(PNG_SIGNATURE), 0
    has_data = False
    while True:
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            raise _broken("The PNG ends before its IEND.")
        length, kind = struct.unpack(">I4s", header)
        if at + 12 + length > size or not kind.isalpha():
            raise _broken("A chunk of the PNG reaches beyond the file or has no name.")
        if (kind == b"IHDR") != (kinds == 0):
            raise _broken("The PNG does not begin with its IHDR, or has two.")
        if kinds >= MOST_PARTS:
            raise _too_many("chunks")
        if _crc(file, kind, length) != file.read(4):
            raise _broken("A chunk of the PNG has a wrong checksum.")
        at, kinds, has_data = at + 12 + length, kinds + 1, has_data or kind == b"IDAT"
        if kind == b"IEND":
            break
    if not has_data or length:
        raise _broken("The PNG has no picture in it.")
    if at != size:
        raise _trailing("the IEND of the PNG", size - at)


def _crc(file: IO[bytes], kind: bytes, length: int) -> bytes:
    crc = zlib.crc32(kind)
    while length:
        piece = file.read(min(length, READ_BYTES))
        crc, length = zlib.crc32(piece, crc), length - len(piece)
    return struct.pack(">I", crc)


def _check_jpeg(file: IO[bytes], size: int) -> None:
    at, may_go_on, parts = 0, False, iter(range(MOST_PARTS))
    while True:
        at, announces = _picture(file, at, size, parts)
        may_go_on = may_go_on or announces
        behind = _skip_zeros(file, at, size)
        if behind == size:
            return
        file.seek(behind)
        if not may_go_on or file.read(3) != b"\xff\xd8\xff":
            raise _trailing("the EOI of the JPEG", size - at)
        at = behind


def _picture(file: IO[bytes], at: int, size: int, parts: Iterator[int]) -> tuple[int, bool]:
    """Where the JPEG that begins here ends, and whether it announces further ones."""
    at += 2
    has_frame = has_scan = announces = False
    for _ in parts:
        file.seek(at)
        found = file.read(4)
        if len(found) < 2 or found[0] != 0xFF:
            raise _broken("The JPEG ends before its EOI, or has something between its segments.")
        marker = found[1]
        if marker == 0xFF:  # fill
            at += 1
        elif marker == _EOI:
            if not (has_frame and has_scan):
                raise _broken("The JPEG has no picture in it.")
            return at + 2, announces
        elif marker in _ALONE:
            at += 2
        else:
            length = int.from_bytes(found[2:4])
            if len(found) < 4 or length < 2 or marker in (0x00, _SOI) or at + 2 + length > size:
                raise _broken("A segment of the JPEG reaches beyond the file or is none.")
            announces = announces or (marker == 0xE2 and file.read(4) == _SEVERAL_PICTURES)
            has_frame = has_frame or marker in _FRAMES
            at += 2 + length
            if marker == _SOS:
                has_scan, at = True, _behind_scan(file, at)
    raise _too_many("segments")


def _behind_scan(file: IO[bytes], at: int) -> int:
    """The next marker that does not belong to the entropy-coded data which begins here."""
    length = FIRST_READ_BYTES
    while True:
        file.seek(at)
        data = file.read(length)
        if len(data) < 2:
            raise _broken("The JPEG ends in the middle of its picture.")
        if found := _BEHIND_SCAN.search(data):
            return at + found.start()
        at, length = at + len(data) - 1, min(2 * length, READ_BYTES)


def _skip_zeros(file: IO[bytes], at: int, size: int) -> int:
    file.seek(at)
    while at < size:
        data = file.read(READ_BYTES)
        rest = data.lstrip(b"\0")
        at += len(data) - len(rest)
        if rest:
            break
    return at


def _check_pdf(file: IO[bytes], size: int) -> None:
    file.seek(0)
    if not _PDF_HEADER.match(file.read(16)):
        raise _broken("The PDF's header names no version.")
    file.seek(max(0, size - _PDF_TAIL_BYTES))
    tail = _PDF_TAIL.search(file.read())
    if tail is None:
        raise _broken("The PDF does not end with startxref and %%EOF: it is cut off, or something was appended.")
    file.seek(min(int(tail[1]), size))
    if not _PDF_TABLE.match(file.read(64)):
        raise _broken("The PDF's startxref leads to no table of its objects.")


def _refuse_archives(file: IO[bytes], size: int) -> None:
    file.seek(max(0, size - _ZIP_END_BYTES))
    ends = file.read()
    if _ZIP_END in ends and _found(file, size, re.compile(re.escape(_ZIP_ENTRY))):
        raise _second("a ZIP archive")
    if _found(file, size, _ARCHIVES):
        raise _second("an archive")
    for (at, magic), what in ((_TAR, "a tar archive"), (_ISO, "a disk image")):
        file.seek(at)
        if file.read(len(magic)) == magic:
            raise _second(what)


def _refuse_markup(file: IO[bytes], size: int) -> None:
    if _found(file, size, _MARKUP_INSIDE):
        raise _second("HTML or a script")


def _refuse_pdf(file: IO[bytes], size: int) -> None:
    if _found(file, min(size, _PDF_BEGINS_WITHIN), _PDF_ANYWHERE):
        raise _second("a PDF")


def _found(file: IO[bytes], size: int, pattern: re.Pattern[bytes]) -> bool:
    file.seek(0)
    before, left = b"", size
    while left > 0 and (data := file.read(min(left, READ_BYTES))):
        if pattern.search(before + data):
            return True
        before, left = data[-_OVERLAP:], left - len(data)
    return False


def _broken(sentence: str) -> Unfit:
    return Unfit("broken", sentence)


def _too_many(what: str) -> Unfit:
    return _broken(f"The picture consists of more than {MOST_PARTS:,} {what}.")


def _trailing(what: str, count: int) -> Unfit:
    return Unfit("polyglot", f"{count:,} bytes follow {what}.")


def _second(what: str) -> Unfit:
    return Unfit("polyglot", f"The same bytes can be read as {what}.")


_CHECKS: dict[str, Callable[[IO[bytes], int], None]] = {
    "image/png": _check_png,
    "image/jpeg": _check_jpeg,
    "application/pdf": _check_pdf,
}
