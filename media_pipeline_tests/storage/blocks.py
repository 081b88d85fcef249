"""Sources and objects that the tests of blocked gzip share."""

from __future__ import annotations

import random
from collections.abc import Callable

from media_pipeline.storage.bgzf import BLOCK_BYTES, BlockCompressor
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


def reader(data: bytes) -> Callable[[int, int], bytes]:
    """`read(offset, length)` over bytes in memory."""
    return lambda offset, length: data[offset : offset + length]
