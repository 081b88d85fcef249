"""dbt_reports_build_schedule: the marts once a day, whatever became of the days.

The sensor waits for a complete day. Failures, their ages and how far behind the archive is are asked for when none
comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from media_pipeline.reports.sensor import build_under_way

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

CRON = "40 6 * * *"
"""When the night's export has been tried, and tried again."""


def marts_schedule(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """One run a day, at 06:40 UTC, unless a build is queued or under way."""

    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=CRON,
        execution_timezone="UTC",
        description="Takes the days that changed into the marts, red ones too; without any it costs seconds.",
    )
    def dbt_reports_build_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if build_under_way(context.instance, job.name):
            return dg.SkipReason("A build is queued or under way.")
        return dg.RunRequest()

    return dbt_reports_build_schedule
