"""Telephone-like WAV files to serve, and the manifest that says what is in them.

Runs as a process of its own: what numpy needs would otherwise stand in every contender's peak memory.
"""

from __future__ import annotations

import hashlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BASE_CALLS = 40
"""Different calls, 12 million frames, that all files are cut from."""
CHANNELS = 2
RATE_HZ = 8_000
QUIETER_BITS = 2
"""The sandbox speaks 12 dB louder than a telephone line; a quarter of that leaves 0.46 of a file after gzip."""
CODECS = {"alaw": ("ALAW", 1), "pcm": ("PCM_16", 2)}
"""libsndfile's names, and the bytes of a sample. A-law (ITU-T G.711) is what telephone lines carry; PCM is the same
before it was on one, without noise.

As much is left of both, and ISA-L's level 2 does 370 to 400 MB/s a core. zlib's level 6 does 11 and 15: A-law repeats
itself more often, which it follows to the end. Calls put together of an exchange's recorded prompts behave as A-law's.
"""
COMFORT_NOISE = 4
"""Standard deviation of what a line brings when nobody speaks, in steps of 16 bits: -78 dB of full scale."""


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


def make(root: Path, manifest: Path, folder: str, size: int, count: int, codec: str) -> None:
    """Write `count` different files of `size` bytes each below root/folder, and their manifest."""
    samples, frame_bytes = _samples(codec), CODECS[codec][1] * CHANNELS
    frames = len(samples) // frame_bytes
    header = _header(codec, (size - len(_header(codec, 0))) // frame_bytes)
    wanted = size - len(header)
    (root / folder).mkdir()
    lines = []
    for number in range(count):
        start = number * 7_919 * 101 % frames * frame_bytes  # primes: no two files begin alike
        repeats = -(-(start + wanted) // len(samples))
        body = header + (samples * repeats)[start : start + wanted]
        path = f"{folder}/{number:05d}.wav"
        (root / path).write_bytes(body)
        lines.append(f"{path} {len(body)} {hashlib.md5(body, usedforsecurity=False).hexdigest()}\n")
    manifest.write_text("".join(lines), encoding="ascii")


def _samples(codec: str) -> bytes:
    """All calls one after another."""
    import numpy as np

    from media_pipeline.sandbox import dialogue, phrases

    topics = list(phrases.TOPICS)
    calls = [dialogue.mix(dialogue.plan(number, topics[number % len(topics)])) for number in range(BASE_CALLS)]
    speech = np.concatenate(calls) >> QUIETER_BITS
    if codec == "alaw":
        speech = speech + np.random.default_rng(0).normal(0, COMFORT_NOISE, speech.shape)
    return _written("RAW", codec, speech.astype(np.int16))


def _header(codec: str, frames: int) -> bytes:
    """Of a WAV file of so many frames."""
    import numpy as np

    file = _written("WAV", codec, np.zeros((frames, CHANNELS), dtype=np.int16))
    return file[: len(file) - frames * CODECS[codec][1] * CHANNELS]


def _written(container: str, codec: str, samples: npt.NDArray[np.int16]) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format=container, subtype=CODECS[codec][0])
    return file.getvalue()


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
