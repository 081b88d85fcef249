"""Any range of the source comes out of the blocks it lies in, proved, or an error says what is wrong."""

import functools
import gzip
from array import array
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media_pipeline.storage.bgzf import BLOCK_BYTES, EOF_BLOCK, NOTHING_YET, BlockCompressor
from media_pipeline.storage.gzi import MAX_BLOCK_BYTES, BlockIndex
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.ranges import (
    READ_BYTES,
    DamagedError,
    MissingError,
    NotBlockedError,
    UnreadableError,
    rebuilt_index,
    source_range,
    source_size,
    torn_checkpoint,
)
from media_pipeline_tests.storage.blocks import NOISE, block_of, blocked, reader, source_of

SOURCE = source_of(2 * BLOCK_BYTES, noisy=False) + NOISE[: BLOCK_BYTES + 5_000]
OBJECT, INDEX = blocked(SOURCE)
SMALL, SMALL_INDEX = blocked(source_of(300, noisy=False) + NOISE[:100])
LONG = NOISE * 14
"""4.6 MB that do not shrink: several reads."""


def taken(data: bytes, index: BlockIndex, start: int, stop: int) -> bytes:
    return b"".join(source_range(reader(data), index, start, stop))


@given(st.integers(0, len(SOURCE) + 9), st.integers(0, len(SOURCE) + 9))
def test_a_range_is_a_slice_of_the_source(one, other):
    start, stop = sorted((one, other))
    assert taken(OBJECT, INDEX, start, stop) == SOURCE[start:stop]


def test_every_range_near_the_borders_of_blocks_is_exact():
    borders = [*INDEX.source_offsets, len(SOURCE)]
    edges = sorted({border + near for border in borders for near in (-2, -1, 0, 1, 2) if border + near >= 0})
    for number, start in enumerate(edges):
        for stop in edges[number:]:
            assert taken(OBJECT, INDEX, start, stop) == SOURCE[start:stop]


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
def test_the_size_of_the_source_is_known_without_decompressing_it(size):
    data, index = blocked(NOISE[:size])
    assert source_size(reader(data), index) == size
    assert taken(data, index, 0, size + 1) == NOISE[:size]


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4)])
def test_what_is_no_range_is_refused_at_once(start, stop):
    with pytest.raises(ValueError, match="is not a range"):
        source_range(reader(OBJECT), INDEX, start, stop)


def test_only_the_blocks_of_the_range_are_read_in_bounded_reads():
    data, index = blocked(LONG)
    reads: list[tuple[int, int]] = []

    def read(offset: int, length: int) -> bytes:
        reads.append((offset, length))
        return data[offset : offset + length]

    block = index.object_offsets[1]
    assert (
        b"".join(source_range(read, index, BLOCK_BYTES + 1, 2 * BLOCK_BYTES)) == LONG[BLOCK_BYTES + 1 : 2 * BLOCK_BYTES]
    )
    assert reads == [(block, index.object_offsets[2] - block)]
    reads.clear()
    pieces = list(source_range(read, index, 0, len(LONG)))
    assert b"".join(pieces) == LONG
    assert max(map(len, pieces)) <= MAX_BLOCK_BYTES
    assert max(length for _, length in reads) <= READ_BYTES
    assert len(reads) <= len(data) // (READ_BYTES - MAX_BLOCK_BYTES) + 2
    reads.clear()
    assert rebuilt_index(read) == index
    assert len(reads) <= len(data) // (READ_BYTES - MAX_BLOCK_BYTES) + 2


@pytest.mark.parametrize("source", [b"", b"x", NOISE[:BLOCK_BYTES], SOURCE, LONG])
def test_a_lost_index_is_rebuilt(source):
    data, index = blocked(source)
    assert rebuilt_index(reader(data)) == index


@pytest.mark.parametrize("blocks", range(1, 7))
def test_a_lost_index_is_rebuilt_wherever_in_a_block_a_read_ends(blocks):
    data, index = blocked(source_of(blocks * BLOCK_BYTES, noisy=False) + LONG)
    assert rebuilt_index(reader(data)) == index


def test_an_object_in_a_store_is_read_in_parts(tmp_path):
    store = LocalStore(tmp_path)
    store.put("audio/x.wav.gz", OBJECT)
    read = functools.partial(store.read_range, "audio/x.wav.gz")
    assert b"".join(source_range(read, rebuilt_index(read), 65_000, 66_000)) == SOURCE[65_000:66_000]
    with pytest.raises(MissingError, match="no such object"):
        rebuilt_index(functools.partial(store.read_range, "audio/y.wav.gz"))


def test_a_byte_changed_anywhere_is_detected():
    for position in range(len(SMALL)):
        broken = bytearray(SMALL)
        broken[position] ^= 0xFF
        with pytest.raises(UnreadableError):
            taken(bytes(broken), SMALL_INDEX, 0, 1)
        with pytest.raises(UnreadableError):
            index = rebuilt_index(reader(bytes(broken)))
            taken(bytes(broken), index, 0, 1)


@given(st.integers(0, len(OBJECT) - 1), st.integers(1, 255))
def test_a_changed_byte_never_changes_the_source(position, mask):
    """A flipped bit can be one that deflate does not use (the padding after its last symbol): then nothing is lost."""
    broken = bytearray(OBJECT)
    broken[position] ^= mask
    try:
        found = taken(bytes(broken), INDEX, 0, len(SOURCE))
    except UnreadableError:
        return
    assert found == SOURCE


