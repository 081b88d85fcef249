"""Daily partitions, in UTC only, from MEDIA_START_DATE to the last finished day; of messaging, to today."""

from __future__ import annotations

import datetime as dt

import dagster as dg

EXPORT_GRACE = dt.timedelta(hours=3)
"""How long after its end a day may be unexported: the schedule has its turn first, 02:15 UTC, and some time to run."""


def daily_partitions(start_date: dt.date) -> dg.DailyPartitionsDefinition:
    """One partition per finished UTC day."""
    return dg.DailyPartitionsDefinition(start_date=start_date.isoformat(), timezone="UTC")


def messaging_partitions(start_date: dt.date) -> dg.DailyPartitionsDefinition:
    """One partition per UTC day, today included: what guests send lives 24 hours."""
    return dg.DailyPartitionsDefinition(start_date=start_date.isoformat(), timezone="UTC", end_offset=1)


def partition_day(context: dg.AssetExecutionContext) -> dt.date:
    """The day this run is about."""
    return dt.date.fromisoformat(context.partition_key)


def recent_days(
    now: dt.datetime, start: dt.date, lookback_days: int, grace: dt.timedelta | None = None
) -> list[dt.date]:
    """Days that finished at least `grace` ago, not before `start` nor older than the look-back, oldest first."""
    newest = (now - (grace or dt.timedelta())).date() - dt.timedelta(days=1)
    oldest = max(start, now.date() - dt.timedelta(days=lookback_days))
    return [oldest + dt.timedelta(days=n) for n in range((newest - oldest).days + 1)]
