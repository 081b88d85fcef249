"""A film's thumbnail, made in a process of its own with limits on time, memory and output; or why there is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from media_pipeline.interactions.content import HEAD_BYTES, content_of
from media_pipeline.interactions.frame_child import DEMUXERS

CHILD = Path(__file__).with_name("frame_child.py")
MOST_MS = 2**31 - 1
"""Of a film's length, and more than any of its sides: what the table's columns hold."""
WIDTH, HEIGHT = 320, 240
"""Pixels of the thumbnail (guide 004)."""
_TOLD_REASONS = ("no_video", "all_blank", "too_large", "no_decoder")
PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")
"""Of the environment: what finds the decoder, and no secret."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one film may cost. 8K frames (33 Mpixel) need about 700 MB with H.264's references; a second of 1080p
    decodes in about 0.1 s."""

    seconds: int = 30
    address_bytes: int = 1 << 30
    film_bytes: int = 1 << 29
    pixels: int = 7680 * 4320
    jpeg_bytes: int = 1 << 20


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A JPEG of 320 x 240, where in the film its frame stands, and the film's size in pixels."""

    jpeg: bytes
    frame_ms: int
    source_width: int
    source_height: int


def child_environment() -> dict[str, str]:
    """What a process that decodes is given of our environment."""
    return {key: value for key in PASSED_ON if (value := os.environ.get(key)) is not None}


class NoThumbnail(Exception):
    """There is none: `reason` is corrupt, empty, no_video, all_blank, timeout, too_large or no_decoder."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decoder_missing() -> str | None:
    """What to do when PyAV is not installed; None when it is."""
    from importlib.util import find_spec

    if find_spec("av"):
        return None
    return (
        "Thumbnails need PyAV, which is not installed: install the extra interactions (media-pipeline[interactions])."
    )


def thumbnail_of(film: Path, limits: Limits = LIMITS) -> Thumbnail:
    """The first frame that shows something, letterboxed; raises NoThumbnail. Takes 0.2 s for a short film."""
    size = film.stat().st_size
    if size == 0:
        raise NoThumbnail("empty")
    if size > limits.film_bytes:
        raise NoThumbnail("too_large")
    with film.open("rb") as file:
        name = content_of(file.read(HEAD_BYTES), whole=size <= HEAD_BYTES).format
    if name not in DEMUXERS:
        raise NoThumbnail("corrupt")
    with tempfile.TemporaryFile(dir=film.parent) as output:
        status = _run(film, name, limits, output.fileno())
        output.seek(0)
        said, _, jpeg = output.read(limits.jpeg_bytes).partition(b"\n")
    if status in (-signal.SIGKILL, -signal.SIGXCPU):
        raise NoThumbnail("timeout")
    return _told(said if status == 0 else b"", jpeg)


def _run(film: Path, name: str, limits: Limits, output: int) -> int:
    """The child's exit status; it is killed when its time is over, whatever it does."""
    numbers = (limits.address_bytes, limits.seconds, limits.jpeg_bytes, WIDTH, HEIGHT, limits.pixels)
    child = subprocess.Popen(  # noqa: S603  our own interpreter and file
        # -P: the folder of the script is not where modules are looked for
        [sys.executable, "-B", "-P", str(CHILD), str(film), name, *map(str, numbers)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.DEVNULL,  # FFmpeg may quote what is in the film
        env=child_environment(),
        cwd=film.parent,
    )
    try:
        return child.wait(limits.seconds)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
    finally:
        child.kill()
        child.wait()


def _told(said: bytes, jpeg: bytes) -> Thumbnail:
    """What the child says, without trust: a film may have made it say anything."""
    try:
        facts = json.loads(said)
        if reason := facts.get("reason"):
            raise NoThumbnail(reason if reason in _TOLD_REASONS else "corrupt")
        numbers = [facts[name] for name in ("frame_ms", "source_width", "source_height")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NoThumbnail("corrupt") from None
    whole = jpeg.startswith(b"\xff\xd8") and jpeg.endswith(b"\xff\xd9")
    if not whole or not all(type(each) is int and 0 <= each <= MOST_MS for each in numbers):
        raise NoThumbnail("corrupt")
    return Thumbnail(jpeg, *numbers)
