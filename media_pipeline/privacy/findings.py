"""What a detector finds: a type and a half-open range of code points, never the value itself."""

from __future__ import annotations

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
        if not any(finding.overlaps(other) for other in kept):
            kept.append(finding)
    return sorted(kept)
