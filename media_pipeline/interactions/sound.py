"""Quality figures of stored audio: length, level, silence and clipping, measured while it streams by.

WAV with samples that stand alone (PCM of 8 to 32 bits, G.711) is measured here, sample by sample; everything else is
decoded by a process of its own (`sound_child`), which a hostile file may end, and nothing else. Memory stays below a
few MB, however long the recording.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, TypeVar

from media_pipeline.interactions.content import HEAD_BYTES, content_of
from media_pipeline.interactions.levels import Figures, Meter, samples_of
from media_pipeline.interactions.sound_child import DEMUXERS
from media_pipeline.interactions.thumbnail import child_environment
from media_pipeline.privacy.silence import MAX_HEADER_BYTES, CannotSilence, Layout, read_layout
from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.ranges import UnreadableError
from media_pipeline.storage.restore import source_pieces

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CHILD = Path(__file__).with_name("sound_child.py")
CHILD_ADDRESS_BYTES = 1 << 30
CHILD_SECONDS = 900
"""Of wall time and of CPU: ten hours of MP3 decode in about two minutes."""
ENDS_SECONDS = 5.0
"""Between the end of a child's output and its own."""
_FRAMES_BYTES = 256 * 1024


class Listener(Protocol):
    """Takes samples as they come."""

    def add(self, samples: npt.NDArray[np.float64], clipped: int, /) -> None:
        """Samples in units of full scale, shape (frames, channels), and how many of them are at full scale."""


Ear = TypeVar("Ear", bound=Listener)


class Unmeasured(Exception):
    """There are no figures: `reason` is no_object, damaged, not_audio, no_decoder, undecodable or timeout."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def measured_object(store: ObjectStore, key: str) -> Figures:
    """Figures of a gzip object; raises Unmeasured, StorageError."""
    return heard_object(store, key, Meter).figures()


def measured(pieces: Iterator[bytes]) -> Figures:
    """Figures of a file that comes piece by piece; raises Unmeasured, and what iterating raises."""
    return heard(pieces, Meter).figures()


def heard_object(store: ObjectStore, key: str, begin: Callable[[int, int], Ear]) -> Ear:
    """A gzip object's samples, given to the listener that `begin` makes; raises Unmeasured, StorageError."""
    file = store.open(key)
    if file is None:
        raise Unmeasured("no_object")
    with file:
        try:
            return heard(source_pieces(file), begin)
        except UnreadableError:
            raise Unmeasured("damaged") from None


def heard(pieces: Iterator[bytes], begin: Callable[[int, int], Ear]) -> Ear:
    """The samples of a file that comes piece by piece, given to a listener; `begin` takes rate in Hz and channels.

    Raises Unmeasured, and what iterating raises. A ValueError of `begin` means that there is no such sound.
    """
    head = b""
    try:
        for piece in pieces:
            head += piece
            if (layout := read_layout(head)) is not None:
                return _of_samples(layout, head, pieces, begin)
            if len(head) > MAX_HEADER_BYTES:
                break
    except CannotSilence:
        pass  # a format that has to be decoded
    return _decoded(head, pieces, begin)


def _of_samples(layout: Layout, head: bytes, pieces: Iterator[bytes], begin: Callable[[int, int], Ear]) -> Ear:
    try:
        ear = begin(layout.rate_hz, layout.channels)
    except ValueError:
        raise Unmeasured("undecodable") from None
    convert = samples_of(layout)
    left = layout.size
    rest = b""
    for piece in chain((head[layout.offset :],), pieces):
        data = rest + (piece if left is None else piece[:left])
        if left is not None:
            left -= min(left, len(piece))
        whole = len(data) - len(data) % layout.frame_bytes
        rest = data[whole:]
        if whole:
            ear.add(*convert(data[:whole]))
    return ear


def _decoded(head: bytes, pieces: Iterator[bytes], begin: Callable[[int, int], Ear]) -> Ear:
    while len(head) < HEAD_BYTES and (piece := next(pieces, b"")):
        head += piece
    name = content_of(head[:HEAD_BYTES], whole=len(head) < HEAD_BYTES).format
    if name not in DEMUXERS:
        raise Unmeasured("not_audio")
    if find_spec("av") is None:
        raise Unmeasured("no_decoder")
    child = subprocess.Popen(  # noqa: S603  our own interpreter and file
        # -P: the folder of the script is not where modules are looked for
        [sys.executable, "-B", "-P", str(CHILD), name, str(CHILD_ADDRESS_BYTES), str(CHILD_SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # FFmpeg may quote what is in the file
        env=child_environment(),
    )
    assert child.stdin
    assert child.stdout
    feeder = _Feeder(child.stdin, chain((head,), pieces))
    feeder.start()
    alarm = threading.Timer(CHILD_SECONDS, child.kill)
    alarm.start()
    try:
        ear = _of_frames(child.stdout, begin)
        with suppress(subprocess.TimeoutExpired):
            child.wait(ENDS_SECONDS)
    finally:
        alarm.cancel()
        child.kill()
        child.wait()
        child.stdout.close()
        feeder.join()
    if feeder.error is not None:
        raise feeder.error
    if child.returncode in (-signal.SIGKILL, -signal.SIGXCPU):
        raise Unmeasured("timeout")
    if ear is None or child.returncode != 0:
        raise Unmeasured("undecodable")
    return ear


def _of_frames(stream: IO[bytes], begin: Callable[[int, int], Ear]) -> Ear | None:
    """What the child tells: a line with rate and channels, then samples as 32-bit floats; without trust."""
    import numpy as np

    try:
        facts = json.loads(stream.readline(1_000))
        rate_hz, channels = int(facts["rate_hz"]), int(facts["channels"])
        ear = begin(rate_hz, channels)
    except (ValueError, KeyError, TypeError):
        return None
    frame_bytes, rest = 4 * channels, b""
    while data := stream.read(_FRAMES_BYTES):
        data = rest + data
        whole = len(data) - len(data) % frame_bytes
        rest = data[whole:]
        floats: npt.NDArray[np.float64] = np.frombuffer(data[:whole], dtype="<f4").astype(np.float64)
        floats = np.nan_to_num(floats, nan=0.0, posinf=1.0, neginf=-1.0)
        ear.add(floats.reshape(-1, channels), int(np.count_nonzero(np.abs(floats) >= FULL_SCALE_FLOAT)))
    return ear


FULL_SCALE_FLOAT = 1 - 2**-15
"""A decoded sample that 16 bits cannot tell from full scale; decoders overshoot where the source was clipped."""


class _Feeder(threading.Thread):
    """Writes a file to the child while its output is read."""

    def __init__(self, sink: IO[bytes], pieces: Iterator[bytes]) -> None:
        super().__init__(name="sound-feeder", daemon=True)
        self._sink, self._pieces = sink, pieces
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with self._sink:
                for piece in self._pieces:
                    self._sink.write(piece)
        except BrokenPipeError:
            pass  # the child has had enough
        except Exception as error:
            self.error = error


__all__ = ["Figures", "Unmeasured", "heard", "heard_object", "measured", "measured_object"]
