"""What a detector finds: a type and a half-open range of code points, never the value itself."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

PHONE_NUMBER: Final = "PHONE_NUMBER"
EMAIL_ADDRESS: Final = "EMAIL_ADDRESS"
CREDIT_CARD: Final = "CREDIT_CARD"
US_SSN: Final = "US_SSN"

TYPES: Final = (EMAIL_ADDRESS, CREDIT_CARD, US_SSN, PHONE_NUMBER)
"""In the order in which they win where two overlap: what has a checksum or a syntax goes before what has neither."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """text[start:end], in code points, is of this type."""

    start: int
    end: int
    type: str

    def overlaps(self, other: Finding) -> bool:
        """Whether they share a code point."""
        return self.start < other.end and other.start < self.end


def settled(found: Iterable[Finding]) -> list[Finding]:
    """Sorted and without overlaps: of two that overlap the type's rank decides, then the longer, then the earlier."""
    kept: list[Finding] = []
    for finding in sorted(found, key=lambda one: (TYPES.index(one.type), one.start - one.end, one.start)):
        at = bisect_left(kept, finding)
        if not any(finding.overlaps(beside) for beside in kept[max(0, at - 1) : at + 1]):
            kept.insert(at, finding)
    return kept


class Spans:
    """Ranges of a text, and whether another one touches any of them."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start < self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def touched(self, start: int, end: int) -> int | None:
        """Where the last one begins that shares a code point with [start, end); None when none does."""
        at = bisect_left(self._starts, end) - 1
        return self._starts[at] if at >= 0 and self._ends[at] > start else None
