"""Months of a table in one file each, `compacted/<table>/YYYY-MM.parquet`: what questions over a long time
read, which opening a file a day would slow.

They are copies. What counts are the days' files: beside the months stands of which files they were made, and a month
is read only as long as these are the files that there are. All of `compacted/` may be removed at any time.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from media_pipeline.storage.as_file import AsFile
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.partition import encodings
from media_pipeline.tables.paths import COMPACTED_FOLDER, TABLES_FOLDER
from media_pipeline.tables.schemas import TABLES

Seen = TypeVar("Seen")

COMPACTED = (
    "recording_inventory",
    "recording_audio",
    "transcript_status",
    "availability_report",
    "storage_utilization",
    "storage_quota",
    "export_runs",
)
"""What was said is not among them: its days are so large that opening them weighs little, and it lies in one place."""
LEASE = "compaction"
"""Of who compacts, at most one at a time."""
DAY = "date"
ROW_GROUP_ROWS = 100_000
MOST_NOTED_BYTES = 16 * 1024 * 1024
"""Of the note beside the months; ten years of a run an hour take 10 MB."""
_LOOKS, _PAUSE_SECONDS = 20, 0.02
_DAY_FILE = re.compile(rf"{TABLES_FOLDER}/[^/]+/{DAY}=((\d{{4}}-\d{{2}})-\d{{2}})/[^/]+\.parquet")


class DayUnreadable(ValueError):
    """A day's file that is gone or cannot be read: says which and why."""


class Noted(BaseModel):
    """What one month was made of: the tag of its own file, and of each day's file that is in it."""

    file: str
    days: dict[str, str]


class Note(BaseModel):
    """What stands beside a table's months; `columns` they all have."""

    columns: list[str]
    months: dict[str, Noted]


@dataclass(slots=True)
class Done:
    """What compacting a table came to: months by name, those left out with the reason, and keys that were removed."""

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    """In the months that were written."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The keys that together have each row of a table once: months, and the days that are in none."""

    months: list[str]
    days: list[str]


def month_key(table: str, month: str) -> str:
    """The Parquet file of one table's month, `YYYY-MM`."""
    return f"{_prefix(table)}{month}.parquet"


def note_key(table: str) -> str:
    """What a table's months were made of; readers of Parquet pass over such a name."""
    return f"{_prefix(table)}_days.json"


def compact(
    store: ObjectStore, table: str, today: dt.date | None = None, guard: Callable[[], None] = lambda: None
) -> Done:
    """Write the months of a table that are over and that are missing or no longer what their days are.

    A month is over with the second day of the next (`today`, UTC): its last day is exported by then. One with a file
    that cannot be read is left out, and questions go on reading its days. `guard` raises when nothing may be replaced.
    """
    today = today or dt.datetime.now(dt.UTC).date()
    found = _settled(lambda: _months(store, table))
    noted = _note(store, table) or Note(columns=_columns(table), months={})
    current = _current(store, table, noted, found)
    done = Done(kept=sorted(current))
    note = Note(columns=noted.columns, months={month: noted.months[month] for month in done.kept})
    for month, days in sorted(found.items()):
        if month in current or not _is_over(month, today):
            continue
        guard()
        try:
            done.rows += _write(store, table, month, days)
        except DayUnreadable as error:
            done.left_out[month] = str(error)
            continue
        note.months[month] = Noted(file=_tag(store, table, month), days=days)
        _save(store, table, note)
        done.written.append(month)
    guard()
    if note.months.keys() != noted.months.keys():
        _save(store, table, note)
    ours = {month_key(table, month) for month in note.months}
    for key in sorted({key for key, _ in store.tags(_prefix(table)) if key.endswith(".parquet")} - ours):
        store.remove(key)
        done.removed.append(key)
    return done


def reading(store: ObjectStore, table: str) -> Reading:
    """What to read of a table when all its days are asked for; nothing is opened but the note."""
    found = _months(store, table)
    noted = _note(store, table)
    current = set() if noted is None else _current(store, table, noted, found)
    return Reading(
        [month_key(table, month) for month in sorted(current)],
        sorted(key for month, days in found.items() if month not in current for key in days),
    )


def _prefix(table: str) -> str:
    return f"{COMPACTED_FOLDER}/{table}/"


def _columns(table: str) -> list[str]:
    return [*TABLES[table].names, DAY]


def _note(store: ObjectStore, table: str) -> Note | None:
    """None for a note that is not there, was made by something else, or is of other columns than the table has now."""
    small = store.get_small(note_key(table), MOST_NOTED_BYTES)
    with suppress(ValidationError):
        note = None if small is None else Note.model_validate_json(small.data)
        return note if note is not None and note.columns == _columns(table) else None
    return None


