"""Months of a table in one file each, `compacted/<table>/YYYY-MM.parquet`: what questions over a long time read, which
opening a file a day would slow.

They are copies. What counts are the days' files: a note beside the months says of which files they were made, and a
month is read only as long as these are the files that there are. All of `compacted/` may be removed at any time.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from media_pipeline.storage.as_file import AsFile
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.partition import column_path, encodings
from media_pipeline.tables.paths import COMPACTED_FOLDER, TABLES_FOLDER
from media_pipeline.tables.schemas import TABLES

Seen = TypeVar("Seen")
Files = Mapping[str, str]
"""Keys with their tags."""

COMPACTED = (
    "recording_inventory",
    "recording_audio",
    "diarized_transcripts",
    "transcript_status",
    "availability_report",
    "storage_utilization",
    "storage_quota",
    "export_runs",
)
NOT_COPIED = {"diarized_transcripts": ("text",)}
"""What was said lies in one place."""
LEASE = "compaction"
"""Of who compacts, at most one at a time."""
WRITER = "1"
"""Another one makes all months anew: to be raised with every change of what is in a month."""
DAY = "date"
ROW_GROUP_ROWS = 100_000
_LOOKS, _PAUSE_SECONDS = 60, 0.05
_DAY_FILE = re.compile(rf"{TABLES_FOLDER}/[^/]+/{DAY}=((\d{{4}}-\d{{2}})-\d{{2}})/[^/]+\.parquet")


class MonthLeftOut(ValueError):
    """A month whose days cannot be copied: says which file, and why."""


class Noted(BaseModel):
    """One month: the tag of its own file, and what its days' files were, in 32 hex digits."""

    file: str
    days: str


class Note(BaseModel):
    """What stands beside a table's months; `layout` they all have."""

    layout: list[str]
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
class Part:
    """Files to be read together: months, or days that are in none."""

    is_months: bool
    keys: list[str]


def month_key(table: str, month: str) -> str:
    """The Parquet file of one table's month, `YYYY-MM`."""
    return f"{_prefix(table)}{month}.parquet"


def note_key(table: str) -> str:
    """What a table's months were made of; readers of Parquet pass over such a name."""
    return f"{_prefix(table)}_days.json"


def compact_all(store: ObjectStore, guard: Callable[[], None]) -> Iterator[tuple[str, Done]]:
    """Compact one table after the other; see compact."""
    for table in COMPACTED:
        yield table, compact(store, table, guard=guard)


def compact(
    store: ObjectStore, table: str, today: dt.date | None = None, guard: Callable[[], None] = lambda: None
) -> Done:
    """Write the months of a table that are over and that are missing or no longer what their days are.

    A month is over with the second day of the next (`today`, UTC): its last day is exported by then. One whose days
    cannot be copied is left out, and questions go on reading its days. `guard` raises when nothing may be replaced.
    """
    newest = (today or dt.datetime.now(dt.UTC).date()) - dt.timedelta(days=1)
    found = _by_month(_settled(lambda: day_files(store, table)))
    noted = _note(store, table) or Note(layout=_layout(table), months={})
    current = _current(store, table, noted, found)
    done = Done(kept=sorted(current))
    note = Note(layout=noted.layout, months={month: noted.months[month] for month in done.kept})
    for month, days in sorted(found.items()):
        if month in current or not "" < month < f"{newest:%Y-%m}":
            continue
        try:
            done.rows += _write(store, table, month, days, guard)
        except MonthLeftOut as error:
            done.left_out[month] = str(error)
            continue
        note.months[month] = Noted(file=_tag(store, table, month), days=_digest(days))
        _save(store, table, note, guard)
        done.written.append(month)
    if note.months.keys() != noted.months.keys():
        _save(store, table, note, guard)
    ours = {month_key(table, month) for month in (*note.months, *done.left_out)}
    for key in sorted({key for key, _ in store.tags(_prefix(table)) if key.endswith(".parquet")} - ours):
        guard()
        store.remove(key)
        done.removed.append(key)
    return done


def copied(table: str) -> list[pa.Field]:
    """A table's columns that its months have beside `date`; any may be null: older files lack what came later."""
    return [pa.field(each.name, each.type) for each in TABLES[table] if each.name not in NOT_COPIED.get(table, ())]


def day_files(store: ObjectStore, table: str) -> dict[str, str]:
    """A table's files of days, in order."""
    return {key: tag for key, tag in sorted(store.tags(f"{TABLES_FOLDER}/{table}/")) if _DAY_FILE.fullmatch(key)}


def days_of(files: Iterable[str]) -> set[str]:
    """The days that files are of."""
    return {match[1] for key in files if (match := _DAY_FILE.fullmatch(key))}


def reading(store: ObjectStore, table: str, files: Files) -> list[Part]:
    """What to read of a table so as to have all rows of these files in their order; only the note is opened for it."""
    found = _by_month(files)
    noted = _note(store, table)
    current = set() if noted is None else _current(store, table, noted, found)
    parts = []
    for is_months, months in groupby(sorted(found), current.__contains__):
        keys = ([month_key(table, month)] if is_months else sorted(found[month]) for month in months)
        parts.append(Part(is_months, list(chain.from_iterable(keys))))
    return parts


def _prefix(table: str) -> str:
    return f"{COMPACTED_FOLDER}/{table}/"


def _layout(table: str) -> list[str]:
    return [WRITER, *(f"{each.name} {each.type}" for each in copied(table))]


def _note(store: ObjectStore, table: str) -> Note | None:
    """None for a note that is not there, was made by something else, or is of columns that the table has no more."""
    with suppress(ValidationError):
        small = store.get_small(note_key(table))
        note = None if small is None else Note.model_validate_json(small.data)
        return note if note is not None and note.layout == _layout(table) else None
    return None


