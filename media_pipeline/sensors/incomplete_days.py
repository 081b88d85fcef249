"""incomplete_days: runs finished days again that are missing, failed or not complete, three times at most.

It reads the Dagster instance and the store only. A day an operator cancelled is left alone until someone runs it again.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.completeness import judge_day

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

NAME = "incomplete_days"
ATTEMPT_TAG = "media_pipeline/attempt"
MAX_ATTEMPTS = 3
MAX_RUNS_PER_TICK = 3
MAX_TICK_SECONDS = 40.0
"""A tick dies after 60 s; days not looked at in time are the next tick's."""
RUNS_LOOKED_AT = 50
GRACE = dt.timedelta(hours=3)
"""The schedule has its turn first: 02:15 UTC, and some time to run."""

_OVER = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class Day:
    """A finished day with its runs, newest first."""

    day: dt.date
    runs: Sequence[dg.DagsterRun]

    @property
    def newest_run(self) -> str:
        """Id of the newest run, empty without one."""
        return self.runs[0].run_id if self.runs else ""

    @property
    def under_way(self) -> bool:
        """Whether a run is queued or working."""
        return any(run.status not in _OVER for run in self.runs)

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
    newest = (now - GRACE).date() - dt.timedelta(days=1)
    oldest = max(start, now.date() - dt.timedelta(days=lookback_days))
    return [oldest + dt.timedelta(days=n) for n in range((newest - oldest).days + 1)]


def incomplete_days_sensor(
    job: UnresolvedAssetJobDefinition, start_date: dt.date, lookback_days: int
) -> dg.SensorDefinition:
    """The sensor, for days from `start_date` on and not older than `lookback_days`."""

    @dg.sensor(
        name=NAME,
        job=job,
        minimum_interval_seconds=30,
        description=(
            f"Runs days of the last {lookback_days} again that are missing, failed or incomplete; at most "
            f"{MAX_RUNS_PER_TICK} a tick and {MAX_ATTEMPTS} attempts a day. Cancelled days are left alone."
        ),
    )
    def incomplete_days(context: dg.SensorEvaluationContext, media: MediaResource) -> dg.SensorResult:
        known: dict[str, str] = json.loads(context.cursor or "{}")
        days = due_days(dt.datetime.now(dt.UTC), start_date, lookback_days)
        settled: dict[str, str] = {}
        requests: list[dg.RunRequest] = []
        remarks: list[str] = []
        for day in _looked_at(context, days):
            key = str(day.day)
            if day.newest_run and known.get(key) == day.newest_run:
                settled[key] = day.newest_run  # judged since its newest run: nothing can have changed
            elif len(requests) >= MAX_RUNS_PER_TICK or day.under_way:
                continue
            elif day.cancelled:
                remarks.append(f"{key} was cancelled and is left alone; run it by hand to have it looked after again.")
            elif judge_day(media.tables, day.day).complete:
                settled[key] = day.newest_run
            elif day.failed_attempts >= MAX_ATTEMPTS:
                sentence = (
                    f"{key} is still not complete after {MAX_ATTEMPTS} attempts and is given up: see the check "
                    "day_complete of its last run, mend the cause and run it by hand."
                )
                context.log.error(sentence)
                remarks.append(sentence)
                settled[key] = day.newest_run
            else:
                requests.append(_request(day))
        reason = None if requests else " ".join(remarks) or "All days looked at are complete or under way."
        return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=json.dumps(settled, sort_keys=True))

    return incomplete_days


def _looked_at(context: dg.SensorEvaluationContext, days: list[dt.date]) -> Iterator[Day]:
    deadline = time.monotonic() + MAX_TICK_SECONDS
    for day in days:
        if time.monotonic() > deadline:
            return
        runs = context.instance.get_runs(
            filters=dg.RunsFilter(tags={"dagster/partition": str(day)}), limit=RUNS_LOOKED_AT
        )
        yield Day(day, runs)


def _request(day: Day) -> dg.RunRequest:
    number = max(day.attempts, default=0) + 1
    return dg.RunRequest(
        run_key=f"{day.day}:{number}",  # a key without the attempt would be deduplicated for ever
        partition_key=str(day.day),
        tags={ATTEMPT_TAG: str(number)},
    )
