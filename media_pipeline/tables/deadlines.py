"""Recordings the source still keeps and this archive does not have, with the date the source deletes them on.

The retention list comes in no documented order and may hold years, so it is spread over one file a day first; then
each day is compared with what was exported. Memory does not grow with the list; MEDIA_SPOOL holds it for that time.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import heapq
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pyarrow.compute as pc

from media_pipeline.genesys.source import Retained
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.partition import Row, TableMissing, Tables, aligned
from media_pipeline.tables.paths import TABLES_FOLDER, table_key
from media_pipeline.tables.sorting import SortedRows
from media_pipeline.transfer.outcome import EMPTY, INCOMPLETE_STATUSES, STORED, UNSUPPORTED

TABLE = "recording_deadlines"
KEY = ("recording_id", "conversation_id")
AUDIO = "recording_audio"
NOT_EXPORTED, WITHHELD, NEVER_LISTED = "not_exported", "withheld", "never_listed"
SPREAD_ROWS = 5_000
"""Held before they are appended to their days' files."""
LONGEST_CONVERSATION = dt.timedelta(days=7)
"""A recording is looked for on the day it was created and the days before, on which its conversation may have begun."""
SEARCHED_FURTHER = 10_000
"""Recordings of a day that are looked for on other days than their own and the one before it."""
LEFTOVER_SECONDS = 2 * 24 * 3600.0
"""What a killed sweep left in the spool is removed after this long."""
DUE_FIRST = dt.timedelta(days=2)
MOST_DUE_FIRST = 1_000

_AUDIO_COLUMNS = ["recording_id", "conversation_id", "status", "reason"]
_LISTED = [field.name for field in dataclasses.fields(Retained)]
_PREFIX = "retention-"


