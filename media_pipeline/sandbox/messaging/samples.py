"""Files guests send: small, valid pictures and documents made byte by byte, and bodies of any size, never held."""

from __future__ import annotations

import functools
import hashlib
import struct
import zlib

from media_pipeline.sandbox.bodies import chunks

BLOCK_BYTES = 1 << 20
EDGE = 16
"""Pixels on each side of a picture."""


def png(number: int) -> bytes:
    """A grey picture of 16 x 16 whose shades follow from the number."""
    shades = hashlib.shake_128(number.to_bytes(8)).digest(EDGE * EDGE)
    rows = b"".join(b"\0" + shades[at : at + EDGE] for at in range(0, len(shades), EDGE))
    header = struct.pack(">IIBBBBB", EDGE, EDGE, 8, 0, 0, 0, 0)
    parts = (b"IHDR" + header, b"IDAT" + zlib.compress(rows, 9), b"IEND")
    framed = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def jpeg(number: int) -> bytes:
    """A baseline JPEG of 16 x 16 in four flat grey blocks (ITU T.81: one component, tables of its own)."""
    shades = [byte - 128 for byte in hashlib.shake_128(number.to_bytes(8)).digest(4)]
    bits, before = "", 0
    for shade in shades:
        difference, before = shade - before, shade
        size = abs(difference).bit_length()
        bits += f"{size:04b}"
        if size:
            bits += f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}"
        bits += "0"  # end of block, the only AC symbol
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    quantizer = bytes([0, *[8] * 64])  # DC is eight times the mean, so a step of 8 is one shade
    frame = struct.pack(">BHHB", 8, EDGE, EDGE, 1) + bytes([1, 0x11, 0])
    dc = bytes([0x00, 0, 0, 0, 10, *[0] * 12, *range(10)])
    ac = bytes([0x10, 1, *[0] * 15, 0])
    segments = ((0xDB, quantizer), (0xC0, frame), (0xC4, dc), (0xC4, ac), (0xDA, bytes([1, 1, 0x00, 0, 63, 0])))
    body = b"".join(bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data for marker, data in segments)
    jfif = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    return b"\xff\xd8" + jfif + body + scan + b"\xff\xd9"


def pdf(number: int) -> bytes:
    """A document of one page that says its number."""
    text = f"BT /F1 24 Tf 72 720 Td (Document {number}) Tj ET".encode()
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    document, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for place, content in enumerate(objects, 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (place, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(document))
    return document + head + table + tail


SAMPLES = {"png": (png, "image/png"), "jpeg": (jpeg, "image/jpeg"), "pdf": (pdf, "application/pdf")}
"""By name: what makes one, and its true type."""


class Repeated:
    """A body of any size: given bytes first, then one block of noise again and again; any offset is computed."""

    def __init__(self, size: int, beginning: bytes = b"") -> None:
        self.size = size
        self._beginning = beginning[:size]

    @functools.cached_property
    def md5(self) -> str:
        """MD5 of all bytes, lower-case hex; by streaming."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in chunks(self):
            digest.update(chunk)
        return digest.hexdigest()

    def read(self, start: int, length: int) -> bytes:
        """The bytes [start, start + length), fewer at the end."""
        length = max(min(length, self.size - start), 0)
        head = self._beginning[start : start + length]
        offset = max(start - len(self._beginning), 0) % BLOCK_BYTES
        wanted = length - len(head)
        repeats = -(-(offset + wanted) // BLOCK_BYTES)
        return head + (_noise() * repeats)[offset : offset + wanted]


@functools.cache
def _noise() -> bytes:
    return hashlib.shake_128(b"guest file").digest(BLOCK_BYTES)
