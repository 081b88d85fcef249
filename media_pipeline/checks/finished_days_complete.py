"""finished_days_complete: freshness that is true for partitions: each finished day of the look-back, or why it is not.

A freshness policy sees only when something was last materialized; a backfill of an old day would satisfy it.
"""

from __future__ import annotations

import datetime as dt

import dagster as dg

from media_pipeline.metadata import sample
from media_pipeline.partitions import EXPORT_GRACE, recent_days
from media_pipeline.tables.completeness import Verdict, judge_day
from media_pipeline.tables.partition import Tables

FINISHED_DAYS_COMPLETE = "finished_days_complete"


def finished_days_complete_result(
    tables: Tables, now: dt.datetime, start_date: dt.date, lookback_days: int
) -> dg.AssetCheckResult:
    """Judge the days whose turn has come, from tables and objects."""
    days = recent_days(now, start_date, lookback_days, EXPORT_GRACE)
    verdicts = [verdict for day in days if not (verdict := judge_day(tables, day)).complete]
    rows = [{"day": str(verdict.day), "why": _why(verdict)} for verdict in verdicts]
    metadata: dict[str, object] = {"days_looked_at": len(days), "days_not_complete": len(rows)}
    if rows:
        metadata["not_complete"] = sample(rows, ["day", "why"])
    return dg.AssetCheckResult(
        check_name=FINISHED_DAYS_COMPLETE,
        passed=not rows,
        description=" ".join(f"{row['day']}: {row['why']}." for row in rows)
        or f"All {len(days)} finished days of the look-back are complete.",
        metadata=metadata,
    )


def _why(verdict: Verdict) -> str:
    return "never exported" if verdict.never_exported else verdict.summary
