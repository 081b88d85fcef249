"""Any byte range of the source out of a blocked gzip object: only its blocks are read, and every one is proved.

A block counts only if its header is the one we and htslib write, its sizes are those the index says, its deflate ends
where the block does, and CRC32 and ISIZE hold. Works on `read(offset, length)`, so on a file as on an object in S3:
`functools.partial(store.read_range, key)`. Memory stays below 3 MiB whatever the range.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import cast

from isal import isal_zlib

from media_pipeline.storage.bgzf import BLOCK_BYTES, EOF_BLOCK, HEADER, HEADER_BYTES, TRAILER, Checkpoint
from media_pipeline.storage.gzi import MAX_BLOCK_BYTES, MIN_BLOCK_BYTES, BlockIndex

READ_BYTES = 1 << 20
"""Neighbouring blocks are read together up to this size: one request to S3 per some 2 MB of speech."""
_TAIL_BYTES = MAX_BLOCK_BYTES + len(EOF_BLOCK) + 1
"""Enough for the last block and the EOF block, and for one byte that should not be there."""
_INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)  # isal's stub calls it an instance
_GZIP_MAGIC = b"\x1f\x8b\x08"

Read = Callable[[int, int], bytes | None]
"""(offset, length) to the bytes of the object there, fewer only at its end; None when there is no such object."""


class UnreadableError(Exception):
    """The source cannot be restored from this object; says what is wrong with it."""


class MissingError(UnreadableError):
    """There is no such object (any more)."""


class NotBlockedError(UnreadableError):
    """An ordinary gzip object, as earlier versions wrote them: readable from its start only, with any gunzip."""


class DamagedError(UnreadableError):
    """The object is corrupt or cut off, or the index is another object's."""


def source_range(read: Read, index: BlockIndex, start: int, stop: int) -> Iterator[memoryview]:
    """The source's bytes [start, stop) in pieces of at most 64 KiB; like a slice, it ends where the source does.

    Raises ValueError unless 0 <= start <= stop, and while iterating UnreadableError: the pieces before it are right.
    """
    if not 0 <= start <= stop:
        raise ValueError(f"[{start}, {stop}) is not a range.")
    return _pieces(read, index, start, stop) if start < stop else iter(())


def source_size(read: Read, index: BlockIndex) -> int:
    """Bytes of the source, from the index and the lengths in the last block: one read of 64 KiB, nothing decompressed.

    Raises UnreadableError, also when the object does not end where it should.
    """
    last = len(index.object_offsets) - 1
    return index.source_offsets[last] + _content_bytes(_last_block(read, index))


def rebuilt_index(read: Read) -> BlockIndex:
    """The index of a whole object, from the lengths in its blocks: read once from start to end, not decompressed.

    Raises UnreadableError. What it returns is what `bgzip --reindex` writes.
    """
    starts, sources = array("Q"), array("Q")
    offset = source = 0
    for block in _walk(read):
        if block == EOF_BLOCK:
            if _read(read, offset + len(EOF_BLOCK), 1):
                raise DamagedError(f"The object goes on after the block at {offset} that ends it.")
            return BlockIndex(starts or array("Q", [0]), sources or array("Q", [0]))
        if not _content_bytes(block):
            raise DamagedError(f"The block at {offset} of the object holds nothing.")
        starts.append(offset)
        sources.append(source)
        offset += len(block)
        source += _content_bytes(block)
    raise DamagedError(f"The object is cut off after {offset} bytes of whole blocks: it has no EOF block.")


def torn_checkpoint(read: Read) -> Checkpoint:
    """Where to go on with an object that was cut off anywhere: after the last of its full blocks from the start on.

    Judges by headers and lengths only; reading back `source_range(read, checkpoint.index(), 0,
    checkpoint.source_offset)`, which the source's digests need anyhow, proves the content. Raises MissingError.
    """
    starts: list[int] = []
    offset = 0
    try:
        for block in _walk(read):
            if _content_bytes(block) != BLOCK_BYTES:
                break
            starts.append(offset)
            offset += len(block)
    except (DamagedError, NotBlockedError):
        pass  # what a crash leaves behind the last whole block may be anything
    return Checkpoint(len(starts) * BLOCK_BYTES, offset, tuple(starts))


