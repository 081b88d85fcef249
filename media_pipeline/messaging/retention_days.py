"""The table media_retention as the state of the ledger, and which of its days have something to do.

The table itself is the state: there is nothing that could contradict it. One run works on it, by a lease; every write
is a swap against the version that was read, so that a run that lost its lease while it stood still cannot undo what
another one wrote. New entries are taken in thus: table, then index, then the entries' objects are removed; a kill in
between makes the next run take the same entries in again, which changes nothing.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from media_pipeline.messaging.deciding import CLOSED, HELD, RETENTION_SET, WOULD_DELETE, told, when
from media_pipeline.messaging.retention import decoded, merged
from media_pipeline.storage.base import ObjectStore, Small, StorageError
from media_pipeline.storage.lease import LeaseLost
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.partition import Row
from media_pipeline.tables.paths import RETENTION_DAYS, RETENTION_NEW, table_key
from media_pipeline.tables.schemas import TABLES
from media_pipeline.transfer.parallel import ordered_map

TABLE = "media_retention"
SCHEMA = TABLES[TABLE]
MAX_DAY_BYTES = 128 * 1024 * 1024
"""Of a day's Parquet, about 150 bytes an entry."""
TAKEN_IN_AT_ONCE = 2_000
"""Objects of new entries; what is more waits for the next run, a minute later."""
THREADS = 8


@dataclass(slots=True)
class Day:
    """A day's open entries: when the first is to be looked at (None: when holds change), the oldest deadline that is
    neither kept nor switched off, entries by state, and those a hold wants back from the source in vain."""

    next: dt.datetime | None = None
    oldest: dt.datetime | None = None
    states: dict[str, int] = field(default_factory=dict)
    not_withdrawn: int = 0

    def add(self, row: Row) -> None:
        """Count an entry."""
        state = row["state"]
        self.states[state] = self.states.get(state, 0) + 1
        moment = when(row)
        if moment is not None:
            self.next = min(moment, self.next or moment)
        if state == HELD:
            self.not_withdrawn += told(row)
        elif state != WOULD_DELETE:
            due = row["source_delete_date"] or row["due"] if state == RETENTION_SET else row["due"]
            self.oldest = min(due, self.oldest or due)


@dataclass(slots=True)
class Index:
    """Which days have open entries, and what is to be known of them without reading their tables.

    `holds` and `allowed` are what the last whole pass went by: with others, all open days are looked at.
    """

    days: dict[dt.date, Day] = field(default_factory=dict)
    holds: str = ""
    allowed: bool = False
    tag: str | None = None

    def to_look_at(self, now: dt.datetime, holds: str, allowed: bool) -> list[dt.date]:
        """Days with something to do, oldest first."""
        changed = (holds, allowed) != (self.holds, self.allowed)
        return sorted(d for d, open_ in self.days.items() if changed or (open_.next is not None and open_.next <= now))

    def encode(self) -> bytes:
        """As JSON."""
        days = {str(day): asdict(found) for day, found in sorted(self.days.items())}
        return json.dumps({"days": days, "holds": self.holds, "allowed": self.allowed}, default=str).encode()

    @classmethod
    def decode(cls, small: Small) -> Index | None:
        """None for what cannot be read: it is made anew from the tables then."""
        try:
            found: dict[str, Any] = json.loads(small.data)
            days = {}
            for day, facts in found["days"].items():
                moments = {n: dt.datetime.fromisoformat(facts[n]) if facts[n] else None for n in ("next", "oldest")}
                days[dt.date.fromisoformat(day)] = Day(**(facts | moments))
            return cls(days, str(found["holds"]), bool(found["allowed"]), small.tag)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


