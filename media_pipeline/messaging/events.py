"""Conversation events into their table: at least once from the source, each event id exactly once into a row.

Rows are durable before the position behind them is published: a kill in between has them delivered again, and what is
in the table already is not added again. What could not be read is published with the position that passes it over. An
event without a time belongs to the day it was received, so that it is looked for in the days it may have been received
on before. A server that counts its events anew says an id of one file of another one: that has a row of its own.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import heapq
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from media_pipeline.genesys.messaging_source import ConversationEvent, EventTally, MessagingSource
from media_pipeline.messaging.cursor import EventCursor
from media_pipeline.messaging.shown_names import masked
from media_pipeline.tables.partition import Row, Tables

TABLE = "conversation_events"
FLUSH_EVENTS = 1_000
FLUSH_SECONDS = 5.0
"""A row is durable this long after it came at the latest; the day's table is replaced each time."""
LOOK_BACK = dt.timedelta(days=2)
"""A source that begins from the start again delivers no older ones: guest files live 24 h."""
LONGEST_LOOK_BACK = dt.timedelta(days=31)
_KEY = itemgetter("event_id")


@dataclass(slots=True)
class Drained:
    """What one run did: rows added by day, events that were there already, and those of the same id that differ.

    `renamed`: those whose id was another file's.
    """

    tally: EventTally = field(default_factory=EventTally)
    added: Counter[dt.date] = field(default_factory=Counter)
    duplicates: int = 0
    differing: int = 0
    renamed: int = 0
    cursor: EventCursor = field(default_factory=EventCursor)

    @property
    def unread(self) -> int:
        """Events that have no row and should have one."""
        return self.tally.malformed + self.tally.too_large


def drain(
    source: MessagingSource,
    tables: Tables,
    name: str,
    *,
    seconds: float,
    still_ours: Callable[[], None] = lambda: None,
    drained: Drained | None = None,
) -> Drained:
    """Read events for so many seconds at most, and keep them; `name` is the cursor's.

    `still_ours` raises when another run has taken over. What was read is kept whatever the source raises in the end.
    """
    drained = drained if drained is not None else Drained()
    drained.cursor = cursor = EventCursor.read(tables.store, name)
    until = time.monotonic() + seconds
    keeper = _Keeper(tables, name, still_ours, drained)
    if cursor.gaps and not cursor.position:
        cursor.publish(tables.store, name)
    try:
        for batch in source.conversation_events(cursor.position, until, drained.tally):
            keeper.take(batch.events, batch.position)
    finally:
        keeper.flush(at_end=True)
    return drained


