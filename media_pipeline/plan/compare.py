"""Keeps plans below MEDIA_ROOT and sets them against what the backfill brought and cost."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

from media_pipeline.plan.calls import TRANSCRIPT_OPERATIONS
from media_pipeline.plan.history import RunCost, runs_of
from media_pipeline.plan.model import BYTES_PER_GB, Plan, from_json, to_json
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import plan_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure, planned and actual; None planned: it could not be told before."""

    name: str
    planned: float | None
    actual: float
    digits: int = 0

    @property
    def difference(self) -> float | None:
        """Actual against plan as a share of the plan; None where there was none."""
        if self.planned is None:
            return None
        if not self.planned:
            return 0.0 if not self.actual else None
        return self.actual / self.planned - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A plan against its days that were exported since."""

    plan: Plan
    days: tuple[dt.date, ...]
    runs: int
    lines: tuple[Line, ...]

    @property
    def finished(self) -> bool:
        """Whether all days of the plan were exported."""
        return len(self.days) == len(self.plan.open_days)

    def facts(self) -> dict[str, Any]:
        """For machines."""
        lines = [asdict(line) | {"difference": line.difference} for line in self.lines]
        return {"days_compared": [str(day) for day in self.days], "runs": self.runs, "figures": lines}


def keep(store: ObjectStore, plan: Plan) -> str:
    """Write a plan, replacing an older one of the same days; returns where. Raises StorageError."""
    key = plan_key(plan.first, plan.last)
    store.put(key, to_json(plan))
    return f"{store.url}/{key}"


def kept(store: ObjectStore, first: dt.date, last: dt.date) -> Plan | None:
    """The plan of these days; None when there is none."""
    small = store.get_small(plan_key(first, last))
    return None if small is None else from_json(small.data)


def compare(tables: Tables, plan: Plan) -> Comparison:
    """What the plan's days brought in runs since it was made; days not exported since are left out on both sides."""
    runs: list[RunCost] = []
    days = []
    recordings = 0
    for day in plan.open_days:
        since = runs_of(tables, day.day, plan.made_at)
        if since and tables.exists("recording_audio", day.day):
            runs += since
            days.append(day)
            recordings += _settled(tables, day.day, day.state == "partly", day.recordings)
    calls = sum(n for run in runs for name, n in run.calls.items() if name not in TRANSCRIPT_OPERATIONS)
    transcripts = sum(n for run in runs for name, n in run.calls.items() if name in TRANSCRIPT_OPERATIONS)
    planned_calls, planned_transcripts = sum(d.calls for d in days), sum(d.transcript_calls for d in days)
    planned_recordings = sum(day.recordings for day in days)
    seconds = plan.figures.seconds_per_file
    return Comparison(
        plan=plan,
        days=tuple(day.day for day in days),
        runs=len(runs),
        lines=(
            Line(name="recordings", planned=planned_recordings, actual=recordings),
            Line(
                name="GB downloaded",
                planned=sum(day.source_bytes for day in days) / BYTES_PER_GB,
                actual=sum(run.bytes_fetched for run in runs) / BYTES_PER_GB,
                digits=3,
            ),
            Line(name="API calls without transcripts", planned=planned_calls, actual=calls),
            Line(name="API calls for transcripts", planned=planned_transcripts, actual=transcripts),
            Line(
                name="minutes of the rate budget",
                planned=(planned_calls + planned_transcripts) / plan.calls_per_minute,
                actual=(calls + transcripts) / plan.calls_per_minute,
                digits=2,
            ),
            Line(
                name="minutes the runs took",
                planned=None if seconds is None else planned_recordings * seconds / 60,
                actual=sum(run.seconds or 0.0 for run in runs) / 60,
                digits=2,
            ),
        ),
    )


def _settled(tables: Tables, day: dt.date, partly: bool, planned: float) -> int:
    """Recordings that the runs dealt with: the whole day's, of one exported in part what was open."""
    found = int(tables.read("recording_inventory", day, ["recording_id"]).num_rows)
    return min(found, round(planned)) if partly else found
