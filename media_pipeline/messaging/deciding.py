"""What is to be done next with an entry of the ledger: pure functions of the entry, the moment, the holds, the switch.

scheduled ──set──> retention_set ──due──> marked ──> deleted | gone
    │                                        └──> failed, tried again later
    ├── hold ──> held ──(the hold ends)──> scheduled
    └── MEDIA_ALLOW_REMOTE_DELETE=0 ──> would_delete ──(=1)──> marked
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

from media_pipeline.messaging.holds import Hold
from media_pipeline.tables.partition import Row

SCHEDULED, RETENTION_SET, MARKED, DELETED, GONE = "scheduled", "retention_set", "marked", "deleted", "gone"
HELD, WOULD_DELETE, NOT_OFFERED, FAILED = "held", "would_delete", "not_offered", "failed"
CLOSED = (DELETED, GONE, NOT_OFFERED)
"""Nothing is to be done any more."""

FIRST_WAIT = dt.timedelta(minutes=1)
LONGEST_WAIT = dt.timedelta(hours=6)
TRIES = 8
"""After so many in vain, two hours and more after the deadline, an entry is `failed`; it is tried on."""
REFUSED = "refused"
"""source_retention where the source did not take the duration: we still delete by ourselves."""
WITHDRAWN = "withdrawn"
"""source_retention of what is held: the source keeps it until source_delete_date at least."""
RENEW_AHEAD = dt.timedelta(days=30)

Step = Literal["hold", "withdraw", "free", "would_delete", "not_offered", "set", "delete", "confirm"]


def when(row: Row) -> dt.datetime | None:
    """From when on an entry is to be looked at; None: only when holds or switches change."""
    scheduled_at: dt.datetime = row["scheduled_at"]
    start: dt.datetime = row["due"]
    date: dt.datetime | None = row["source_delete_date"]
    if row["state"] == HELD:
        if row["source_retention"] == WITHDRAWN and date is not None:
            return date - RENEW_AHEAD
        return start if told(row) else None  # its withdrawal is tried until it succeeds
    if row["state"] in (*CLOSED, WOULD_DELETE):
        return None
    if row["state"] == MARKED:
        return scheduled_at  # left by a run that died
    if _to_be_told(row):
        return scheduled_at + waits(row["attempts"])
    if row["state"] == RETENTION_SET and row["kind"] == "recording" and date is not None:
        start = date
    return start + waits(row["attempts"])


def waits(attempts: int) -> dt.timedelta:
    """How long after its deadline an entry waits that was tried so often in vain: 1, 3, 7, 15 ... minutes.

    Counted from the deadline and not from the last try, so that no moment of a run becomes data.
    """
    total = dt.timedelta()
    for attempt in range(attempts):
        total += min(FIRST_WAIT * 2 ** min(attempt, 20), LONGEST_WAIT)
    return total


def told(row: Row) -> bool:
    """Whether the source deletes it by itself, or may have been told so."""
    return row["source_retention"] not in (None, NOT_OFFERED, REFUSED, WITHDRAWN)


def _to_be_told(row: Row) -> bool:
    """Whether the source is to be given a retention, or may not have taken in the one it was sent."""
    return (
        row["kind"] == "attachment"
        and row["state"] == SCHEDULED
        and row["source_retention"] not in (NOT_OFFERED, REFUSED)
    )


def next_step(row: Row, now: dt.datetime, hold: Hold | None, allowed: bool) -> Step | None:
    """What is to be done with an entry at this moment; `allowed`: MEDIA_ALLOW_REMOTE_DELETE."""
    if row["state"] in CLOSED:
        return None
    if hold is not None:
        expiring = row["source_retention"] == WITHDRAWN and now >= (when(row) or now)
        if told(row) or expiring:
            return "withdraw"
        return None if row["state"] == HELD and row["hold_id"] == hold.hold_id else "hold"
    if row["state"] == HELD:
        return "free"
    moment = when(row)
    late = now >= (moment if moment is not None else row["due"])
    if row["kind"] == "local_object":
        return "delete" if late else None
    if row["state"] == RETENTION_SET and row["kind"] == "recording":
        return "confirm" if late else None
    if not allowed:
        return "would_delete" if late and now >= row["due"] and row["state"] != WOULD_DELETE else None
    if _to_be_told(row) and now < row["due"]:
        return "set" if late else None
    return "delete" if late and now >= row["due"] else None
