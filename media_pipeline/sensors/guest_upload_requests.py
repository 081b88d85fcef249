"""guest_upload_requests: runs the job messaging for today and yesterday while files of guests wait to be fetched, for
the day before, whose files are dead and are given up, and for earlier days on which files were noticed too late.

It reads the Dagster instance and the tables only. A file is asked for until it has a final outcome: further and further
apart, but never given up, for the job itself gives it up when its 24 hours are over.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING

import dagster as dg

from media_pipeline.jobs import MESSAGING
from media_pipeline.messaging.pending import Pending, left_behind, pending_files, state_of, without_outcome
from media_pipeline.resources.media import MediaResource
from media_pipeline.sensors.days import PARTITION_TAG, RUNS_LOOKED_AT, Day

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

NAME = "guest_upload_requests"
UPLOADS_TAG = "media_pipeline/guest_uploads"
"""On runs that it requested: the set of files they are about."""
FIRST_WAIT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 3_600.0
"""Between two runs for the same files, doubled from run to run."""


def guest_upload_requests_sensor(job: UnresolvedAssetJobDefinition, start_date: dt.date) -> dg.SensorDefinition:
    """The sensor, for days from `start_date` on."""

    @dg.sensor(
        name=NAME,
        job=job,
        minimum_interval_seconds=30,
        description=(
            "Requests the job messaging for today and the two days before while files of guests are not settled. Needs "
            "the schedule drain_conversation_events_schedule. Files that were noticed days late get their outcome, too."
        ),
    )
    def guest_upload_requests(context: dg.SensorEvaluationContext, media: MediaResource) -> dg.SensorResult:
        today = dt.datetime.now(dt.UTC).date()
        days = [day for n in (2, 1, 0) if (day := today - dt.timedelta(days=n)) >= start_date]
        late = left_behind(media.tables, start_date, today - dt.timedelta(days=2))
        state = state_of(media.tables, [*late, *(today - dt.timedelta(days=n) for n in (3, 2, 1, 0))])
        if json.loads(context.cursor or "{}").get("settled") == state:
            return dg.SensorResult(skip_reason="No file is waiting.", cursor=context.cursor)
        missed = (without_outcome(media.tables, day) for day in late)
        waiting = [*(found for found in missed if found), *pending_files(media.tables, days)]
        requests: list[dg.RunRequest] = []
        remarks: list[str] = []
        for pending in waiting:
            verdict = _verdict(context.instance, pending)
            if isinstance(verdict, dg.RunRequest):
                requests.append(verdict)
            else:
                remarks.append(verdict)
        cursor = json.dumps({} if waiting else {"settled": state})
        reason = None if requests else " ".join(remarks) or "No file is waiting."
        return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=cursor)

    return guest_upload_requests


def _verdict(instance: dg.DagsterInstance, pending: Pending) -> dg.RunRequest | str:
    """A run for a day's files, or why there is none now."""
    filters = dg.RunsFilter(job_name=MESSAGING, tags={PARTITION_TAG: str(pending.day)})
    records = instance.get_run_records(filters, limit=RUNS_LOOKED_AT)
    day = Day(pending.day, [record.dagster_run for record in records])
    if day.under_way:
        return f"{pending.day}: a run is under way."
    mine = [record for record in records if record.dagster_run.tags.get(UPLOADS_TAG) == pending.digest]
    attempts = len({record.dagster_run.tags.get("dagster/run_key") for record in mine})
    if mine and day.cancelled:
        return f"{pending.day}: the run for {pending.files} files was cancelled; run {MESSAGING} by hand."
    if mine:
        wait = min(FIRST_WAIT_SECONDS * 2.0 ** (attempts - 1), LONGEST_WAIT_SECONDS)
        left = (mine[0].end_time or 0.0) + wait - time.time()
        if left > 0:
            return f"{pending.day}: {pending.files} files are asked for again in {left:.0f} s."
    return dg.RunRequest(
        run_key=f"{pending.day}:{pending.digest}:{attempts + 1}",  # without the attempt it would be refused for ever
        partition_key=str(pending.day),
        tags={UPLOADS_TAG: pending.digest},
    )
