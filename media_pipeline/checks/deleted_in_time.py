"""deleted_in_time: the check that says what should be gone and is not, and which hold the source may not keep to."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence

import dagster as dg

from media_pipeline.messaging.deciding import FAILED
from media_pipeline.messaging.retention_days import Index

DELETED_IN_TIME = "deleted_in_time"
OVERDUE = dt.timedelta(minutes=15)
"""A few runs, and a patch of failures at the source."""
PROBLEMS_SHOWN = 5


def deleted_in_time_result(index: Index, now: dt.datetime, problems: Sequence[str] = ()) -> dg.AssetCheckResult:
    """Warns of what is overdue or failed; an error where a hold could not be made good at the source."""
    states: Counter[str] = Counter()
    for day in index.days.values():
        states.update(day.states)
    not_withdrawn = sum(day.not_withdrawn for day in index.days.values())
    oldest = min((day.oldest for day in index.days.values() if day.oldest is not None), default=None)
    sentences = []
    if not_withdrawn:
        sentences.append(
            f"{not_withdrawn} entries are held here, and the source still deletes them by itself: see their detail in "
            "media_retention, and protect them there by hand."
        )
    if states[FAILED]:
        sentences.append(f"{states[FAILED]} deletions failed: see reason and detail in media_retention.")
    if oldest is not None and now - oldest > OVERDUE:
        minutes = round((now - oldest).total_seconds() / 60)
        sentences.append(f"The oldest deadline passed {minutes} minutes ago ({oldest:%Y-%m-%d %H:%M} UTC).")
    metadata: dict[str, object] = {f"open_{state}": number for state, number in sorted(states.items())}
    if problems:
        metadata["problems"] = "\n".join(problems[:PROBLEMS_SHOWN])
    return dg.AssetCheckResult(
        check_name=DELETED_IN_TIME,
        passed=not sentences,
        severity=dg.AssetCheckSeverity.ERROR if not_withdrawn else dg.AssetCheckSeverity.WARN,
        description=" ".join(sentences) or "Everything that is due is gone, held or switched off.",
        metadata=metadata,
    )