def _save(store: ObjectStore, table: str, note: Note) -> None:
    months = dict(sorted(note.months.items()))
    store.put(note_key(table), note.model_copy(update={"months": months}).model_dump_json().encode())


def _months(store: ObjectStore, table: str) -> dict[str, dict[str, str]]:
    """A table's files with their tags, month by month; those of days that no month has, as 2026-02-30, under ``."""
    months: dict[str, dict[str, str]] = defaultdict(dict)
    for key, tag in sorted(store.tags(f"{TABLES_FOLDER}/{table}/")):
        if match := _DAY_FILE.fullmatch(key):
            months[match[2] if _is_day(match[1]) else ""][key] = tag
    return months


def _is_day(name: str) -> bool:
    with suppress(ValueError):
        return bool(dt.date.fromisoformat(name))
    return False


def _current(store: ObjectStore, table: str, noted: Note, found: Mapping[str, dict[str, str]]) -> set[str]:
    """The months whose file is the one that was written, of the days that there are."""
    files = dict(store.tags(_prefix(table)))
    return {
        month
        for month, its in noted.months.items()
        if its.days == found.get(month) and files.get(month_key(table, month)) == its.file
    }


def _is_over(month: str, today: dt.date) -> bool:
    return bool(month) and today > (dt.date.fromisoformat(f"{month}-01") + dt.timedelta(days=31)).replace(day=1)


def _write(store: ObjectStore, table: str, month: str, days: Iterable[str]) -> int:
    """One month: its days' rows in their order, the day behind their columns; returns the number of rows."""
    # all may be null: older files lack columns that came later
    fields = [pa.field(each.name, each.type) for each in TABLES[table]]
    schema = pa.schema([*fields, pa.field(DAY, pa.date32())])
    rows = 0
    with store.writer(month_key(table, month)) as sink:
        with pq.ParquetWriter(AsFile(sink), schema, compression="zstd", **encodings(schema)) as file:
            for group in _groups((_read(store, key, schema) for key in days), schema):
                file.write_table(group)
                rows += group.num_rows
        sink.commit()
    pa.default_memory_pool().release_unused()  # Arrow would keep it for the run's life
    return rows


def _read(store: ObjectStore, key: str, schema: pa.Schema) -> pa.Table:
    """A day's rows in the month's columns, those that the file lacks null; raises DayUnreadable."""
    opened = store.open(key)
    if opened is None:
        raise DayUnreadable(f"{key} was removed meanwhile")
    try:
        with opened, pq.ParquetFile(opened, pre_buffer=False) as parquet:
            there = [name for name in schema.names[:-1] if name in parquet.schema_arrow.names]
            found = parquet.read(columns=there, use_threads=False)
        arrays = [
            found[each.name].cast(each.type) if each.name in there else pa.nulls(found.num_rows, each.type)
            for each in list(schema)[:-1]
        ]
    except (pa.ArrowException, OSError) as error:  # Arrow tells a torn footer as an OSError
        why = " ".join((getattr(error, "strerror", None) or str(error)).split()).rstrip(".")
        raise DayUnreadable(f"{key} cannot be read ({why})") from error
    match = _DAY_FILE.fullmatch(key)
    day = pa.scalar(match and dt.date.fromisoformat(match[1]), pa.date32())
    return pa.Table.from_arrays([*arrays, pa.repeat(day, found.num_rows)], schema=schema)


def _groups(tables: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Row groups of whole days, of ROW_GROUP_ROWS at least but the last: a condition on dates skips the others."""
    waiting = schema.empty_table()
    for table in tables:
        waiting = pa.concat_tables([waiting, table])
        if waiting.num_rows >= ROW_GROUP_ROWS:
            yield waiting.combine_chunks()
            waiting = schema.empty_table()
    if waiting.num_rows:
        yield waiting.combine_chunks()


def _tag(store: ObjectStore, table: str, month: str) -> str:
    """The tag of a month's file, which nobody else writes: who compacts holds the lease."""
    return _settled(lambda: dict(store.tags(_prefix(table)))[month_key(table, month)])


def _settled(look: Callable[[], Seen]) -> Seen:
    """What is seen twice in a row: a local file has another tag each time as long as it is as young as the clock's
    tick. What goes on changing is given as it was seen last; its month will be written again.
    """
    seen = look()
    for _ in range(_LOOKS):
        before, seen = seen, look()
        if seen == before:
            break
        time.sleep(_PAUSE_SECONDS)
    return seen
