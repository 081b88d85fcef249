"""daily_export_schedule, interactions_daily_schedule and playback_daily_schedule (each finished day),
relist_recent_days_schedule (what came late), verify_sample_schedule, sweep_retention_schedule (what dies when),
retention_schedule (what is due), drain_conversation_events_schedule (every minute), voice_messages_schedule (what waits
in the inbox)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import dagster as dg

from media_pipeline.jobs import DRAIN_CONVERSATION_EVENTS, MAX_DRAIN_SECONDS, MESSAGING, RETENTION
from media_pipeline.messaging.voice_waiting import waiting_days
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.run_history import forget_old_runs

if TYPE_CHECKING:
    from dagster._core.definitions.partitions.partitioned_schedule import UnresolvedPartitionedAssetScheduleDefinition
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    Schedule = UnresolvedPartitionedAssetScheduleDefinition | dg.ScheduleDefinition

RELIST_CRON = "40 */3 * * *"
"""Every three hours, for a lateness of up to 48: a list of 7 days of 1,000 recordings costs about 40 calls."""
VERIFY_CRON = "10 5 * * *"
"""When the night's export is done, on most days."""
SWEEP_CRON = "25 7 * * 0"
"""Sunday morning, when few calls are listed and none is urgent: 200 calls per 100,000 recordings kept at the source."""
DRAIN_CRON = "* * * * *"
_WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
_AT_WORK = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
PARTITION_TAG = "dagster/partition"
VOICE_TAG = "media_pipeline/voice_messages"
"""On runs for the inbox: which messages waited."""
VOICE_CRON = "* * * * *"
"""A look into a folder; a run only for what waits there."""
RETENTION_CRON = "* * * * *"
"""A look of a few calls at the store; a run only when something is due."""
INTERACTIONS_HOUR_UTC, PLAYBACK_HOUR_UTC = 3, 4
HOUR_UTC, MINUTE = 2, 15
"""Calls that end around midnight are listed by then; later arrivals are the sensors' work."""


def daily_export_schedule(job: UnresolvedAssetJobDefinition) -> Schedule:
    """One run for the day that ended last, at 02:15 UTC."""
    return _after_midnight(job, HOUR_UTC, "Exports the day that ended at midnight UTC.")


def interactions_schedule(job: UnresolvedAssetJobDefinition) -> Schedule:
    """One run for the day that ended last, at 03:15 UTC, an hour after its export began; off unless switched on."""
    what = "Looks at the media of the interactions of the day that ended at midnight UTC."
    return _after_midnight(job, INTERACTIONS_HOUR_UTC, what)


def playback_schedule(job: UnresolvedAssetJobDefinition) -> Schedule:
    """One run for the day that ended last, at 04:15 UTC; off unless switched on."""
    what = "Draws and indexes the calls of the day that ended at midnight UTC, for `media-pipeline serve`."
    return _after_midnight(job, PLAYBACK_HOUR_UTC, what)


