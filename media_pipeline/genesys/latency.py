"""How long calls took, by operation, in memory that does not grow with their number.

A logarithmic histogram with 1 % relative error (the one DDSketch proves). Of our own, because a step's figures are the
difference of two snapshots of its run's, which the libraries' sketches cannot be subtracted for.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate

ACCURACY = 0.01
_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
_SHORTEST_MS, _LONGEST_MS = 0.01, 3_600_000.0
"""Shorter and longer ones count as these: about 990 buckets an operation at most."""

Buckets = Counter[tuple[str, int]]
"""Calls by operation and bucket."""


@dataclass(frozen=True, slots=True)
class Latency:
    """One operation's calls: how many, and the time in ms that 50, 95 and 99 % of them stayed within."""

    calls: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


def bucket_of(seconds: float) -> int:
    """The bucket of one call's time."""
    return math.ceil(math.log(min(max(seconds * 1000, _SHORTEST_MS), _LONGEST_MS)) / _LOG_GAMMA)


def latencies(buckets: Buckets) -> dict[str, Latency]:
    """Figures by operation, sorted by name."""
    by_operation: dict[str, list[tuple[int, int]]] = {}
    for (operation, bucket), number in sorted(buckets.items()):
        by_operation.setdefault(operation, []).append((bucket, number))
    return {operation: _figures(found) for operation, found in by_operation.items()}


def _figures(found: list[tuple[int, int]]) -> Latency:
    calls = sum(number for _, number in found)
    return Latency(calls, *(_quantile(found, calls, share) for share in (0.5, 0.95, 0.99)))


def _quantile(found: list[tuple[int, int]], calls: int, share: float) -> float:
    """By nearest rank; the middle of the bucket, in relation."""
    ranks = accumulate(number for _, number in found)
    wanted = max(1, math.ceil(share * calls))
    bucket = next(bucket for (bucket, _), rank in zip(found, ranks, strict=True) if rank >= wanted)
    return float(f"{2 * _GAMMA**bucket / (_GAMMA + 1):.4g}")
