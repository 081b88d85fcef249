"""What we say of an interaction ourselves: its media, their length and format, where they lie, how they sound.

Keys are `archive.<figure>`; of an interaction with several media objects `archive.<n>.<figure>`, n from 1 in the order
of media ids, so that no foreign id ever becomes part of a key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from media_pipeline.genesys.source import Annotation
from media_pipeline.interactions.annotations import RESERVED_PREFIX
from media_pipeline.interactions.levels import Figures
from media_pipeline.interactions.sound import Unmeasured

MEASURE_VERSION = "1"
"""Of the figures: those of another version are measured anew."""
TECHNICAL, ANALYTICS = "technical", "analytics"
_DURATION = "duration_seconds"
_MEASURED = ("silence_ratio", "clipping_ratio", "level_dbfs")
UNMEASURED = "quality_unmeasured"

Measure = Callable[[str], Figures]
"""Of an object by its key; raises Unmeasured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """One media object as the tables know it; `object_key` and `sha256` where it is stored, `covered_ms` where it is
    the only file of a recording with a transcript."""

    media_id: str
    media_type: str | None
    format: str | None
    duration_seconds: float | None
    object_key: str | None
    sha256: str | None
    covered_ms: int | None


@dataclass(frozen=True, slots=True)
class Derived:
    """An interaction's annotations of our own, and how many objects were measured, and how many had been before."""

    annotations: list[Annotation]
    measured: int
    reused: int


def annotations_of(media: Sequence[Medium], earlier: Mapping[str, str], measure: Measure) -> Derived:
    """Annotations of an interaction; `earlier`: values by key that were derived before, whose figures hold while the
    object's SHA-256 does."""
    found: list[Annotation] = []
    measured = reused = 0
    for number, medium in enumerate(sorted(media, key=lambda one: one.media_id), 1):
        prefix = f"{number}." if len(media) > 1 else ""
        figures: dict[str, str] = {}
        if medium.object_key is not None and medium.sha256 is not None:
            figures = _before(earlier, prefix, medium.sha256)
            reused += bool(figures)
            if not figures:
                measured += 1
                figures = _figures(medium.object_key, measure)
        found += _of_medium(medium, prefix, figures)
    return Derived(found, measured, reused)


def _of_medium(medium: Medium, prefix: str, figures: Mapping[str, str]) -> list[Annotation]:
    seconds = figures.get(_DURATION) or _text(medium.duration_seconds, 3)
    technical = {
        "recording": medium.media_id if prefix else None,
        "media_type": medium.media_type or "unknown",
        "format": medium.format,
        _DURATION: seconds,
        "object_key": medium.object_key,
        "sha256": medium.sha256,
    }
    analytics = {name: value for name, value in figures.items() if name != _DURATION}
    if medium.covered_ms is not None and seconds is not None and float(seconds) > 0:
        analytics["transcript_coverage"] = f"{min(1.0, medium.covered_ms / 1000 / float(seconds)):.4f}"
    return [
        Annotation(key=RESERVED_PREFIX + prefix + name, value=value, category=category)
        for category, values in ((TECHNICAL, technical), (ANALYTICS, analytics))
        for name, value in values.items()
        if value is not None
    ]


def _figures(object_key: str, measure: Measure) -> dict[str, str]:
    try:
        found = measure(object_key)
    except Unmeasured as error:
        return {UNMEASURED: error.reason}
    figures = {
        _DURATION: f"{found.seconds:.3f}",
        "silence_ratio": f"{found.silence_ratio:.4f}",
        "clipping_ratio": f"{found.clipping_ratio:.6f}",
    }
    for channel, (level, silence) in enumerate(zip(found.levels_dbfs, found.silence_ratios, strict=True)):
        figures[f"level_dbfs.{channel}"] = "-inf" if math.isinf(level) else f"{level:.1f}"
        figures[f"silence_ratio.{channel}"] = f"{silence:.4f}"
    return figures


def _before(earlier: Mapping[str, str], prefix: str, sha256: str) -> dict[str, str]:
    """The figures of the same bytes; none when there are not all of them."""
    begin = RESERVED_PREFIX + prefix
    if earlier.get(f"{begin}sha256") != sha256 or f"{begin}{UNMEASURED}" in earlier:
        return {}
    figures = {key.removeprefix(begin): value for key, value in earlier.items() if key.startswith(begin)}
    kept = {name: value for name, value in figures.items() if name.startswith((*_MEASURED, _DURATION))}
    return kept if all(any(name.startswith(each) for name in kept) for each in (*_MEASURED, _DURATION)) else {}


def _text(number: float | None, digits: int) -> str | None:
    return None if number is None else f"{number:.{digits}f}"