def relist_schedule(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """One run every three hours."""
    what = "Lists the finished days of the look-back again; the sensor late_recordings does the rest."
    return _at(job, RELIST_CRON, what)


def verify_sample_schedule(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """One run a day, at 05:10 UTC."""
    what = "Re-reads a random sample of the archive; the check archive_sample_verified says what it found."
    return _at(job, VERIFY_CRON, what)


def sweep_retention_schedule(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """One run a week, on Sunday at 07:25 UTC."""
    what = "Asks until when the source keeps its recordings; the check exported_before_deletion judges."
    return _at(job, SWEEP_CRON, what)


def _after_midnight(job: UnresolvedAssetJobDefinition, hour_utc: int, what: str) -> Schedule:
    return dg.build_schedule_from_partitioned_job(
        job, name=f"{job.name}_schedule", hour_of_day=hour_utc, minute_of_hour=MINUTE, description=what
    )


def _at(job: UnresolvedAssetJobDefinition, cron_utc: str, what: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule", job=job, cron_schedule=cron_utc, execution_timezone="UTC", description=what
    )


def drain_schedule(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """One run a minute, unless one is waiting or at work; one that died at work holds nobody up for long.

    Runs that succeeded are forgotten after a day.
    """

    @dg.schedule(
        name="drain_conversation_events_schedule",
        job=job,
        cron_schedule=DRAIN_CRON,
        execution_timezone="UTC",
        description="Reads conversation events every minute; the sensor guest_upload_requests does the rest.",
    )
    def drain_conversation_events_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        _forget(context, DRAIN_CONVERSATION_EVENTS)
        since = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=MAX_DRAIN_SECONDS)
        waiting = dg.RunsFilter(job_name=DRAIN_CONVERSATION_EVENTS, statuses=_WAITING)
        at_work = dg.RunsFilter(job_name=DRAIN_CONVERSATION_EVENTS, statuses=_AT_WORK, created_after=since)
        if any(context.instance.get_runs_count(each) for each in (waiting, at_work)):
            return dg.SkipReason("A run is waiting or at work already.")
        return dg.RunRequest()

    return drain_conversation_events_schedule


def retention_schedule(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """A look a minute, and a run when a deadline has come, something was scheduled, or holds have changed.

    Runs that succeeded are forgotten after a day: certificates are in the table and the audit log.
    """

    @dg.schedule(
        name="retention_schedule",
        job=job,
        cron_schedule=RETENTION_CRON,
        execution_timezone="UTC",
        description="Deletes what is due and not held; see the table media_retention.",
    )
    def retention_schedule_(
        context: dg.ScheduleEvaluationContext, media: MediaResource, genesys: GenesysResource
    ) -> dg.RunRequest | dg.SkipReason:
        _forget(context, RETENTION)
        if media.has_deletions(allowed=genesys.allow_remote_delete):
            return dg.RunRequest()
        return dg.SkipReason("Nothing is due, nothing was scheduled, and no hold has changed.")

    return retention_schedule_


def voice_messages_schedule(job: UnresolvedAssetJobDefinition, start_date: dt.date) -> dg.ScheduleDefinition:
    """A look into the inbox every minute, and a run for each day of which something waits there."""

    @dg.schedule(
        name="voice_messages_schedule",
        job=job,
        cron_schedule=VOICE_CRON,
        execution_timezone="UTC",
        description="Sends what waits in MEDIA_INBOX; without MEDIA_ALLOW_WRITE_BACK=1, says what it would send, once.",
    )
    def voice_messages_schedule_(
        context: dg.ScheduleEvaluationContext, media: MediaResource, genesys: GenesysResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        if media.voice_inbox is None:
            return dg.SkipReason("MEDIA_INBOX is no folder.")
        requests = []
        for day, digest in sorted(waiting_days(media.voice_inbox, start_date).items()):
            filters = dg.RunsFilter(job_name=MESSAGING, tags={PARTITION_TAG: str(day)}, statuses=[*_WAITING, *_AT_WORK])
            if context.instance.get_runs_count(filters):
                continue
            # what is only told of is told once; what may be sent is tried again, until it is settled
            which = f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}" if genesys.allow_write_back else digest
            requests.append(
                dg.RunRequest(
                    run_key=f"voice:{day}:{which}",
                    partition_key=str(day),
                    asset_selection=[dg.AssetKey("voice_messages")],
                    tags={VOICE_TAG: digest},
                )
            )
        return requests or dg.SkipReason("No voice message waits, or a run is under way.")

    return voice_messages_schedule_


def _forget(context: dg.ScheduleEvaluationContext, job_name: str) -> None:
    """What cannot be forgotten now is forgotten later: no reason to leave a run out."""
    try:
        forget_old_runs(context.instance, job_name)
    except Exception as error:
        context.log.warning(f"Old runs of {job_name} were not deleted ({type(error).__name__}); the next minute tries.")
