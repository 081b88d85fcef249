"""Waveforms as paths of SVG: the bars of a channel around the middle of a box, in whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1200, 100
"""The box that paths are drawn in; pages stretch it."""
BARS = 300
"""What can be told apart on a wide screen."""
LEAST = 1
"""Half the height of silence: a line."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One channel: whose it is, their colour, and a path in the box."""

    name: str
    colour: int
    path: str


def bars_of(peaks: bytes, bars: int = BARS) -> list[int]:
    """The loudest of each share of a channel, 0 to 255; a short recording has as many bars as stretches."""
    count = len(peaks)
    bars = min(bars, count)
    return [max(peaks[n * count // bars : (n + 1) * count // bars]) for n in range(bars)]


def path_of(levels: Sequence[int], loudest: int) -> str:
    """Bars of these levels; the loudest of the call fills the box, so that quiet calls can be seen, too."""
    if not levels:
        return ""
    step, middle = WIDTH / len(levels), HEIGHT / 2
    wide = max(1, round(step * 0.7))
    parts = []
    for number, level in enumerate(levels):
        half = max(LEAST, round(level / max(loudest, 1) * (middle - 2)))
        parts.append(f"M{round(number * step)} {round(middle) - half}h{wide}v{2 * half}h-{wide}z")
    return "".join(parts)


def spoken(spans: Iterable[tuple[int, int]], seconds: float) -> str:
    """Blocks where somebody speaks: what is drawn while there is no waveform."""
    parts = []
    for start, end in spans:
        left, right = place_of(start, seconds), place_of(end, seconds)
        parts.append(f"M{left} 35h{max(2, right - left)}v30h-{max(2, right - left)}z")
    return "".join(parts)


def place_of(milliseconds: int, seconds: float) -> int:
    """Where a moment is in the box, from the left."""
    return round(min(1.0, max(0.0, milliseconds / 1000 / seconds)) * WIDTH) if seconds > 0 else 0
