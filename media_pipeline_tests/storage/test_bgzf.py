"""Blocked gzip restores the source anywhere, is the same however it was written, and goes on after any block."""

import dataclasses
import gzip
import json
import random
import struct
from array import array
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media_pipeline.sandbox import audio, dialogue
from media_pipeline.storage import bgzf
from media_pipeline.storage.bgzf import (
    BLOCK_BYTES,
    EOF_BLOCK,
    GROUP_BLOCKS,
    HEADER,
    HEADER_BYTES,
    NOTHING_YET,
    SAMPLE_BLOCKS,
    BlockCompressor,
    Checkpoint,
)
from media_pipeline.storage.gzi import MAX_BLOCK_BYTES, BlockIndex
from media_pipeline_tests.storage.blocks import NOISE, blocked, source_of

SIZES = st.one_of(
    st.integers(0, 400),
    st.integers(-3, 3).flatmap(lambda near: st.integers(1, 3).map(lambda n: n * BLOCK_BYTES + near)),
)


@pytest.fixture(scope="module")
def call() -> bytes:
    """A telephone call on two channels."""
    return audio.encode(dialogue.mix(dialogue.plan(7, "billing")), "wav")


@given(size=SIZES, noisy=st.booleans(), cuts=st.lists(st.integers(0, 4 * BLOCK_BYTES), max_size=12))
@example(size=0, noisy=False, cuts=[])
@example(size=2 * BLOCK_BYTES, noisy=True, cuts=[BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1])
def test_any_gunzip_restores_the_source_and_the_object_does_not_depend_on_the_writes(size, noisy, cuts):
    source = source_of(size, noisy)
    whole = blocked(source)
    assert gzip.decompress(whole[0]) == source
    compressor = BlockCompressor()
    edges = [0, *sorted(min(cut, size) for cut in cuts), size]
    pieces = [piece for start, stop in pairwise(edges) for piece in compressor.compress(memoryview(source)[start:stop])]
    rest, index = compressor.finish()
    assert (b"".join(pieces) + rest, index) == whole


def test_an_empty_source_is_the_eof_block_of_the_specification():
    marker = "1f8b08040000000000ff0600424302001b0003000000000000000000"
    assert blocked(b"") == (bytes.fromhex(marker), BlockIndex(array("Q", [0]), array("Q", [0])))


def test_every_block_has_htslibs_header_and_tells_its_size(call):
    compressed, index = blocked(call)
    ends = [*index.object_offsets[1:], len(compressed) - len(EOF_BLOCK)]
    for start, end in zip(index.object_offsets, ends, strict=True):
        assert compressed[start : start + len(HEADER)] == HEADER
        assert int.from_bytes(compressed[start + len(HEADER) : start + HEADER_BYTES], "little") + 1 == end - start
    assert compressed[ends[-1] :] == EOF_BLOCK
    assert list(index.source_offsets) == list(range(0, len(call), BLOCK_BYTES))


def test_speech_becomes_as_small_as_one_gzip_stream_makes_it(call):
    from isal import isal_zlib

    assert len(blocked(call)[0]) <= 1.02 * len(isal_zlib.compress(call, 2, 31))


@pytest.mark.parametrize("size", [BLOCK_BYTES, 2_000_000])
def test_what_does_not_shrink_grows_by_less_than_a_thousandth(size):
    compressed, _ = blocked(random.Random(1).randbytes(size))
    assert len(compressed) <= 1.001 * size
    assert HEADER_BYTES + 5 + BLOCK_BYTES + 8 <= MAX_BLOCK_BYTES


def test_a_block_whose_deflate_takes_more_than_its_content_is_stored(monkeypatch):
    monkeypatch.setattr(bgzf.igzip_lib, "compress", lambda content, *_, **__: bytes(len(content) + 300))
    source = source_of(BLOCK_BYTES + 9, noisy=False)
    compressed, _ = blocked(source)
    assert gzip.decompress(compressed) == source


@pytest.mark.parametrize("codec", ["mp3", "ogg"])
def test_compressed_media_is_stored_after_a_sample(codec):
    media = audio.encode(dialogue.mix(dialogue.plan(7, "billing")), codec)
    media *= 8 * BLOCK_BYTES // len(media) + 1
    compressed, index = blocked(media)
    for block in range(SAMPLE_BLOCKS, len(index.object_offsets) - 1):
        assert is_stored(compressed, index, block)
    assert gzip.decompress(compressed) == media