class SpreadOut:
    """A retention list by UTC day of creation, in the spool."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._encoder, self._decoder = msgspec.json.Encoder(), msgspec.json.Decoder(Retained)

    def add_all(self, recordings: Iterable[Retained], since: dt.date) -> int:
        """Take in those created on the day `since` or later; returns their number."""
        number = 0
        lines: defaultdict[dt.date, list[bytes]] = defaultdict(list)
        for recording in recordings:
            day = recording.created_at.date()
            if day < since:
                continue
            lines[day].append(self._encoder.encode(recording))
            number += 1
            if number % SPREAD_ROWS == 0:
                self._append(lines)
        self._append(lines)
        return number

    def days(self) -> list[dt.date]:
        """The days that have any, oldest first."""
        return sorted(dt.date.fromisoformat(path.name) for path in self._folder.iterdir())

    def of(self, day: dt.date) -> Iterator[Row]:
        """A day's recordings in the list's order."""
        with (self._folder / str(day)).open("rb") as lines:
            for line in lines:
                found = self._decoder.decode(line)
                yield {name: getattr(found, name) for name in _LISTED} | {"status": ""}

    def _append(self, lines: defaultdict[dt.date, list[bytes]]) -> None:
        for day, found in lines.items():
            with (self._folder / str(day)).open("ab") as file:
                file.write(b"".join(line + b"\n" for line in found))
        lines.clear()


@contextmanager
def spread_out(spool: Path) -> Iterator[SpreadOut]:
    """A private folder in the spool for the length of a sweep; what killed ones left is removed."""
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in spool.glob(f"{_PREFIX}*"):
        if time.time() - left.stat().st_mtime > LEFTOVER_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=spool) as folder:
        yield SpreadOut(Path(folder))


def write_deadlines(tables: Tables, listed: SpreadOut, *, complete: bool) -> Iterator[tuple[dt.date, Row]]:
    """Replace the table; gives its rows on the way. Days that have none any more go, if the list was read to its end.

    A kill leaves some days of this sweep and some of the last one: each is true of its time, and the next mends it.
    """
    before = _days_of(tables.store)
    for day in listed.days():
        missing = SortedRows(TABLE, _not_here(tables, day, SortedRows(TABLE, listed.of(day), KEY)), KEY)
        if not missing:
            continue
        before.discard(day)
        with tables.writer(TABLE, day) as writer:
            for row in missing:
                writer.add(row)
                yield day, row
    for day in before if complete else ():
        tables.store.remove(table_key(TABLE, day))


def soonest_deletions(tables: Tables, days: Iterable[dt.date]) -> dict[dt.date, dt.datetime]:
    """Per day, when the first recording that was not here at the last sweep is deleted; days without one are left out.

    A recording created on a day may belong to the day before, on which its conversation began: it counts for both.
    """
    wanted, known = set(days), _days_of(tables.store)
    found: dict[dt.date, dt.datetime] = {}
    for day in sorted(known & (wanted | {day + dt.timedelta(days=1) for day in wanted})):
        try:
            soonest = pc.min(tables.read(TABLE, day, ["delete_date"])["delete_date"]).as_py()
        except TableMissing:  # a sweep has just removed it
            continue
        for owner in {day, day - dt.timedelta(days=1)} & wanted if soonest is not None else ():
            found[owner] = min(soonest, found.get(owner, soonest))
    return found


def due_first(tables: Tables, day: dt.date, now: dt.datetime) -> set[str]:
    """Ids of at most 1,000 recordings of a day that the source deletes within two days."""
    due = (
        (row["delete_date"], row["recording_id"])
        for created in (day, day + dt.timedelta(days=1))
        for row in tables.rows(TABLE, created, ["recording_id", "delete_date"])
        if row["delete_date"] is not None and row["delete_date"] - now < DUE_FIRST
    )
    return {recording_id for _, recording_id in heapq.nsmallest(MOST_DUE_FIRST, due)}


def _days_of(store: ObjectStore) -> set[dt.date]:
    return days_below(store, f"{TABLES_FOLDER}/{TABLE}/")


def _not_here(tables: Tables, day: dt.date, listed: Iterable[Row]) -> Iterator[Row]:
    """Of a day's retained recordings, sorted by id, those without a settled outcome."""
    exported = tables.exists(AUDIO, day)
    # its conversation may have begun the day before: nothing is sure while that was not exported
    otherwise = NEVER_LISTED if tables.exists(AUDIO, day - dt.timedelta(days=1)) else NOT_EXPORTED
    missing: dict[str, Row] = {}
    for recording_id, rows in aligned(
        listed=listed,
        same_day=tables.rows(AUDIO, day, _AUDIO_COLUMNS),
        day_before=tables.rows(AUDIO, day - dt.timedelta(days=1), _AUDIO_COLUMNS),
    ):
        if not rows["listed"]:
            continue
        row, outcomes = rows["listed"][0], rows["same_day"] or rows["day_before"]
        if outcomes:
            worst = max(outcomes, key=_badness)
            if _badness(worst):
                yield row | {"status": worst["status"], "reason": worst["reason"]}
        elif not exported:
            yield row | {"status": NOT_EXPORTED}
        elif len(missing) < SEARCHED_FURTHER:
            missing[recording_id] = row
        else:
            yield row | {"status": otherwise}
    yield from _searched_further(tables, day, missing, otherwise)


def _searched_further(tables: Tables, day: dt.date, missing: dict[str, Row], otherwise: str) -> Iterator[Row]:
    """Recordings that neither their day nor the one before has: on a day before that, withheld, or `otherwise`."""
    if not missing:
        return
    conversations = {row["conversation_id"] for row in missing.values()}
    delivered: set[str] = set()
    elsewhere: dict[str, Row] = {}
    for back in range(LONGEST_CONVERSATION.days + 1):
        for row in tables.rows(AUDIO, day - dt.timedelta(days=back), _AUDIO_COLUMNS):
            if row["recording_id"] in missing:
                known = elsewhere.setdefault(row["recording_id"], row)
                elsewhere[row["recording_id"]] = max(known, row, key=_badness)
            if row["conversation_id"] in conversations:
                delivered.add(row["conversation_id"])
    for recording_id, row in missing.items():
        outcome = elsewhere.get(recording_id)
        if outcome is None:
            yield row | {"status": WITHHELD if row["conversation_id"] in delivered else otherwise}
        elif _badness(outcome):
            yield row | {"status": outcome["status"], "reason": outcome["reason"]}


def _badness(outcome: Row) -> int:
    """0 for what is here or was never to be: stored, of a format that is not exported, empty, or deleted already."""
    if outcome["status"] in (STORED, UNSUPPORTED, EMPTY) or outcome["reason"] == "deleted":
        return 0
    return 2 if outcome["status"] in INCOMPLETE_STATUSES else 1