@pytest.mark.parametrize("byte", range(8))
def test_damage_in_one_block_leaves_the_others_readable(byte):
    broken = bytearray(OBJECT)
    broken[INDEX.object_offsets[1] + 1_000 + byte] ^= 1
    assert taken(bytes(broken), INDEX, 0, BLOCK_BYTES) == SOURCE[:BLOCK_BYTES]
    assert taken(bytes(broken), INDEX, 2 * BLOCK_BYTES, len(SOURCE)) == SOURCE[2 * BLOCK_BYTES :]
    with pytest.raises(DamagedError, match=f"The block at {INDEX.object_offsets[1]} of the object is corrupt"):
        taken(bytes(broken), INDEX, BLOCK_BYTES, BLOCK_BYTES + 1)


@given(st.integers(0, len(OBJECT) - 1))
def test_an_object_that_is_cut_off_is_found_out(length):
    with pytest.raises(DamagedError):
        taken(OBJECT[:length], INDEX, 0, len(SOURCE))
    with pytest.raises(DamagedError):
        source_size(reader(OBJECT[:length]), INDEX)
    with pytest.raises(DamagedError):
        rebuilt_index(reader(OBJECT[:length]))


def test_an_object_that_goes_on_after_its_end_is_found_out():
    for longer in (OBJECT + b"x", OBJECT + OBJECT, OBJECT + EOF_BLOCK):
        with pytest.raises(DamagedError, match="does not end with an EOF block"):
            source_size(reader(longer), INDEX)
        with pytest.raises(DamagedError, match="goes on after the block"):
            rebuilt_index(reader(longer))


def test_the_index_of_another_object_is_found_out():
    longer = blocked(SOURCE + NOISE[:BLOCK_BYTES])[1]
    shorter = blocked(SOURCE[:BLOCK_BYTES])[1]
    elsewhere = BlockIndex(INDEX.object_offsets, array("Q", [0, BLOCK_BYTES - 1, 2 * BLOCK_BYTES, 3 * BLOCK_BYTES]))
    ended = BlockIndex(INDEX.object_offsets[:], INDEX.source_offsets[:])
    ended.object_offsets.append(len(OBJECT) - len(EOF_BLOCK))
    ended.source_offsets.append(len(SOURCE))
    for index in (longer, shorter, elsewhere, ended):
        with pytest.raises(DamagedError):
            taken(OBJECT, index, 0, len(SOURCE) + BLOCK_BYTES)


def test_an_index_whose_offset_lies_within_a_block_is_found_out():
    offsets = INDEX.object_offsets[:]
    offsets[2] += 100
    with pytest.raises(DamagedError, match=f"block at {offsets[1]} of the object is not as long as the index says"):
        taken(OBJECT, BlockIndex(offsets, INDEX.source_offsets), BLOCK_BYTES, BLOCK_BYTES + 1)


def test_an_object_cut_within_the_blocks_asked_for_tells_where():
    length = INDEX.object_offsets[2] - 1
    with pytest.raises(DamagedError, match=f"The object ends at {length}, within a block of the index"):
        taken(OBJECT[:length], INDEX, 0, 2 * BLOCK_BYTES)


STORED = b"\x01\x03\x00\xfc\xffabc"


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        (block_of(b"\x00" + STORED[1:], b"abc"), "corrupt"),  # its deflate goes on, gunzip would say
        (block_of(STORED + b"x", b"abc"), "corrupt"),  # something lies between its deflate and its CRC
        (block_of(STORED, b"abc", content_bytes=4), "corrupt"),
        (block_of(STORED, b"abc", content_bytes=MAX_BLOCK_BYTES + 1), "claims to hold 65537 bytes"),
        (block_of(STORED, b"abc", block_bytes=6), "cut off"),
        (block_of(b"\x01\x00\x00\xff\xff", b""), "holds nothing"),
    ],
)
def test_a_block_that_contradicts_itself_is_refused(block, sentence):
    read = reader(SMALL[: -len(EOF_BLOCK)] + block + EOF_BLOCK)
    with pytest.raises(DamagedError, match=sentence):
        list(source_range(read, rebuilt_index(read), 0, 1_000))


def test_a_store_that_gives_more_than_asked_for_is_not_trusted():
    with pytest.raises(DamagedError, match="Asked for"):
        list(source_range(lambda offset, length: OBJECT[offset:], INDEX, 0, 1))


@pytest.mark.parametrize("look", [rebuilt_index, lambda read: source_size(read, SMALL_INDEX)])
def test_ordinary_gzip_of_earlier_versions_is_told_apart(look: Callable[..., object]):
    for level in (0, 6):
        with pytest.raises(NotBlockedError, match="ordinary gzip"):
            look(reader(gzip.compress(SOURCE, level)))
    with pytest.raises(DamagedError):
        look(reader(b"<html>"))


@given(st.integers(0, len(OBJECT)), st.binary(max_size=64))
@example(3, b"!")
def test_a_torn_object_goes_on_after_its_last_whole_block(kept, garbage):
    torn = OBJECT[:kept] + garbage
    state = torn_checkpoint(reader(torn))
    assert state.source_offset == BLOCK_BYTES * sum(kept >= end for end in INDEX.object_offsets[1:])
    assert b"".join(source_range(reader(torn), state.index(), 0, state.source_offset)) == SOURCE[: state.source_offset]
    writer = BlockCompressor(state)
    rest = [*writer.compress(SOURCE[state.source_offset :]), writer.finish()[0]]
    assert torn[: state.object_offset] + b"".join(rest) == OBJECT


def test_nothing_garbage_and_ordinary_gzip_are_begun_anew():
    for torn in (b"", b"\x1f", bytes(100_000), SMALL, gzip.compress(SOURCE)):
        assert torn_checkpoint(reader(torn)) == NOTHING_YET
