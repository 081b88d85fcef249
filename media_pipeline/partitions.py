"""Daily partitions, in UTC only, from MEDIA_START_DATE to the last finished day."""

from __future__ import annotations

import datetime as dt

import dagster as dg


def daily_partitions(start_date: dt.date) -> dg.DailyPartitionsDefinition:
    """One partition per finished UTC day."""
    return dg.DailyPartitionsDefinition(start_date=start_date.isoformat(), timezone="UTC")


def partition_day(context: dg.AssetExecutionContext) -> dt.date:
    """The day this run is about."""
    return dt.date.fromisoformat(context.partition_key)


def newest_finished_day() -> dt.date:
    """Yesterday, in UTC."""
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
