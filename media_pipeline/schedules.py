"""daily_export_schedule: every finished day once, after the source had time to settle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.partitions.partitioned_schedule import UnresolvedPartitionedAssetScheduleDefinition
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    Schedule = UnresolvedPartitionedAssetScheduleDefinition | dg.ScheduleDefinition

HOUR_UTC, MINUTE = 2, 15
"""Calls that end around midnight are listed by then; later arrivals are the sensors' work."""


def daily_export_schedule(job: UnresolvedAssetJobDefinition) -> Schedule:
    """One run for the day that ended last, at 02:15 UTC."""
    return dg.build_schedule_from_partitioned_job(
        job,
        name="daily_export_schedule",
        hour_of_day=HOUR_UTC,
        minute_of_hour=MINUTE,
        description="Exports the day that ended at midnight UTC.",
    )