class Days:
    """The ledger's tables for the one run that works on them; what was lost to another run raises LeaseLost."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._tables: dict[dt.date, tuple[pa.Table, str | None]] = {}
        self._written: set[dt.date] = set()
        small = store.get_small(RETENTION_DAYS, MAX_DAY_BYTES)
        index = Index.decode(small) if small else None
        if index is None:
            index = Index(tag=small.tag if small else None)
            for day in sorted(days_below(store, f"tables/{TABLE}/")):
                index.days[day] = Day(next=dt.datetime.min.replace(tzinfo=dt.UTC))
            self._written.update(index.days)
        self.index = index

    def take_in(self) -> int:
        """Put what was scheduled since into its tables; returns the number of entries."""
        keys = sorted(self._store.sizes(RETENTION_NEW), key=lambda key: key.rpartition("/")[2])[:TAKEN_IN_AT_ONCE]
        by_day: defaultdict[dt.date, list[Row]] = defaultdict(list)
        taken = []
        for key, rows in ordered_map(self._entries_of, keys, threads=THREADS):
            if rows is not None:
                taken.append(key)
                for row in rows:
                    by_day[row["scheduled_at"].date()].append(row)
        for day in sorted(by_day):
            self.update(day, self._merged(day, by_day[day]))
        if taken:
            self.save_index()
            for _ in ordered_map(self._store.remove, taken, threads=THREADS):
                pass
        return sum(map(len, by_day.values()))

    def arrivals(self, known: set[str]) -> Iterator[Row]:
        """Entries that were scheduled since `known` was filled; fills it. Costs one listing."""
        for key in self._store.sizes(RETENTION_NEW):
            if key not in known:
                known.add(key)
                yield from self._entries_of(key)[1] or ()

    def table(self, day: dt.date) -> pa.Table:
        """A day as it is, empty where there is none."""
        if day not in self._tables:
            small = self._store.get_small(table_key(TABLE, day), MAX_DAY_BYTES)
            if small is None:
                self._tables[day] = (SCHEMA.empty_table(), None)
            else:
                self._tables[day] = (pq.read_table(io.BytesIO(small.data), schema=SCHEMA), small.tag)
        return self._tables[day][0]

    def open_rows(self, day: dt.date) -> Iterator[Row]:
        """Entries of a day that are not settled, sorted by key."""
        for batch in _open(self.table(day)).to_batches(1_000):
            yield from batch.to_pylist()

    def update(self, day: dt.date, rows: Iterable[Row]) -> None:
        """Replace entries of a day by key, or add them; nothing happens when they are as they were."""
        changed = pa.Table.from_pylist(list(rows), schema=SCHEMA)
        before = self.table(day)
        tag = self._tables[day][1]
        others = before.filter(pc.invert(pc.is_in(before["entry_id"], value_set=changed["entry_id"].combine_chunks())))
        after = pa.concat_tables([others, changed]).sort_by("entry_id").combine_chunks()
        if not after.equals(before):
            sink = io.BytesIO()
            pq.write_table(after, sink, compression="zstd")
            new_tag = self._store.put_if(table_key(TABLE, day), sink.getvalue(), tag)
            if new_tag is None:
                raise LeaseLost(f"Another run has written {TABLE} of {day} meanwhile; what it wrote stays.")
            self._tables[day] = (after, new_tag)
        self._written.add(day)

    def save_index(self) -> None:
        """Let the next run know which days have something to do.

        Until then the index may name a moment that is too early. It never names one that is too late: what a run
        brings forward, it brings forward because of holds or the switch, and those go into the index last.
        """
        for day in self._written:
            self._summarize(day)
        self._written.clear()
        data = self.index.encode()
        small = self._store.get_small(RETENTION_DAYS, MAX_DAY_BYTES)
        if small is not None and small.tag == self.index.tag and small.data == data:
            return
        tag = self._store.put_if(RETENTION_DAYS, data, self.index.tag)
        if tag is None:
            raise LeaseLost("Another run works on the retention ledger meanwhile; what it wrote stays.")
        self.index.tag = tag

    def forget(self) -> None:
        """Free the memory of all days."""
        self._tables.clear()

    def _merged(self, day: dt.date, rows: list[Row]) -> Iterator[Row]:
        table = self.table(day)
        wanted = pa.array({row["entry_id"] for row in rows}, pa.string())
        known = {row["entry_id"]: row for row in table.filter(pc.is_in(table["entry_id"], wanted)).to_pylist()}
        for row in rows:
            known[row["entry_id"]] = merged(known[row["entry_id"]], row) if row["entry_id"] in known else row
        return iter(known.values())

    def _entries_of(self, key: str) -> tuple[str, list[Row] | None]:
        """None for an object that is gone."""
        small = self._store.get_small(key, MAX_DAY_BYTES)
        if small is None:
            return key, None
        try:
            return key, [decoded(line) for line in small.data.splitlines()]
        except (ValueError, TypeError, KeyError):
            raise StorageError(
                f"{key} is no list of entries: nothing is deleted until that is clear. Restore the object or remove it."
            ) from None

    def _summarize(self, day: dt.date) -> None:
        found = Day()
        for row in self.open_rows(day):
            found.add(row)
        if found.states:
            self.index.days[day] = found
        else:
            self.index.days.pop(day, None)


def something_to_do(store: ObjectStore, now: dt.datetime, holds: str, allowed: bool) -> bool:
    """Whether a run would find work: new entries, deadlines, or other holds than the last run went by. Three calls."""
    if store.sizes(RETENTION_NEW):
        return True
    small = store.get_small(RETENTION_DAYS, MAX_DAY_BYTES)
    if small is None:
        return bool(days_below(store, f"tables/{TABLE}/"))
    index = Index.decode(small)
    return index is None or bool(index.to_look_at(now, holds, allowed))


def _open(table: pa.Table) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["state"], pa.array(CLOSED))))