def test_what_shrinks_again_later_is_found_by_the_next_sample():
    noise = random.Random(2).randbytes(3 * BLOCK_BYTES)
    source = noise + bytes((2 * GROUP_BLOCKS - 3) * BLOCK_BYTES) + noise
    compressed, index = blocked(source)
    stored = [is_stored(compressed, index, block) for block in range(len(index.object_offsets))]
    assert stored == [True] * GROUP_BLOCKS + [False] * GROUP_BLOCKS + [True] * 3
    assert gzip.decompress(compressed) == source


def is_stored(compressed: bytes, index: BlockIndex, block: int) -> bool:
    """Whether the block's content stands in it as it is (RFC 1951, section 3.2.4: BTYPE 00 in a final block)."""
    return compressed[index.object_offsets[block] + HEADER_BYTES] == 1


def test_a_writer_killed_at_any_block_and_resumed_writes_the_same_object():
    source = NOISE[: 4 * BLOCK_BYTES] + bytes(GROUP_BLOCKS * BLOCK_BYTES) + NOISE[: 2 * BLOCK_BYTES] + b"the end"
    whole = blocked(source)
    blocks = len(source) // BLOCK_BYTES
    for killed_after in range(blocks + 1):
        first = BlockCompressor()
        written = b"".join(first.compress(source[: killed_after * BLOCK_BYTES + 100 * (killed_after % 3)]))
        state = Checkpoint(**json.loads(json.dumps(dataclasses.asdict(first.checkpoint()))))
        assert state.source_offset == killed_after * BLOCK_BYTES
        assert state.object_offset == len(written)
        second = BlockCompressor(state)
        assert second.checkpoint() == state
        written += b"".join(second.compress(source[state.source_offset :]))
        rest, index = second.finish()
        assert (written + rest, index) == whole


def test_a_new_writer_begins_at_nothing():
    assert BlockCompressor().checkpoint() == NOTHING_YET
    assert NOTHING_YET.index() == BlockIndex(array("Q", [0]), array("Q", [0]))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ((BLOCK_BYTES, 100, ()), "0 blocks hold 0 bytes of source, and the checkpoint says 65280"),
        ((0, 5, ()), "The first block of an index begins at 0"),
        ((BLOCK_BYTES, 100, (4,)), "The first block of an index begins at 0"),
        ((BLOCK_BYTES, 0, (0,)), "block 1 begins 0 bytes after"),
        ((BLOCK_BYTES, 70_000, (0,)), "block 1 begins 70000 bytes after"),
        ((BLOCK_BYTES, -1, (0,)), "not all whole numbers from 0 on"),
        ((BLOCK_BYTES, "100", (0,)), "not all whole numbers from 0 on"),
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        Checkpoint(*fields)


@given(st.lists(st.tuples(st.integers(28, MAX_BLOCK_BYTES), st.integers(1, MAX_BLOCK_BYTES)), max_size=30))
def test_an_index_survives_its_file(steps):
    index = BlockIndex(array("Q", [0]), array("Q", [0]))
    for in_object, in_source in steps:
        index.object_offsets.append(index.object_offsets[-1] + in_object)
        index.source_offsets.append(index.source_offsets[-1] + in_source)
    data = index.encode()
    pairs = [*zip(index.object_offsets, index.source_offsets, strict=True)][1:]
    assert data == struct.pack("<Q", len(pairs)) + b"".join(struct.pack("<QQ", *pair) for pair in pairs)
    assert BlockIndex.decode(data) == index
    for length in range(len(data)):
        with pytest.raises(ValueError, match="The index"):
            BlockIndex.decode(data[:length])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([1], "announces 1 blocks and has the bytes of 0"),
        ([0, 100, 200], "announces 0 blocks and has the bytes of 1"),
        ([2**63, 100, 200], "announces 9223372036854775808 blocks"),
        ([1, 0, 65_280], "block 1 begins 0 bytes after the one before it in the object"),
        ([1, 100, 0], "block 1 begins 0 bytes after the one before it in the source"),
        ([1, 65_537, 65_280], "begins 65537 bytes after the one before it in the object, and 28 to 65536 are possible"),
        ([2, 100, 65_280, 90, 130_560], "block 2 begins -10 bytes after"),
    ],
)
def test_an_index_that_contradicts_itself_is_refused(words, sentence):
    with pytest.raises(ValueError, match=sentence):
        BlockIndex.decode(array("Q", words).tobytes())


def test_offsets_that_do_not_pair_are_no_index():
    for offsets in ([], [0, 100]):
        with pytest.raises(ValueError, match="one offset in the object and one in the source"):
            BlockIndex(array("Q", offsets), array("Q", [0] * (len(offsets) // 2)))
