"""events_gapless: whether conversation events may have been missed lately, and which.

What was missed stays in the cursor, and the check tells it for a day: the next minute's run knows nothing of it.
"""

from __future__ import annotations

import datetime as dt

import dagster as dg

from media_pipeline.messaging.cursor import EventCursor
from media_pipeline.metadata import sample

EVENTS_GAPLESS = "events_gapless"
TOLD = dt.timedelta(hours=24)
"""As long as a guest's file may still be fetched."""
TOLD_GAPS = 3
"""In the sentence; the metadata have all."""


def events_gapless_result(cursor: EventCursor, now: dt.datetime) -> dg.AssetCheckResult:
    """Red for a day after something may have been missed."""
    gaps = [gap for gap in cursor.gaps if now - gap.moment < TOLD]
    if not gaps:
        return dg.AssetCheckResult(
            check_name=EVENTS_GAPLESS,
            passed=True,
            description="No event of the last 24 hours is known to be missing.",
        )
    told = [f"{gap.noticed_at}: {gap.what}" for gap in gaps[-TOLD_GAPS:]]
    rows = [{"noticed_at": gap.noticed_at, "what": gap.what} for gap in gaps]
    return dg.AssetCheckResult(
        check_name=EVENTS_GAPLESS,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=" ".join([*told, "Guest files live 24 hours: look at the conversations of that time now."]),
        metadata={"gaps": sample(rows, ["noticed_at", "what"])},
    )
