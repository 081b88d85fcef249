"""Samples to figures: level per channel, share of silence, share of samples at full scale. Exact, window by window.

Full scale is the largest magnitude a format can hold (1 << bits - 1; for G.711 that of 16 bits, which its codes expand
to), a level is RMS over full scale: a square wave at full scale has 0 dBFS, a sine -3.01, digital silence -inf.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from media_pipeline.privacy.silence import A_LAW, MU_LAW, PCM, SILENCE, Layout

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float64]

WINDOW_SECONDS = 0.02
SILENT_DBFS = -50.0
"""A window below it is silent: noise of a telephone line lies at -60 to -70, quiet speech above -40."""
MAX_RATE_HZ, MAX_CHANNELS = 768_000, 64


@dataclass(frozen=True, slots=True)
class Figures:
    """One file's figures: length in seconds, levels in dBFS and silence as a share of time by channel, silence in all
    channels at once, and the share of samples at full scale."""

    seconds: float
    levels_dbfs: tuple[float, ...]
    silence_ratios: tuple[float, ...]
    silence_ratio: float
    clipping_ratio: float


class Meter:
    """Takes samples as they come; raises ValueError for a rate or channels that cannot be."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        import numpy as np

        if not (0 < rate_hz <= MAX_RATE_HZ and 0 < channels <= MAX_CHANNELS):
            raise ValueError(f"{rate_hz} Hz and {channels} channels are no sound.")
        self._rate_hz = rate_hz
        self._window = max(1, round(rate_hz * WINDOW_SECONDS))
        self._frames = self._clipped = self._all_silent = 0
        self._energy = np.zeros(channels)
        self._silent = np.zeros(channels, dtype=np.int64)
        self._rest: Samples = np.empty((0, channels))

    def add(self, samples: Samples, clipped: int) -> None:
        """Samples in units of full scale, shape (frames, channels), and how many of them are at full scale."""
        import numpy as np

        self._clipped += clipped
        joined = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(joined) - len(joined) % self._window
        self._rest = joined[whole:].copy()
        if whole:
            self._take(joined[:whole].reshape(-1, self._window, joined.shape[1]))

    def figures(self) -> Figures:
        """What was measured; a last window that is not whole counts by its length."""
        if len(self._rest):
            self._take(self._rest[None])
            self._rest = self._rest[:0]
        frames, channels = max(self._frames, 1), len(self._energy)
        return Figures(
            seconds=self._frames / self._rate_hz,
            levels_dbfs=tuple(_dbfs(float(energy) / frames) for energy in self._energy),
            silence_ratios=tuple(float(silent) / frames for silent in self._silent),
            silence_ratio=self._all_silent / frames,
            clipping_ratio=self._clipped / (frames * channels),
        )

    def _take(self, windows: Samples) -> None:
        """Windows of equal length, shape (windows, frames, channels)."""
        import numpy as np

        energy = np.square(windows).sum(axis=1)
        length = windows.shape[1]
        silent = energy / length <= 10 ** (SILENT_DBFS / 10)
        self._frames += windows.shape[0] * length
        self._energy += energy.sum(axis=0)
        self._silent += silent.sum(axis=0) * length
        self._all_silent += int(silent.all(axis=1).sum()) * length


def _dbfs(power: float) -> float:
    return 10 * math.log10(power) if power > 0 else -math.inf


def samples_of(layout: Layout) -> Callable[[bytes], tuple[Samples, int]]:
    """How whole frames of such a file become samples, with the number of those at full scale."""
    law = next(
        tag for (tag, bits), byte in SILENCE.items() if (bits // 8, byte) == (layout.sample_bytes, layout.silence)
    )
    convert = (
        _of_codes(law) if law in (A_LAW, MU_LAW) or layout.sample_bytes == 1 else _of_integers(layout.sample_bytes)
    )

    def converted(data: bytes) -> tuple[Samples, int]:
        samples, clipped = convert(data)
        return samples.reshape(-1, layout.channels), clipped

    return converted


def _of_codes(tag: int) -> Callable[[bytes], tuple[Samples, int]]:
    """One byte a sample, by a table of 256 values."""
    import numpy as np

    codes = {PCM: lambda code: (code - 128) * 256, A_LAW: a_law, MU_LAW: mu_law}[tag]
    table = np.array([codes(code) for code in range(256)], dtype=np.float64)
    at_full_scale = (table == table.max()) | (table == table.min())

    def convert(data: bytes) -> tuple[Samples, int]:
        indices = np.frombuffer(data, dtype=np.uint8)
        return table[indices] / 32_768, int(np.count_nonzero(at_full_scale[indices]))

    return convert


def _of_integers(sample_bytes: int) -> Callable[[bytes], tuple[Samples, int]]:
    """Signed little-endian integers of 2, 3 or 4 bytes."""
    import numpy as np

    full = 1 << 8 * sample_bytes - 1

    def convert(data: bytes) -> tuple[Samples, int]:
        if sample_bytes == 3:
            wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
            wide[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
            whole = wide.view("<i4")[:, 0] >> 8
        else:
            whole = np.frombuffer(data, dtype=f"<i{sample_bytes}")
        samples = whole.astype(np.float64)
        clipped = np.count_nonzero(samples >= full - 1) + np.count_nonzero(samples <= -full)
        return samples / full, int(clipped)

    return convert


def a_law(code: int) -> int:
    """The 16-bit value of an A-law code (ITU-T G.711, table 1: 13 bits, shifted left by 3)."""
    code ^= 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    magnitude = (mantissa << 4) + 8 if exponent == 0 else (mantissa << 4) + 0x108 << exponent - 1
    return magnitude if code & 0x80 else -magnitude


def mu_law(code: int) -> int:
    """The 16-bit value of a mu-law code (ITU-T G.711, table 2: 14 bits, shifted left by 2)."""
    code = ~code & 0xFF
    magnitude = (((code & 15) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude
