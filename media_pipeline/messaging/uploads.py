"""Files of guests from events to rows of guest_uploads: which are wanted, what becomes of each, and the day's table.

A file belongs to the first day it was noticed on. Stored, rejected and expired are final; what failed is tried again
until its 24 hours are over, and is then given up. An object that a killed run published before it wrote the row is
proved by its hash and taken over: it is not fetched again, even if the source has it no more.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import heapq
import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import IO

from media_pipeline.genesys.errors import GenesysError, NotFound, PermissionMissing
from media_pipeline.messaging.events import TABLE as EVENTS
from media_pipeline.messaging.fetching import Fetched, Fetcher, WrongHash
from media_pipeline.messaging.file_types import Unfit
from media_pipeline.messaging.pending import FAILED, STORED, UPLOADS, noticed_before
from media_pipeline.messaging.shown_names import shown
from media_pipeline.messaging.upload_policy import EXTENSIONS, check_content, check_declared, detected_type
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.paths import upload_key, upload_stem, uploads_prefix
from media_pipeline.transfer.outcome import Ending

REJECTED, EXPIRED = "rejected", "expired"
FILES_LIVE = dt.timedelta(hours=24)
COPY_BYTES = 256 * 1024
_KEY = itemgetter("file_id")
_MIDNIGHT = dt.time(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file that was noticed and is not settled: at the earliest it dies at `dies_at`, at `dead_at` it is dead."""

    event: Row
    dies_at: dt.datetime
    dead_at: dt.datetime

    @property
    def file_id(self) -> str:
        """The file's id."""
        return str(self.event["file_id"])


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a file, and what it cost; `adopted`: a killed run had published it."""

    row: Row
    adopted: bool = False
    seconds: float = 0.0


def wanted_files(tables: Tables, day: dt.date) -> list[Wanted]:
    """The day's files that have no final row, those first that die first. About 2 KB of memory a file."""
    final = {row["file_id"] for row in tables.rows(UPLOADS, day, ["file_id", "status"]) if row["status"] != FAILED}
    elsewhere = noticed_before(tables, day)
    found: dict[str, Row] = {}
    for row in tables.rows(EVENTS, day):  # by event id: of two events of a file always the same one
        file_id = row["file_id"]
        if file_id is not None and file_id not in final and file_id not in elsewhere:
            found.setdefault(file_id, row)
    wanted = [Wanted(event=row, dies_at=dies_at(row, day), dead_at=dead_at(row, day)) for row in found.values()]
    return sorted(wanted, key=lambda one: (one.dies_at, one.event["event_id"]))


def dies_at(event: Row, day: dt.date) -> dt.datetime:
    """When a file dies at the earliest: 24 h after its message; where that has no time, after its day's beginning."""
    sent_at: dt.datetime = event["sent_at"] or dt.datetime.combine(day, _MIDNIGHT)
    return sent_at + FILES_LIVE


def dead_at(event: Row, day: dt.date) -> dt.datetime:
    """When it is dead for certain; without a time of the message, 24 h after its day's end."""
    return dies_at(event, day) + (dt.timedelta() if event["sent_at"] else dt.timedelta(days=1))


class Settler:
    """Finds out what becomes of a file, and publishes it; safe to use from threads."""

    def __init__(self, store: ObjectStore, fetcher: Fetcher, day: dt.date, now: Callable[[], dt.datetime]) -> None:
        self._store, self._fetcher, self._day, self._now = store, fetcher, day, now
        self._present = _stems(store, day)

    def settle(self, wanted: Wanted) -> Settled:
        """The file's row, after its object is published; raises StorageError and permanent GenesysErrors."""
        began = time.monotonic()
        adopted = self._adopted(wanted)
        row = adopted or self._fetched(wanted)
        return Settled(row, adopted is not None, time.monotonic() - began)

    def _adopted(self, wanted: Wanted) -> Row | None:
        """The row of an object that a killed run left; what is there and not as it should be is removed."""
        found = None
        for key in self._present.get(upload_stem(self._day, wanted.file_id), ()):
            with self._store.open(key) or io.BytesIO() as file:
                size, sha256 = _measured(file)
                claimed = wanted.event["source_sha256"]
                row = None
                if claimed in (None, sha256) and found is None:
                    row = self._judged(wanted, Fetched(file, size, sha256), lambda row: row["object_key"] == key)  # noqa: B023
            if row is not None and row["status"] == STORED:
                found = row
            else:
                self._store.remove(key)
        return found

    def _fetched(self, wanted: Wanted) -> Row:
        event = wanted.event
        try:
            check_declared(event["file_name"], event["declared_type"])
            ids = (event["conversation_id"], event["message_id"], wanted.file_id)
            with self._fetcher.fetched(*ids, event["source_sha256"], event["size_bytes"]) as fetched:
                row = self._judged(wanted, fetched, lambda row: self._publish(fetched, row))
                assert row is not None  # it was published
                return row
        except Unfit as unfit:
            return _row(wanted, status=REJECTED, reason=unfit.reason, detail=str(unfit))
        except WrongHash:
            detail = "Its bytes do not have the SHA-256 that the source states, also when fetched again."
            return _row(wanted, status=REJECTED, reason="sha256_mismatch", detail=detail)
        except NotFound as error:
            return self._missed(wanted, "no_file", str(error))
        except Ending as ending:
            return self._missed(wanted, ending.reason, ending.sentence)
        except GenesysError as error:
            if error.permanent and not isinstance(error, PermissionMissing):
                raise
            return self._missed(wanted, error.reason, str(error))

    def _judged(self, wanted: Wanted, fetched: Fetched, publish: Callable[[Row], bool]) -> Row | None:
        """The row by policy; None when `publish` says that this is not its object."""
        event, size, sha256 = wanted.event, fetched.size, fetched.sha256
        facts: Row = {"size_bytes": size if sha256 else None, "sha256": sha256}
        try:
            check_declared(event["file_name"], event["declared_type"])
            kind = check_content(fetched.file, size, event["file_name"], event["declared_type"])
        except Unfit as unfit:
            facts["detected_type"] = detected_type(fetched.file)
            return _row(wanted, status=REJECTED, reason=unfit.reason, detail=str(unfit), **facts)
        assert sha256 is not None  # only what is too large has none
        key = upload_key(self._day, wanted.file_id, sha256, EXTENSIONS[kind])
        row = _row(wanted, status=STORED, detected_type=kind, object_key=key, **facts)
        return row if publish(row) else None

    def _publish(self, fetched: Fetched, row: Row) -> bool:
        fetched.file.seek(0)
        with self._store.writer(row["object_key"]) as sink:
            while piece := fetched.file.read(COPY_BYTES):
                sink.write(piece)
            sink.commit(sha256=row["sha256"])
        return True

    def _missed(self, wanted: Wanted, reason: str, detail: str) -> Row:
        if self._now() < wanted.dead_at:
            return _row(wanted, status=FAILED, reason=reason, detail=detail)
        if reason == "no_file":
            return _row(wanted, status=EXPIRED, reason="too_late", detail="Its 24 hours were over before it was had.")
        return _row(wanted, status=EXPIRED, reason=reason, detail=f"Its 24 hours are over. Last: {detail}")


def merge_rows(tables: Tables, day: dt.date, rows: Iterable[Row]) -> None:
    """Put rows in the place of those of their keys in a day's table, which is replaced as a whole."""
    fresh = sorted(rows, key=_KEY)
    if fresh:
        merged = heapq.merge(fresh, tables.rows(UPLOADS, day), key=_KEY)  # of equal keys the fresh one comes first
        tables.write(UPLOADS, day, (next(same) for _, same in groupby(merged, key=_KEY)))


def _row(wanted: Wanted, **facts: object) -> Row:
    event = wanted.event
    return {
        "file_id": wanted.file_id,
        "conversation_id": event["conversation_id"],
        "file_name": shown(event["file_name"]),
        "declared_type": shown(event["declared_type"]),
        "detected_type": None,
        "declared_size_bytes": event["size_bytes"],
        "size_bytes": None,
        "sha256": None,
        "object_key": None,
        "reason": None,
        "detail": None,
        "context": None,
        "expires_at": event["sent_at"] and event["sent_at"] + FILES_LIVE,
        **facts,
    }


def _stems(store: ObjectStore, day: dt.date) -> dict[str, list[str]]:
    """A day's objects by what their keys begin with."""
    found: dict[str, list[str]] = {}
    for key in sorted(store.sizes(uploads_prefix(day))):
        stem = f"{key.rsplit('.', 2)[0]}."
        found.setdefault(stem, []).append(key)
    return found


def _measured(file: IO[bytes]) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    while piece := file.read(COPY_BYTES):
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()
