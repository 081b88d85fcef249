"""Which files of guests were noticed and have no final outcome yet, by the tables alone."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from media_pipeline.messaging.events import TABLE
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
            failed = [file_id for file_id in left if file_id in outcomes]
            digest = hashlib.blake2b("\n".join([*left, "", *failed]).encode(), digest_size=_DIGEST_BYTES).hexdigest()
            found.append(Pending(day, len(left), len(failed), digest))
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
