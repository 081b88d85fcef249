"""The made-up contact centre: its people and queues, how much it records on which day, and what goes wrong when."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np  # noqa: TID253  no code server imports a benchmark

from benchmarks.year.columns import Numbers, Rng, drawn, uuids

AGENTS, QUEUES = 320, 24
GROWTH = 0.35
"""How much more the last day has than the first one."""
OF_WEEKDAY = (1.18, 1.15, 1.12, 1.12, 1.08, 0.5, 0.3)
"""Recordings on Monday, ..., Sunday beside a mean day."""
QUIET = {(1, 1): 0.25, (12, 24): 0.5, (12, 25): 0.2, (12, 26): 0.3, (12, 31): 0.5}
"""Holidays: share of what the day would have."""

INCIDENTS: dict[str, dict[str, float]] = {
    "outage of the source": {"server_error": 0.22, "rate_limited": 0.03, "short_body": 0.01},
    "rate limit": {"rate_limited": 0.12, "server_error": 0.01},
    "lost permission": {"forbidden": 0.18, "not_delivered": 0.04},
    "slow preparation": {"not_ready": 0.06},
    "broken storage": {"md5_mismatch": 0.004, "bad_range": 0.01, "short_body": 0.015, "unverifiable": 0.002},
    "broken links": {"not_media": 0.03, "bad_url": 0.004, "bad_reply": 0.006, "too_slow": 0.01},
}
"""What can go wrong with a day, and the share of its files that end so."""
STRAYS = {"md5_mismatch": 0.0001, "source_error": 0.0003, "not_ready": 0.0002, "not_requested": 0.0001}
"""What open days have besides."""
INCIDENT_SHARE, STRAY_SHARE = 0.045, 0.035
RECENT_DAYS = 5
"""The newest days, not all of which were repaired yet."""


@dataclass(frozen=True)
class Org:
    """Agents by how much they work, queues with their share of the calls and of transcripts."""

    agents: list[str]
    agent_weights: Numbers
    queues: list[str]
    queue_weights: Numbers
    coverage: Numbers
    """Of each queue's calls, how many have a transcript."""

    @classmethod
    def made(cls, rng: Rng) -> Org:
        """The same for the same seed."""
        agent_weights, queue_weights = rng.gamma(4.0, 1.0, AGENTS), 1 / np.arange(1, QUEUES + 1) ** 0.7
        return cls(
            uuids(rng, AGENTS).to_pylist(),
            agent_weights / agent_weights.sum(),
            uuids(rng, QUEUES).to_pylist(),
            queue_weights / queue_weights.sum(),
            np.clip(rng.normal(0.88, 0.09, QUEUES), 0.35, 0.99),
        )


@dataclass(frozen=True)
class Day:
    """What is to be made of one day."""

    date: dt.date
    files: int
    position: float
    """0 for the first day of the year, 1 for the last."""
    incident: str | None
    failures: dict[str, float]
    """Reason -> share of the files."""
    newest: bool


def calendar(rng: Rng, first: dt.date, days: int, per_day: int) -> list[Day]:
    """The days in order; all files together are `days` times `per_day`."""
    dates = [first + dt.timedelta(days=number) for number in range(days)]
    position = np.arange(days) / max(days - 1, 1)
    weights = np.array([OF_WEEKDAY[date.weekday()] * QUIET.get((date.month, date.day), 1.0) for date in dates])
    weights *= (1 + GROWTH * position) * rng.lognormal(0.0, 0.04, days)
    ends = np.round(np.cumsum(weights) / weights.sum() * days * per_day).astype(int)
    files = np.diff(ends, prepend=0)
    return [
        Day(date, int(count), float(place), *_fate(rng, recent=days - number <= RECENT_DAYS), number == days - 1)
        for number, (date, count, place) in enumerate(zip(dates, files, position, strict=True))
    ]


def _fate(rng: Rng, *, recent: bool) -> tuple[str | None, dict[str, float]]:
    """Most days are complete; the newest ones more often are not."""
    chance = rng.random() / (12 if recent else 1)
    if chance < INCIDENT_SHARE:
        incident = list(INCIDENTS)[int(drawn(rng, dict.fromkeys(INCIDENTS, 1.0), 1)[0])]
        return incident, {**STRAYS, **INCIDENTS[incident]}
    return None, dict(STRAYS) if chance < INCIDENT_SHARE + STRAY_SHARE else {}
