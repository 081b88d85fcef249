"""US Social Security numbers: what the administration may have given out (SSA POMS RM 10201.030 and 10201.035)."""

from __future__ import annotations

from typing import Final

_PUBLISHED: Final = frozenset({"078051120", "219099999", "457555462"})
"""Printed in a wallet, a leaflet and an advertisement: the first two were voided, none says who somebody is."""


def is_ssn(digits: str) -> bool:
    """Whether nine ASCII digits can be someone's number: no area 000, 666 or 9xx, no group 00, no serial 0000."""
    return (
        len(digits) == 9
        and digits[:3] not in ("000", "666")
        and digits[0] != "9"
        and digits[3:5] != "00"
        and digits[5:] != "0000"
        and len(set(digits)) > 1
        and digits not in _PUBLISHED
    )
