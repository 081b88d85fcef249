"""Which files of guests were noticed and have no final outcome yet, by the tables alone."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from media_pipeline.messaging.events import LONGEST_LOOK_BACK, TABLE
from media_pipeline.tables.partition import Row, Tables

UPLOADS = "guest_uploads"
FAILED = "failed"
"""Of the statuses of guest_uploads the one that may change: stored, rejected and expired are final."""
STORED = "stored"
_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Pending:
    """A day's files without a final outcome; `digest` tells two sets of them, or of their outcomes, apart."""

    day: dt.date
    files: int
    failed: int
    digest: str


def pending_files(tables: Tables, days: Sequence[dt.date]) -> list[Pending]:
    """Days, given oldest first, that have such files; a file counts for the first of the days it was noticed on.

    Outcomes of the day before the first count, too: a file may be noticed again under a new event id a day later. So
    does a stored file whose conversation was not told of it, because that failed or the run was killed.
    """
    outcomes: dict[str, str] = {}
    for day in [days[0] - dt.timedelta(days=1), *days] if days else []:
        for row in tables.rows(UPLOADS, day, ["file_id", "status", "context"]):
            if outcomes.get(row["file_id"], FAILED) == FAILED:
                outcomes[row["file_id"]] = FAILED if _is_untold(row) else row["status"]
    found = []
    seen = noticed_before(tables, days[0]) if days else set()
    for day in days:
        noticed = _noticed(tables, day) - seen
        seen |= noticed
        left = sorted(file_id for file_id in noticed if outcomes.get(file_id, FAILED) == FAILED)
        if left:
            found.append(_pending(day, left, [file_id for file_id in left if file_id in outcomes]))
    return found


def left_behind(tables: Tables, first: dt.date, before: dt.date) -> list[dt.date]:
    """Earlier days whose events were written after their outcomes, by a listing: what guests sent on them was noticed
    late, after days without a run or in a conversation that goes on for weeks."""
    first = max(first, before - LONGEST_LOOK_BACK)
    noticed, settled = _written(tables, TABLE), _written(tables, UPLOADS)
    return [day for day, at in sorted(noticed.items()) if first <= day < before and settled.get(day, 0.0) <= at]


def without_outcome(tables: Tables, day: dt.date) -> Pending | None:
    """A day's files that have no row at all: one run gives them theirs, be it that they are dead."""
    known = {row["file_id"] for row in tables.rows(UPLOADS, day, ["file_id"])}
    left = sorted(_noticed(tables, day) - noticed_before(tables, day) - known)
    return _pending(day, left, []) if left else None


def _pending(day: dt.date, left: list[str], failed: list[str]) -> Pending:
    digest = hashlib.blake2b("\n".join([*left, "", *failed]).encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return Pending(day, len(left), len(failed), digest)


def _written(tables: Tables, table: str) -> dict[dt.date, float]:
    """When each day of a table was written."""
    found = {}
    for key, stat in tables.store.stats(f"{tables.folder}/{table}/"):
        with suppress(ValueError):
            found[dt.date.fromisoformat(key.partition("/date=")[2].partition("/")[0])] = stat.modified
    return found


def noticed_before(tables: Tables, day: dt.date) -> set[str]:
    """Files that one of the two days before has noticed: they belong there, and are dead before a third."""
    return {file_id for n in (2, 1) for file_id in _noticed(tables, day - dt.timedelta(days=n))}


def _noticed(tables: Tables, day: dt.date) -> set[str]:
    return {row["file_id"] for row in tables.rows(TABLE, day, ["file_id"])} - {None}


def _is_untold(row: Row) -> bool:
    return "context" in row and row["status"] == STORED and row["context"] in (None, FAILED)


def state_of(tables: Tables, days: Sequence[dt.date]) -> str:
    """Something that differs when one of the tables' days was written since, without reading them."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for day in days:
        for table in (TABLE, UPLOADS):
            for key, stat in sorted(tables.store.stats(f"{tables.folder}/{table}/date={day}/")):
                digest.update(f"{key} {stat.size} {stat.modified}\n".encode())
    return digest.hexdigest()
