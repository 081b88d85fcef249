"""The table voice_messages: rows of several days, known by key, replaced a day at a time."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator

from media_pipeline.messaging.voice_state import FAILED, FINAL, IN_DOUBT, TABLE, Progress
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.partition import Row, Tables

LOOK_BACK = dt.timedelta(days=7)
"""A message that is put into the inbox again within so many days is the same message."""


class VoiceTable:
    """The rows of a week and of one more day, in memory: a thousand messages a day are 5 MB."""

    def __init__(self, tables: Tables, day: dt.date, today: dt.date) -> None:
        self._tables = tables
        days = {today - dt.timedelta(days=n) for n in range(LOOK_BACK.days + 1)} | {day}
        self._days: defaultdict[dt.date, dict[str, Row]] = defaultdict(dict)
        self._changed: set[dt.date] = set() if tables.exists(TABLE, day) else {day}
        self.rows: dict[str, Row] = {}
        self.texts: defaultdict[str, set[str]] = defaultdict(set)
        """Ids of messages that are transcripts, by conversation."""
        for each in sorted(days):
            self._days[each] = {row["message_key"]: row for row in tables.rows(TABLE, each)}
            for row in self._days[each].values():
                self._know(row)

    def settled(self, message_key: str) -> Row | None:
        """The row of a message that is settled."""
        row = self.rows.get(message_key)
        return row if row is not None and row["status"] in FINAL else None

    def add(self, progress: Progress) -> None:
        """Put a message's row in place of what it was."""
        self.put(progress.day, progress.row())

    def put(self, day: dt.date, row: Row) -> None:
        """Put a row in place of what it was."""
        rows = self._days[day]
        if rows.get(row["message_key"]) != row:
            rows[row["message_key"]] = row
            self._changed.add(day)
        self._know(row)

    def save(self) -> None:
        """Make durable what changed."""
        for day in sorted(self._changed):
            self._tables.write(TABLE, day, (row for _, row in sorted(self._days[day].items())))
        self._changed.clear()

    def count(self, day: dt.date) -> int:
        """Rows of a day."""
        return len(self._days[day])

    def troubled(self) -> list[Row]:
        """Messages that need a person."""
        return troubled(self.rows.values())

    def _know(self, row: Row) -> None:
        self.rows[row["message_key"]] = row
        if row["conversation_id"] and row["transcript_message_id"]:
            self.texts[row["conversation_id"]].add(row["transcript_message_id"])


def troubled(rows: Iterable[Row]) -> list[Row]:
    """Those that need a person, in doubt first."""
    found = [row for row in rows if row["status"] in (IN_DOUBT, FAILED)]
    return sorted(found, key=lambda row: (row["status"] == FAILED, row["received_at"], row["message_key"]))


def find(tables: Tables, message_key: str) -> tuple[dt.date, Row] | None:
    """A message's day and row, newest day first."""
    for day, row in every(tables):
        if row["message_key"] == message_key:
            return day, row
    return None


def every(tables: Tables) -> Iterator[tuple[dt.date, Row]]:
    """All rows, newest day first."""
    for day in sorted(days_below(tables.store, f"tables/{TABLE}/"), reverse=True):
        for row in tables.rows(TABLE, day):
            yield day, row
