"""What sensors know of finished days: which are due, and each day's runs as the instance has them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from media_pipeline.jobs import DAILY_EXPORT
from media_pipeline.partitions import EXPORT_GRACE, recent_days

ATTEMPT_TAG = "media_pipeline/attempt"
"""On runs that incomplete_days requested: which attempt of their day this is."""
LATE_TAG = "media_pipeline/late"
"""On runs that late_recordings requested: the difference they answer."""
MAX_ATTEMPTS = 3
ATTEMPT_WAITS_SECONDS = (15 * 60.0, 2 * 3600.0)
"""From the end of the newest run to the next attempt, after one and after two failed ones: a restart of the source, or
a file that is being prepared, is over within minutes, and the last attempt has to outlast an outage."""
MAX_RUNS_PER_TICK = 3
MAX_TICK_SECONDS = 30.0
"""No further day is begun after this long: a tick dies after 60 s, and one day in S3 may take a third of that."""
RUNS_LOOKED_AT = 50
RETRY_WAIT_SECONDS = 600.0
"""Dagster starts a retry within seconds; a failed run that is still the newest after this long is not retried."""
PARTITION_TAG = "dagster/partition"
EXPORT_JOBS = (DAILY_EXPORT, "__ASSET_JOB")
"""The job, and what Dagster calls a run of hand-picked assets."""
EXPORTED = frozenset(
    dg.AssetKey(name)
    for name in (
        "recording_inventory",
        "recording_audio",
        "diarized_transcripts",
        "transcript_status",
        "availability_report",
        "storage_utilization",
    )
)
"""What a day's export consists of: a run of none of them is none of it."""

_OVER = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class Day:
    """A finished day with the runs that exported it, newest first."""

    day: dt.date
    runs: Sequence[dg.DagsterRun]
    retried: bool = False
    """Whether Dagster is about to repeat the newest run by itself."""

    @property
    def newest_run(self) -> str:
        """Id of the newest run, empty without one."""
        return self.runs[0].run_id if self.runs else ""

    @property
    def under_way(self) -> bool:
        """Whether a run is queued or working, or about to be."""
        return self.retried or any(run.status not in _OVER for run in self.runs)

    @property
    def cancelled(self) -> bool:
        """Whether an operator stopped the newest run."""
        return bool(self.runs) and self.runs[0].status == dg.DagsterRunStatus.CANCELED

    @property
    def attempts(self) -> list[int]:
        """Numbers of all attempts of this sensor; run retries of one attempt share its number."""
        return sorted({int(run.tags[ATTEMPT_TAG]) for run in self.runs if ATTEMPT_TAG in run.tags})

    @property
    def failed_attempts(self) -> int:
        """Attempts since the last success."""
        numbers = set()
        for run in self.runs:
            if run.status == dg.DagsterRunStatus.SUCCESS:
                break
            if ATTEMPT_TAG in run.tags:
                numbers.add(run.tags[ATTEMPT_TAG])
        return len(numbers)


def due_days(now: dt.datetime, start: dt.date, lookback_days: int) -> list[dt.date]:
    """Finished days within the look-back whose turn has come, oldest first: they are deleted first at the source."""
    return recent_days(now, start, lookback_days, EXPORT_GRACE)


def looked_at(instance: dg.DagsterInstance, days: Iterable[dt.date]) -> Iterator[Day]:
    """The given days with their runs, until a tick's time is used up."""
    deadline = time.monotonic() + MAX_TICK_SECONDS
    for day in days:
        if time.monotonic() > deadline:
            return
        runs = exports_of(instance, str(day))
        yield Day(day, runs, bool(runs) and is_retried(instance, runs[0]))


def is_export(run: dg.DagsterRun) -> bool:
    """Whether a run exports its day, or a part of it; jobs that work on what is exported do not."""
    if run.job_name not in EXPORT_JOBS:
        return False
    return not run.asset_selection or not EXPORTED.isdisjoint(run.asset_selection)


def exports_of(instance: dg.DagsterInstance, day: str) -> list[dg.DagsterRun]:
    """A day's newest exports, the newest first; other jobs' runs, of which there may be many more, crowd none out."""
    found = []
    for job in EXPORT_JOBS:
        of_job = dg.RunsFilter(job_name=job, tags={PARTITION_TAG: day})
        found += instance.get_run_records(of_job, limit=RUNS_LOOKED_AT)
    found.sort(key=lambda record: record.storage_id, reverse=True)
    return [record.dagster_run for record in found if is_export(record.dagster_run)]


def ended_at(instance: dg.DagsterInstance, run: dg.DagsterRun) -> float:
    """When a run ended, in seconds since 1970; 0 when that is not known."""
    record = instance.get_run_record_by_id(run.run_id)
    return record.end_time if record and record.end_time else 0.0


def is_retried(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether Dagster's run retries are about to repeat this run, which is its day's newest."""
    if not run.is_complete_and_waiting_to_retry:
        return False
    return time.time() - ended_at(instance, run) < RETRY_WAIT_SECONDS
