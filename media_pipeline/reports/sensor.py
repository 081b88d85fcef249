"""marts_after_complete_day: one build of the marts for any number of newly completed days, never for red ones.

It reads the Dagster instance only. The cursor says how far the materializations of availability_report were looked at,
which of their runs are not over yet, and whether a build is owed.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

NAME = "marts_after_complete_day"
REPORT = dg.AssetKey("availability_report")
DAY_COMPLETE = "day_complete"
PAGE = 200
"""Materializations asked for at a time."""
MAX_TICK_SECONDS = 40.0
"""A tick dies after 60 s; what was not looked at in time is the next tick's."""

_OVER = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_UNDER_WAY = [status for status in dg.DagsterRunStatus if status not in _OVER]


@dataclass
class Progress:
    """What the sensor knows between its ticks."""

    seen: int = 0
    """Storage id of the newest materialization that was looked at."""
    open_runs: list[str] = field(default_factory=list)
    """Runs that materialized a report and were not over then."""
    owed: bool = False
    """A day was completed since the last build was requested."""
    builds: int = 0
    """Number of builds requested."""
    life: str = field(default_factory=lambda: secrets.token_hex(4))
    """Of this cursor: after it was reset, builds are counted anew, and their keys shall be none that were used."""


def marts_after_complete_day_sensor(job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """The sensor, for the job that builds the marts."""

    @dg.sensor(
        name=NAME,
        job=job,
        minimum_interval_seconds=30,
        description="Builds the marts once after days were completed; waits while a build is queued or under way.",
    )
    def marts_after_complete_day(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        progress = Progress(**json.loads(context.cursor or "{}"))
        caught_up = _look(context.instance, progress)
        requests: list[dg.RunRequest] = []
        reason = None
        if not caught_up:
            reason = "There were too many materializations for one tick; the next one goes on."
        elif not progress.owed:
            reason = "No day was completed since the last build."
        elif build_under_way(context.instance, job.name):
            reason = "A build is queued or under way; the next one follows it."
        else:
            progress.builds += 1
            progress.owed = False
            requests.append(dg.RunRequest(run_key=f"{progress.life}:{progress.seen}:{progress.builds}"))
        return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=json.dumps(asdict(progress)))

    return marts_after_complete_day


def build_under_way(instance: dg.DagsterInstance, job_name: str) -> bool:
    """Whether a run of the job is queued or at work."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=_UNDER_WAY), limit=1))


def _look(instance: dg.DagsterInstance, progress: Progress) -> bool:
    """Take in the runs that were open and the materializations since; False when time was too short for all."""
    deadline = time.monotonic() + MAX_TICK_SECONDS
    runs, progress.open_runs = progress.open_runs, []
    for run_id in runs:
        if time.monotonic() > deadline:
            progress.open_runs.append(run_id)
        else:
            _look_at(instance, progress, run_id)
    while time.monotonic() <= deadline:
        newer = dg.AssetRecordsFilter(asset_key=REPORT, after_storage_id=progress.seen)
        found = instance.fetch_materializations(newer, limit=PAGE, ascending=True).records
        for record in found:
            progress.seen = record.storage_id
            if record.run_id not in progress.open_runs:
                _look_at(instance, progress, record.run_id)
        if len(found) < PAGE:
            return True
    return False


def _look_at(instance: dg.DagsterInstance, progress: Progress, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is not None and run.status not in _OVER:
        progress.open_runs.append(run_id)
    elif not progress.owed:  # one completed day is enough: a build takes in all days
        progress.owed = _completed_a_day(instance, run_id)


def _completed_a_day(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the run's last verdict on its day was that it is complete."""
    events = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    verdicts = [
        evaluation.passed
        for record in events
        if (event := record.event_log_entry.dagster_event) is not None
        and (evaluation := event.asset_check_evaluation_data)
        and evaluation.asset_key == REPORT
        and evaluation.check_name == DAY_COMPLETE
    ]
    return bool(verdicts) and verdicts[-1]
