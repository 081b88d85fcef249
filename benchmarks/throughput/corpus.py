"""Telephone-like WAV files to serve, and the manifest that says what is in them.

Runs as a process of its own: what numpy needs would otherwise stand in every contender's peak memory.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

BASE_CALLS = 40
"""Different calls, about 50 MB of samples, that all files are cut from."""
QUIETER_BITS = 2
"""The sandbox speaks 12 dB louder than a telephone line; a quarter of that leaves 0.46 of a file after gzip."""
FRAME_BYTES = 4
CHANNELS = 2


@dataclass(frozen=True, slots=True)
class Item:
    """One served file: its path below the server's root, size in bytes, and MD5 in hex."""

    path: str
    size: int
    md5: str

    @property
    def stored_as(self) -> str:
        """The name every contender gives its gzip object."""
        return Path(self.path).name + ".gz"


def read_manifest(path: Path, count: int | None = None) -> list[Item]:
    """The first `count` files of a manifest, all without a count."""
    lines = path.read_text(encoding="ascii").splitlines()[:count]
    return [Item(name, int(size), md5) for name, size, md5 in (line.split() for line in lines)]


def make(root: Path, manifest: Path, folder: str, size: int, count: int) -> None:
    """Write `count` different files of `size` bytes each below root/folder, and their manifest."""
    from media_pipeline.sandbox.audio import WAV_HEADER_BYTES, wav_header

    samples = _samples()
    frames = len(samples) // FRAME_BYTES
    (root / folder).mkdir()
    lines = []
    for number in range(count):
        start = number * 7_919 * 101 % frames * FRAME_BYTES  # primes: no two files begin alike
        wanted = size - WAV_HEADER_BYTES
        repeats = -(-(start + wanted) // len(samples))
        body = wav_header(wanted, channels=CHANNELS) + (samples * repeats)[start : start + wanted]
        path = f"{folder}/{number:05d}.wav"
        (root / path).write_bytes(body)
        lines.append(f"{path} {len(body)} {hashlib.md5(body, usedforsecurity=False).hexdigest()}\n")
    manifest.write_text("".join(lines), encoding="ascii")


def _samples() -> bytes:
    import numpy as np

    from media_pipeline.sandbox import dialogue, phrases

    topics = list(phrases.TOPICS)
    calls = [dialogue.mix(dialogue.plan(number, topics[number % len(topics)])) for number in range(BASE_CALLS)]
    return bytes((np.concatenate(calls) >> QUIETER_BITS).astype("<i2").tobytes())


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
