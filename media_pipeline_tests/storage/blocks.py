"""Sources and objects that the tests of blocked gzip share."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

from media_pipeline.storage.bgzf import BLOCK_BYTES, HEADER, HEADER_BYTES, TRAILER, BlockCompressor
from media_pipeline.storage.gzi import BlockIndex

NOISE = random.Random(20_261_120).randbytes(5 * BLOCK_BYTES)


def source_of(size: int, noisy: bool) -> bytes:
    """Bytes of which no two parts are alike; those that are not noisy shrink."""
    return NOISE[:size] if noisy else b"".join(b"%08d" % number for number in range(size // 8 + 1))[:size]


def blocked(source: bytes) -> tuple[bytes, BlockIndex]:
    """The source as an object, with its index."""
    compressor = BlockCompressor()
    pieces = compressor.compress(source)
    rest, index = compressor.finish()
    return b"".join(pieces) + rest, index


def block_of(
    deflate: bytes, content: bytes, *, content_bytes: int | None = None, block_bytes: int | None = None
) -> bytes:
    """One block with any deflate and, where given, wrong lengths; its CRC is right."""
    size = HEADER_BYTES + len(deflate) + TRAILER.size if block_bytes is None else block_bytes
    length = len(content) if content_bytes is None else content_bytes
    return HEADER + (size - 1).to_bytes(2, "little") + deflate + TRAILER.pack(zlib.crc32(content), length)


def reader(data: bytes) -> Callable[[int, int], bytes]:
    """`read(offset, length)` over bytes in memory."""
    return lambda offset, length: data[offset : offset + length]
