"""Seekable gzip: source bytes to BGZF blocks, resumable at every block. Reading them back is `ranges`'; no I/O here.

BGZF (SAM specification, section 4.1) is a series of gzip members of at most 64 KiB, each telling its size in an extra
field, ended by an empty one: any gunzip restores the source, and htslib's bgzip reads ranges with the `.gzi` beside it.

Equal sources give equal objects, however they are cut into writes and wherever they were resumed. Another version of
ISA-L or another kind of CPU may give other blocks: what identifies a recording is the digest of its source.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass

from isal import igzip_lib, isal_zlib

from media_pipeline.storage.gzi import BlockIndex

BLOCK_BYTES = 0xFF00
"""Of source in each block but the last, htslib's BGZF_BLOCK_SIZE: stored as it is, with all headers, it fits 64 KiB."""
HEADER = bytes.fromhex("1f8b0804 00000000 00ff 0600 4243 0200")
"""Of every block, as htslib writes it: no name, no time, one extra field `BC` of two bytes."""
HEADER_BYTES = len(HEADER) + 2
"""With BSIZE, the size of the whole block less one."""
TRAILER = struct.Struct("<II")
"""CRC32 and length of the block's content."""
EOF_BLOCK = HEADER + bytes.fromhex("1b00 0300 00000000 00000000")
"""The empty block at the end, byte for byte (SAM specification, section 4.1.2): without it an object is cut off."""
GZIP_LEVEL = 2
"""ISA-L's level 2: the ratio of zlib level 6 at some 20 times its speed on call audio."""
WINDOW_BITS = 13
"""How far back matches reach: 8 KiB. Speech has none worth the longer codes of farther ones: 2 to 7 % faster than with
32 KiB and up to 0.6 % smaller; music on hold 4 to 16 % faster, and where it was G.711 before up to 2.5 % larger.
"""

GROUP_BLOCKS = 32
"""Blocks (2.1 MB of source) that are deflated or stored alike, by what the first of them showed."""
SAMPLE_BLOCKS = 2
"""Blocks at the start of each group that are always tried: a sixteenth of the CPU where nothing shrinks."""
WORTHWHILE_PERCENT = 97
"""A sample that does not get smaller than this leaves the rest of its group stored; mp3 and ogg stay at 98 to 99 %."""

_STORED = struct.Struct("<BHH")
"""Head of a last, stored deflate block: its kind, its length, and that inverted (RFC 1951, section 3.2.4)."""


def _source_offsets(blocks: int) -> array[int]:
    return array("Q", range(0, blocks * BLOCK_BYTES, BLOCK_BYTES))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an object is after its last whole block: all that is needed to go on with it, JSON-able by `asdict`.

    `source_offset`: bytes of source in its blocks; the next byte to write is the source's at this offset.
    `object_offset`: bytes of the object; what lies behind it in a torn file is to be cut off.
    `block_offsets`: where each block begins in the object. The constructor raises ValueError when they disagree.
    """

    source_offset: int
    object_offset: int
    block_offsets: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_offsets", tuple(self.block_offsets))  # JSON brings a list
        if self.source_offset != len(self.block_offsets) * BLOCK_BYTES:
            raise ValueError(
                f"{len(self.block_offsets)} blocks hold {len(self.block_offsets) * BLOCK_BYTES} bytes of source, and "
                f"the checkpoint says {self.source_offset}."
            )
        self.index()

    def index(self) -> BlockIndex:
        """Of the blocks so far, and of where the next will begin: enough to read back `[0, source_offset)`."""
        try:
            ends = array("Q", [*self.block_offsets, self.object_offset])
        except (TypeError, OverflowError) as error:
            raise ValueError(f"The checkpoint's offsets are not all whole numbers from 0 on: {error}.") from None
        return BlockIndex(ends, _source_offsets(len(ends)))


NOTHING_YET = Checkpoint(0, 0, ())


class BlockCompressor:
    """Like zlib's compressobj, with an index; holds less than a block and 8 bytes per block written.

    Not safe for use by two threads at once; several, each in its own thread, run in parallel.
    """

    def __init__(self, resumed: Checkpoint = NOTHING_YET) -> None:
        self._ends = array("Q", [*resumed.block_offsets, resumed.object_offset])
        """Where each block begins, and the end of the last."""
        self._waiting = bytearray()
        """Of a block that is not full yet."""

    def compress(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Take the next source bytes; returns the blocks that are full now, which may be none, as pieces to write one
        after another. Writes of whole multiples of BLOCK_BYTES are compressed without a copy of them.
        """
        rest = memoryview(data).cast("B")
        pieces: list[bytes] = []
        if self._waiting:
            missing = BLOCK_BYTES - len(self._waiting)
            self._waiting += rest[:missing]
            rest = rest[missing:]
            if len(self._waiting) < BLOCK_BYTES:
                return pieces
            pieces += self._block(self._waiting)
            self._waiting = bytearray()
        full = len(rest) - len(rest) % BLOCK_BYTES
        for start in range(0, full, BLOCK_BYTES):
            pieces += self._block(rest[start : start + BLOCK_BYTES])
        self._waiting += rest[full:]
        return pieces

    def checkpoint(self) -> Checkpoint:
        """Where to go on, once all that `compress` returned so far is durable; bytes waiting for a full block are not
        in it and have to be written again. Cheap for calls, some ms for the 16,000 blocks of a GB.
        """
        *starts, end = self._ends
        return Checkpoint(len(starts) * BLOCK_BYTES, end, tuple(starts))

    def finish(self) -> tuple[bytes, BlockIndex]:
        """The rest of the object, EOF block included, and the index; nothing may be written afterwards."""
        rest = b"".join(self._block(self._waiting)) if self._waiting else b""
        self._waiting = bytearray()
        starts = self._ends[:-1] or array("Q", [0])  # an empty source's only block is the one that ends it
        return rest + EOF_BLOCK, BlockIndex(starts, _source_offsets(len(starts)))

    def _block(self, content: bytearray | memoryview) -> tuple[bytes, ...]:
        if self._worthwhile():
            # With the trailer: ISA-L computes the CRC on the way.
            body = igzip_lib.compress(content, GZIP_LEVEL, igzip_lib.COMP_GZIP_NO_HDR, hist_bits=WINDOW_BITS)
            if len(body) < _STORED.size + len(content) + TRAILER.size:
                return self._noted(len(body)), body  # not joined: that copy took 2 % of the throughput
        head = _STORED.pack(1, len(content), len(content) ^ 0xFFFF)
        trailer = TRAILER.pack(isal_zlib.crc32(content), len(content))
        return (b"".join((self._noted(len(head) + len(content) + len(trailer)), head, content, trailer)),)

    def _noted(self, body_bytes: int) -> bytes:
        """The header of the next block, whose end is noted."""
        size = HEADER_BYTES + body_bytes
        self._ends.append(self._ends[-1] + size)
        return HEADER + (size - 1).to_bytes(2, "little")

    def _worthwhile(self) -> bool:
        """Whether to try to deflate the next block. Asks nothing but the sizes so far, so that a resumed object
        goes on alike.
        """
        number = len(self._ends) - 1
        group = number - number % GROUP_BLOCKS
        sampled = group + SAMPLE_BLOCKS
        if number < sampled:
            return True
        return (self._ends[sampled] - self._ends[group]) * 100 < SAMPLE_BLOCKS * BLOCK_BYTES * WORTHWHILE_PERCENT