def _pieces(read: Read, index: BlockIndex, start: int, stop: int) -> Iterator[memoryview]:
    starts, sources = index.object_offsets, index.source_offsets
    number = bisect_right(sources, start) - 1
    end = bisect_left(sources, stop)
    last = len(starts) - 1
    while number < min(end, last):
        after = bisect_right(starts, starts[number] + READ_BYTES, hi=min(end, last) + 1) - 1
        window = _exactly(read, starts[number], starts[after] - starts[number])
        for one in range(number, after):
            at = starts[one] - starts[number]
            block = _block(window[at : starts[one + 1] - starts[number]], starts[one])
            if len(block) != starts[one + 1] - starts[one] or _content_bytes(block) != sources[one + 1] - sources[one]:
                raise DamagedError(f"The block at {starts[one]} of the object is not as long as the index says.")
            yield _content(block, starts[one])[max(start - sources[one], 0) : stop - sources[one]]
        number = after
    if end > last:
        content = _content(_last_block(read, index), starts[last])
        if piece := content[max(start - sources[last], 0) : stop - sources[last]]:
            yield piece


def _last_block(read: Read, index: BlockIndex) -> memoryview:
    """The block the index ends with; raises DamagedError unless exactly the EOF block follows it."""
    offset = index.object_offsets[-1]
    tail = memoryview(_read(read, offset, _TAIL_BYTES))
    if tail == EOF_BLOCK:
        if offset == 0:
            return tail
        raise DamagedError(f"The index has a block at {offset}, where the object ends.")
    block = _block(tail, offset)
    if tail[len(block) :] != EOF_BLOCK:
        raise DamagedError(
            f"The object does not end with an EOF block at {offset + len(block)}: it is cut off, or the index is "
            "another object's."
        )
    return block


def _walk(read: Read) -> Iterator[memoryview]:
    """All whole blocks from the start on, until the object ends or, as DamagedError, is no block any more."""
    offset = 0
    while window := memoryview(_read(read, offset, READ_BYTES)):
        at = 0
        while at == 0 or len(window) - at >= MAX_BLOCK_BYTES or (len(window) < READ_BYTES and at < len(window)):
            block = _block(window[at:], offset + at)
            yield block
            at += len(block)
        offset += at


def _block(data: memoryview, offset: int) -> memoryview:
    """The block that the data begins with."""
    if data[: len(HEADER)] != HEADER:
        if offset == 0 and data[: len(_GZIP_MAGIC)] == _GZIP_MAGIC and data[: len(HEADER)] != HEADER[: len(data)]:
            raise NotBlockedError("The object is ordinary gzip: it has no blocks, so that it is read from its start.")
        raise DamagedError(f"No block begins at {offset} of the object: it is damaged, or the index is another's.")
    size = int.from_bytes(data[len(HEADER) : HEADER_BYTES], "little") + 1
    if size < MIN_BLOCK_BYTES or len(data) < size:
        raise DamagedError(f"The block at {offset} of the object is cut off.")
    block = data[:size]
    if _content_bytes(block) > MAX_BLOCK_BYTES:
        raise DamagedError(f"The block at {offset} of the object claims to hold {_content_bytes(block)} bytes.")
    return block


def _content_bytes(block: memoryview) -> int:
    """What the block says its content's length is (ISIZE)."""
    return int(TRAILER.unpack(block[-TRAILER.size :])[1])


def _content(block: memoryview, offset: int) -> memoryview:
    """The block's source bytes; raises DamagedError unless they are proved."""
    checksum, size = TRAILER.unpack(block[-TRAILER.size :])
    inflate = isal_zlib.decompressobj(wbits=-15)
    try:
        content = inflate.decompress(block[HEADER_BYTES : -TRAILER.size], size + 1)
    except _INFLATE_ERROR as error:
        raise DamagedError(f"The block at {offset} of the object is corrupt: {error}.") from None
    if not inflate.eof or inflate.unused_data or len(content) != size or isal_zlib.crc32(content) != checksum:
        raise DamagedError(f"The block at {offset} of the object is corrupt: its content is not what was written.")
    return memoryview(content)


def _exactly(read: Read, offset: int, length: int) -> memoryview:
    data = _read(read, offset, length)
    if len(data) != length:
        raise DamagedError(
            f"The object ends at {offset + len(data)}, within a block of the index: it is cut off, or the index is "
            "another object's."
        )
    return memoryview(data)


def _read(read: Read, offset: int, length: int) -> bytes:
    data = read(offset, length)
    if data is None:
        raise MissingError("There is no such object.")
    if len(data) > length:
        raise DamagedError(f"Asked for {length} bytes of the object, got {len(data)}.")
    return data
