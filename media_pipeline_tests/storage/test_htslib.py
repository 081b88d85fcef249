"""Other people's tools read our objects: gunzip all of them, htslib's bgzip any range of them with our index."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from media_pipeline.storage.bgzf import BLOCK_BYTES
from media_pipeline.storage.gzi import INDEX_SUFFIX, BlockIndex
from media_pipeline.storage.ranges import rebuilt_index, source_range
from media_pipeline_tests.programs import program
from media_pipeline_tests.storage.blocks import NOISE, blocked, reader, source_of

SIZES = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES, 400_000]
INDEXED_SIZES = SIZES[1:]
"""For an empty source, which is never stored, htslib 1.16 writes a count of 2^64 - 1, one less than none; ours is 0."""
Run = Callable[..., bytes]


@pytest.fixture(scope="module")
def htslib() -> Run:
    """Run one of Debian's tabix package's programs; returns what it prints."""
    for name in ("bgzip", "htsfile"):
        program(name, "tabix")
    return lambda *command: subprocess.run([*map(str, command)], check=True, capture_output=True).stdout


def mixed(size: int) -> bytes:
    """Blocks that are deflated, then blocks that are stored."""
    return source_of(size // 2, noisy=False) + NOISE[: size - size // 2]


def stored_in(folder: Path, source: bytes) -> Path:
    """The object, with its index beside it."""
    path = folder / "call.wav.gz"
    compressed, index = blocked(source)
    path.write_bytes(compressed)
    path.with_name(path.name + INDEX_SUFFIX).write_bytes(index.encode())
    return path


@pytest.mark.parametrize("size", SIZES)
def test_gunzip_restores_the_source(tmp_path, size):
    path = stored_in(tmp_path, mixed(size))
    assert subprocess.run(["gunzip", "-c", path], check=True, capture_output=True).stdout == mixed(size)
    subprocess.run(["gunzip", "-t", path], check=True)


@pytest.mark.parametrize("size", SIZES)
def test_bgzip_reads_any_range_with_our_index(htslib: Run, tmp_path, size):
    source = mixed(size)
    path = stored_in(tmp_path, source)
    rng = random.Random(size)
    ranges = [(0, size), (BLOCK_BYTES - 1, 2), (BLOCK_BYTES, 1)]
    ranges += [
        (start, rng.randint(1, size - start)) for start in (rng.randrange(size) for _ in range(10 if size else 0))
    ]
    for start, length in ranges:
        if length > 0 and start + length <= size:
            assert htslib("bgzip", "-b", start, "-s", length, path) == source[start : start + length]


@pytest.mark.parametrize("size", INDEXED_SIZES)
def test_bgzip_makes_the_same_index(htslib: Run, tmp_path, size):
    path = stored_in(tmp_path, mixed(size))
    index = path.with_name(path.name + INDEX_SUFFIX)
    ours = index.read_bytes()
    index.unlink()
    htslib("bgzip", "-r", path)
    assert index.read_bytes() == ours


@pytest.mark.parametrize("size", SIZES)
def test_htslib_finds_nothing_wrong(htslib: Run, tmp_path, size):
    path = stored_in(tmp_path, mixed(size))
    htslib("bgzip", "-t", path)
    assert b"BGZF-compressed" in htslib("htsfile", path)


@pytest.mark.parametrize("size", INDEXED_SIZES)
def test_what_bgzip_writes_is_read_by_us(htslib: Run, tmp_path, size):
    source = mixed(size)
    (tmp_path / "theirs").write_bytes(source)
    htslib("bgzip", "-i", tmp_path / "theirs")
    data = (tmp_path / "theirs.gz").read_bytes()
    index = BlockIndex.decode((tmp_path / f"theirs.gz{INDEX_SUFFIX}").read_bytes())
    assert rebuilt_index(reader(data)) == index
    assert b"".join(source_range(reader(data), index, 0, size)) == source
