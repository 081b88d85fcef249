"""day_complete: the check that proves a day, in words a person understands."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from media_pipeline.metadata import sample
from media_pipeline.tables.completeness import Verdict, judge_day
from media_pipeline.tables.partition import Tables

DAY_COMPLETE = "day_complete"


def day_complete_result(tables: Tables, day: dt.date) -> dg.AssetCheckResult:
    """Judge the day from tables and objects."""
    return as_check_result(judge_day(tables, day))


def as_check_result(verdict: Verdict) -> dg.AssetCheckResult:
    """A verdict as the check's result."""
    problems = [{"problem": problem, "recordings": count} for problem, count in sorted(verdict.problems.items())]
    samples = [{"recording_id": recording_id, "problem": problem} for recording_id, problem in verdict.samples]
    metadata: dict[str, object] = {"listed": verdict.listed, "stored": verdict.stored}
    if problems:
        metadata |= {
            "problem_counts": sample(problems, ["problem", "recordings"]),
            "problem_examples": sample(samples, ["recording_id", "problem"]),
        }
    return dg.AssetCheckResult(
        check_name=DAY_COMPLETE, passed=verdict.complete, description=verdict.sentence, metadata=metadata
    )
