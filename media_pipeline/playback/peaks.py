"""Waveforms: the loudest sample of each stretch of time, by channel, in bounded memory however long the recording.

Stored as JSON under `waveforms/`: version, sha256 of the source it was made of, seconds, reason (why there is none),
and channels: each a string of base64, a byte per stretch, 255 at full scale; all stretches but the last are equal.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float64]

MOST_STRETCHES = 2048
"""Of a channel; twice what a wide screen shows. There are half as many at least, unless the recording is short."""
FIRST_SECONDS = 0.01
MAX_RATE_HZ, MAX_CHANNELS = 768_000, 64
MAX_BYTES = 4 * MAX_CHANNELS * MOST_STRETCHES
"""Of a stored waveform."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Waveform:
    """What is drawn of one file; `reason` is set where nothing can be."""

    sha256: str
    seconds: float | None
    reason: str | None
    channels: tuple[bytes, ...]

    def encode(self) -> bytes:
        """As it is stored; equal waveforms have equal bytes."""
        facts = {
            "version": _VERSION,
            "sha256": self.sha256,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "reason": self.reason,
            "channels": [base64.b64encode(each).decode() for each in self.channels],
        }
        return json.dumps(facts, separators=(",", ":"), sort_keys=True).encode()


def decoded(data: bytes) -> Waveform | None:
    """The stored waveform; None for what is none, or of another version."""
    try:
        facts = json.loads(data)
        if facts["version"] != _VERSION:
            return None
        channels = tuple(base64.b64decode(each, validate=True) for each in facts["channels"])
        seconds = None if facts["seconds"] is None else float(facts["seconds"])
        if len({len(each) for each in channels}) > 1 or len(channels) > MAX_CHANNELS:
            return None
        return Waveform(str(facts["sha256"]), seconds, facts["reason"], channels)
    except (ValueError, TypeError, KeyError, binascii.Error):
        return None


class Peaks:
    """Takes samples as they come. When there are too many stretches, two and two become one."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        import numpy as np

        if not (0 < rate_hz <= MAX_RATE_HZ and 0 < channels <= MAX_CHANNELS):
            raise ValueError(f"{rate_hz} Hz and {channels} channels are no sound.")
        self._rate_hz, self._frames = rate_hz, 0
        self._per = max(1, round(rate_hz * FIRST_SECONDS))
        self._peaks: Samples = np.zeros((MOST_STRETCHES, channels))
        self._count = 0
        self._rest: Samples = np.empty((0, channels))

    def add(self, samples: Samples, clipped: int = 0) -> None:
        """Samples in units of full scale, shape (frames, channels)."""
        import numpy as np

        self._frames += len(samples)
        left = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        while len(left) >= self._per:
            stretches = min(len(left) // self._per, MOST_STRETCHES - self._count)
            frames = stretches * self._per
            loudest = np.abs(left[:frames]).reshape(stretches, self._per, -1).max(axis=1)
            self._peaks[self._count : self._count + stretches] = loudest
            self._count += stretches
            left = left[frames:]
            if self._count == MOST_STRETCHES:
                self._halve()
        self._rest = left.copy()

    def waveform(self, sha256: str) -> Waveform:
        """What was heard."""
        import numpy as np

        peaks = self._peaks[: self._count]
        if len(self._rest):
            peaks = np.concatenate([peaks, np.abs(self._rest).max(axis=0)[None]])
        levels = np.rint(np.clip(peaks, 0, 1) * 255).astype(np.uint8)
        channels = tuple(levels[:, each].tobytes() for each in range(levels.shape[1]))
        return Waveform(sha256, self._frames / self._rate_hz, None, channels)

    def _halve(self) -> None:
        import numpy as np

        half = MOST_STRETCHES // 2
        self._peaks[:half] = np.maximum(self._peaks[0::2], self._peaks[1::2])
        self._count, self._per = half, self._per * 2