def _save(store: ObjectStore, table: str, note: Note, guard: Callable[[], None]) -> None:
    months = dict(sorted(note.months.items()))
    guard()
    store.put(note_key(table), note.model_copy(update={"months": months}).model_dump_json().encode())


def _by_month(files: Files) -> dict[str, dict[str, str]]:
    """Files month by month; those of days that no month has, as 2026-02-30, under an empty name."""
    months: dict[str, dict[str, str]] = defaultdict(dict)
    for key, tag in files.items():
        match = _DAY_FILE.fullmatch(key)
        months[match[2] if match and _is_day(match[1]) else ""][key] = tag
    return months


def _is_day(name: str) -> bool:
    with suppress(ValueError):
        return bool(dt.date.fromisoformat(name))
    return False


def _digest(days: Files) -> str:
    lines = "".join(f"{key}\n{tag}\n" for key, tag in sorted(days.items()))
    return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()


def _current(store: ObjectStore, table: str, noted: Note, found: Mapping[str, Files]) -> set[str]:
    """The months whose file is the one that was written, of the days that there are."""
    files = dict(store.tags(_prefix(table))) if noted.months else {}
    return {
        month
        for month, its in noted.months.items()
        if month in found and its.days == _digest(found[month]) and files.get(month_key(table, month)) == its.file
    }


def _write(store: ObjectStore, table: str, month: str, days: Files, guard: Callable[[], None]) -> int:
    """One month: its days' rows in their order, the day behind their columns; returns the number of rows."""
    schema = pa.schema([*copied(table), pa.field(DAY, pa.date32())])
    # of numbers they leave NaN out, by which readers would then pass over other rows than in the days' files
    stated = [column_path(each) for each in schema if not pa.types.is_floating(each.type)]
    rows = 0
    before = _stats(store, table, month)
    with store.writer(month_key(table, month)) as sink:
        with pq.ParquetWriter(
            AsFile(sink), schema, compression="zstd", write_statistics=stated, **encodings(schema)
        ) as file:
            for group in _groups((_read(store, key, schema) for key in days), schema):
                file.write_table(group)
                rows += group.num_rows
        after = _by_month(day_files(store, table)).get(month)
        if after != days or _stats(store, table, month) != before:
            raise MonthLeftOut("its days changed meanwhile")
        guard()
        sink.commit()
    pa.default_memory_pool().release_unused()  # Arrow would keep it for the run's life
    return rows


def _stats(store: ObjectStore, table: str, month: str) -> dict[str, object]:
    """Sizes and times of a month's files: in a bucket those of the same bytes have the same tag whenever written."""
    inside = f"{TABLES_FOLDER}/{table}/{DAY}={month}-"
    return {key: stat for key, stat in store.stats(f"{TABLES_FOLDER}/{table}/") if key.startswith(inside)}


def _read(store: ObjectStore, key: str, schema: pa.Schema) -> pa.Table:
    """A day's rows in the month's columns, those that the file lacks null; raises MonthLeftOut."""
    try:
        opened = store.open(key)
        if opened is None:
            raise MonthLeftOut(f"{key} was removed meanwhile")
        with opened, pq.ParquetFile(opened, pre_buffer=False) as parquet:
            there = _columns(key, parquet.schema_arrow, schema)
            found = parquet.read(columns=there, use_threads=False)
        arrays = [
            found[each.name].cast(each.type) if each.name in there else pa.nulls(found.num_rows, each.type)
            for each in list(schema)[:-1]
        ]
    except (pa.ArrowException, OSError) as error:  # Arrow tells a torn footer as an OSError
        why = " ".join((getattr(error, "strerror", None) or str(error)).split()).rstrip(".")
        raise MonthLeftOut(f"{key} cannot be read ({why})") from error
    match = _DAY_FILE.fullmatch(key)
    day = pa.scalar(match and dt.date.fromisoformat(match[1]), pa.date32())
    return pa.Table.from_arrays([*arrays, pa.repeat(day, found.num_rows)], schema=schema)


def _columns(key: str, found: pa.Schema, schema: pa.Schema) -> list[str]:
    """The table's columns that a file has; raises MonthLeftOut for one that DuckDB would read in a way of its own."""
    names = [name.lower() for name in found.names]
    there = [each.name for each in list(schema)[:-1] if each.name in found.names]
    if not there or len(set(names)) < len(names) or sum(each.name in names for each in list(schema)[:-1]) > len(there):
        raise MonthLeftOut(f"{key} has other columns than the table")
    for name in there:
        its, wanted = found.field(name).type, schema.field(name).type
        if not _becomes(its, wanted):
            raise MonthLeftOut(f"{key} has {name} as {its}, not as {wanted}")
    return there


def _becomes(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of one type are the same in the other, for every reader; a cast refuses single ones that are not.

    What else DuckDB can make of a type it makes differently: texts of numbers, numbers of moments.
    """
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_list(wanted) and (pa.types.is_list(found) or pa.types.is_large_list(found)):
        return _becomes(found.value_type, wanted.value_type)
    if pa.types.is_timestamp(wanted) and pa.types.is_timestamp(found):
        return bool(found.tz == wanted.tz)
    return bool(
        found == wanted
        or pa.types.is_null(found)
        or (pa.types.is_string(wanted) and pa.types.is_large_string(found))
        or (pa.types.is_float64(wanted) and pa.types.is_float32(found))
        or (pa.types.is_signed_integer(wanted) and pa.types.is_signed_integer(found))
    )


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