class _Keeper:
    """Collects events and makes them durable, then the position behind them."""

    def __init__(self, tables: Tables, name: str, still_ours: Callable[[], None], drained: Drained) -> None:
        self._tables, self._name, self._still_ours, self._drained = tables, name, still_ours, drained
        self._events: list[ConversationEvent] = []
        self._position = drained.cursor.position
        self._begun_with = drained.cursor
        self._flushed_at = time.monotonic()

    def take(self, events: Iterable[ConversationEvent], position: str) -> None:
        """Remember events, and the position behind them."""
        self._events += events
        self._position = position
        if len(self._events) >= FLUSH_EVENTS or time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self.flush()

    def flush(self, *, at_end: bool = False) -> None:
        """Make durable what was taken: rows first, the position and what was passed over after them."""
        tally = self._drained.tally
        unsaid = at_end and (tally.gap is not None or self._drained.unread > 0)
        if not (self._events or unsaid) and self._position == self._drained.cursor.position:
            return  # events without ids move no position, and must not wait for one that has an id
        now = dt.datetime.now(dt.UTC)
        today = now.date()
        self._still_ours()
        for day, rows in self._by_day(today).items():
            added, differing = add_rows(self._tables, day, rows)
            self._drained.added[day] += added
            self._drained.duplicates += len(rows) - added
            self._drained.differing += differing
        self._still_ours()
        cursor = self._with_gaps(now)
        if self._position != self._drained.cursor.position:
            cursor = cursor.moved(self._position, today)
        cursor.publish(self._tables.store, self._name)
        self._drained.cursor = cursor
        self._events.clear()
        self._flushed_at = time.monotonic()

    def _with_gaps(self, now: dt.datetime) -> EventCursor:
        """The cursor with what this run knows to be missing, for people who look later: a sentence for each kind."""
        tally = self._drained.tally
        cursor = dataclasses.replace(self._drained.cursor, gaps=self._begun_with.gaps)
        if tally.gap is not None:
            cursor = cursor.missed(tally.gap, now)
        if self._drained.unread:
            cursor = cursor.missed(
                f"{tally.malformed} events could not be read and {tally.too_large} were larger than an event may be: "
                "they have no row.",
                now,
            )
        return cursor

    def _by_day(self, today: dt.date) -> dict[dt.date, list[Row]]:
        """Rows by partition, each event id once, without those that an earlier day has received already."""
        days: defaultdict[dt.date, dict[str, Row]] = defaultdict(dict)
        files = self._files_by_event(today)
        for event in self._events:
            day = event.sent_at.date() if event.sent_at is not None else today
            row = row_of(event)
            if event.sent_at is None and files.setdefault(event.event_id, event.file_id) != event.file_id:
                row["event_id"] = _id_apart(event)
                self._drained.renamed += 1
            earlier = days[day].setdefault(row["event_id"], row)
            if earlier is not row:
                self._drained.duplicates += 1
                self._drained.differing += earlier != row
        received = {event_id for event_id, row in days[today].items() if row["sent_at"] is None}
        for day in self._days_before(today) if received else ():
            for event_id in _known(self._tables, day, received):
                self._drained.duplicates += days[today].pop(event_id, None) is not None
        return {day: sorted(rows.values(), key=_KEY) for day, rows in days.items() if rows}

    def _files_by_event(self, today: dt.date) -> dict[str, str | None]:
        """The file of each event that was known by its id before, where events have no time."""
        received = {event.event_id for event in self._events if event.sent_at is None}
        files: dict[str, str | None] = {}
        for day in [*self._days_before(today), today] if received else ():
            files = _known(self._tables, day, received) | files
        return files

    def _days_before(self, today: dt.date) -> Iterator[dt.date]:
        reached = self._drained.cursor.day or today
        first = max(min(reached, today - LOOK_BACK), today - LONGEST_LOOK_BACK)
        for n in range((today - first).days):
            yield first + dt.timedelta(days=n)


def add_rows(tables: Tables, day: dt.date, rows: list[Row]) -> tuple[int, int]:
    """Merge rows, sorted by key, into a day; how many were added, and how many differ from the row of their key.

    The day's file is replaced as a whole, and only when something is new; the earlier row of a key stays.
    """
    there = {row["event_id"]: row for row in _rows_of(tables, day, {row["event_id"] for row in rows})}
    differing = sum(there[row["event_id"]] != row for row in rows if row["event_id"] in there)
    new = [row for row in rows if row["event_id"] not in there]
    if new:
        merged = heapq.merge(tables.rows(TABLE, day), new, key=_KEY)
        tables.write(TABLE, day, (next(same) for _, same in groupby(merged, key=_KEY)))
    return len(new), differing


def _rows_of(tables: Tables, day: dt.date, event_ids: set[str]) -> Iterator[Row]:
    if _known(tables, day, event_ids):
        yield from (row for row in tables.rows(TABLE, day) if row["event_id"] in event_ids)


def _known(tables: Tables, day: dt.date, event_ids: Collection[str]) -> dict[str, str | None]:
    """Those of the ids that a day has, and their files."""
    rows = tables.rows(TABLE, day, ["event_id", "file_id"])
    return {row["event_id"]: row["file_id"] for row in rows if row["event_id"] in event_ids}


def _id_apart(event: ConversationEvent) -> str:
    """Of an event whose id is another file's: always the same one."""
    digest = hashlib.blake2b(f"{event.conversation_id}\0{event.file_id or ''}".encode(), digest_size=8).hexdigest()
    return f"{event.event_id}#{digest}"


def row_of(event: ConversationEvent) -> Row:
    """An event as its row."""
    sent_at = event.sent_at
    return {
        "event_id": event.event_id,
        "conversation_id": event.conversation_id,
        "event_type": event.event_type,
        "message_id": event.message_id,
        # the table keeps milliseconds: the same message read again must compare equal
        "sent_at": sent_at and sent_at.replace(microsecond=sent_at.microsecond // 1000 * 1000),
        "file_id": event.file_id,
        "file_name": None if event.file_name is None else masked(event.file_name),
        "declared_type": event.declared_type,
        "size_bytes": event.size_bytes,
        "source_sha256": event.sha256,
    }
