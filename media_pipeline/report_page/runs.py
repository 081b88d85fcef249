"""What the runs of a day cost: calls, refusals and retries over time, and the recordings that took longest."""

from __future__ import annotations

import datetime as dt
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.paths import audit_key, table_key
from media_pipeline.tables.runs import EXPORT_STEPS, TABLE

SLOWEST = 10
MAX_RUNS = 8
"""Shown, the newest; all are counted."""
MAX_BARS = 60
TOO_MANY = 429
_AUDIT_READ_BYTES = 4096
_UNDER_WAY = "~"
"""Sorts after every moment: a run without a published log has just begun."""
_SLICE_SECONDS = 10


@dataclass(slots=True)
class Run:
    """One run of the day. `calls` counts downloads too; `over_time` is second -> (calls, refused, retries)."""

    run_id: str
    steps: list[str] = field(default_factory=list)
    calls: int = 0
    refused: int = 0
    broken: int = 0
    """Calls that got another error, or no reply."""
    retries: int = 0
    waited_seconds: float = 0.0
    recordings: int = 0
    bytes_fetched: int = 0
    over_time: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    begun: str = _UNDER_WAY


@dataclass(frozen=True, slots=True)
class Slow:
    """A recording that took long, in the run in which it took longest."""

    recording_id: str
    file_index: int
    seconds: float
    bytes_fetched: int
    attempts: int
    run_id: str


@dataclass(slots=True)
class Runs:
    """All runs in order of time, and the slowest of their recordings."""

    runs: list[Run]
    slowest: list[Slow]
    timed: int
    """Recordings that took any time, counted once in each run."""

    @property
    def shown(self) -> list[Run]:
        """The newest."""
        return self.runs[-MAX_RUNS:]

    @property
    def busiest(self) -> Run | None:
        """The run with most calls among those whose time is known; the newest of equals."""
        return max(reversed(self.runs), key=lambda run: run.calls if run.over_time else -1, default=None)

    @property
    def refused(self) -> int:
        """Refusals of all runs."""
        return sum(run.refused for run in self.runs)

    @property
    def retries(self) -> int:
        """Retries of all runs."""
        return sum(run.retries for run in self.runs)


@dataclass(frozen=True, slots=True)
class Bar:
    """So many seconds of a run."""

    from_second: int
    calls: int
    refused: int
    retries: int


def runs_of(tables: Tables, day: dt.date) -> Runs:
    """Read what the runs of a day have recorded, one run's file in memory at a time."""
    prefix = table_key(TABLE, day).rpartition("/")[0] + "/"
    runs, slowest, timed = list[Run](), dict[tuple[str, int], Slow](), 0
    for key in sorted(tables.store.sizes(prefix, ".parquet")):
        run, slow, number = _read(tables, day, key.removeprefix(prefix).removesuffix(".parquet"))
        if run is None:
            continue  # other work
        run.begun = _begun(tables, day, run.run_id)
        runs.append(run)
        timed += number
        for each in slow:
            known = slowest.get((each.recording_id, each.file_index))
            if known is None or each.seconds > known.seconds:
                slowest[each.recording_id, each.file_index] = each
    runs.sort(key=lambda run: (run.begun, run.run_id))
    return Runs(runs, heapq.nsmallest(SLOWEST, slowest.values(), key=_slow_first), timed)


def bars_of(run: Run) -> tuple[int, list[Bar]]:
    """A run's time in at most 60 bars of the same length, and that length in seconds; no bars for a run without."""
    if not run.over_time:
        return _SLICE_SECONDS, []
    slices = max(run.over_time) // _SLICE_SECONDS + 1
    wide = -(-slices // MAX_BARS) * _SLICE_SECONDS
    sums = [[0, 0, 0] for _ in range(-(-slices * _SLICE_SECONDS // wide))]
    for second, numbers in run.over_time.items():
        for place, number in enumerate(numbers):
            sums[second // wide][place] += number
    return wide, [Bar(place * wide, *numbers) for place, numbers in enumerate(sums)]


def _read(tables: Tables, day: dt.date, part: str) -> tuple[Run | None, list[Slow], int]:
    run, slow, timed = None, list[Slow](), 0
    steps = Counter[str]()
    for row in _rows(tables, day, part):
        if row["step"] not in EXPORT_STEPS:
            continue
        run = run or Run(row["run_id"])
        steps[row["step"]] += 1
        if row["recording_id"] is not None:
            run.recordings += 1
            run.bytes_fetched += row["bytes_fetched"] or 0
            if row["seconds"]:
                timed += 1
                slow.append(_slow(row))
                if len(slow) >= 100 * SLOWEST:
                    slow = heapq.nsmallest(SLOWEST, slow, key=_slow_first)
        elif row.get("from_second") is not None:
            _add_time(run, row)
        else:
            _add_calls(run, row)
    if run is not None:
        run.steps = sorted(steps)
    return run, heapq.nsmallest(SLOWEST, slow, key=_slow_first), timed


def _rows(tables: Tables, day: dt.date, part: str) -> Iterator[Row]:
    return tables.rows(TABLE, day, part=part)


def _add_time(run: Run, row: Row) -> None:
    before = run.over_time.get(row["from_second"], (0, 0, 0))
    now = (row["calls_then"] or 0, row["refused_then"] or 0, row["retries_then"] or 0)
    run.over_time[row["from_second"]] = (before[0] + now[0], before[1] + now[1], before[2] + now[2])


def _add_calls(run: Run, row: Row) -> None:
    calls = row["calls"] or 0
    run.calls += calls
    if calls and row["http_status"] == TOO_MANY:
        run.refused += calls
    elif calls and not 0 < row["http_status"] < 400:
        run.broken += calls
    run.retries += row["retries"] or 0
    run.waited_seconds += row["waited_seconds"] or 0.0


def _slow(row: Row) -> Slow:
    return Slow(
        row["recording_id"],
        row["file_index"] or 0,
        row["seconds"],
        row["bytes_fetched"] or 0,
        row["attempts"] or 0,
        row["run_id"],
    )


def _slow_first(slow: Slow) -> tuple[float, str, int]:
    return (-slow.seconds, slow.recording_id, slow.file_index)


def _begun(tables: Tables, day: dt.date, run_id: str) -> str:
    """When a run's log begins, to put runs in order; it is not shown."""
    head = tables.store.read_range(audit_key(day, run_id), 0, _AUDIT_READ_BYTES)
    try:
        return str(json.loads((head or b"").partition(b"\n")[0])["timestamp"])
    except (ValueError, KeyError, TypeError):
        return _UNDER_WAY


Outcomes = dict[tuple[str, int], tuple[str, str | None]]


def outcomes_of(tables: Tables, day: dt.date, recording_ids: Iterable[str]) -> Outcomes:
    """Status and reason of a few recordings, by key."""
    found: Outcomes = {}
    columns = ["recording_id", "file_index", "status", "reason"]
    wanted = pa.array(sorted(recording_ids), pa.string())
    for batch in tables.batches("recording_audio", day, columns):
        for row in batch.filter(pc.is_in(batch["recording_id"], value_set=wanted)).to_pylist():
            found[row["recording_id"], row["file_index"]] = (row["status"], row["reason"])
    return found
