"""Writes the months of a table, which questions over a long time read: opening a file a day would slow them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from media_pipeline.storage.as_file import AsFile
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.months import (
    COMPACTED,
    DAY,
    Files,
    Note,
    Noted,
    by_month,
    copied,
    current_months,
    day_files,
    day_of,
    digest,
    layout,
    month_key,
    note_key,
    noted_months,
    prefix,
)
from media_pipeline.tables.partition import column_path, encodings
from media_pipeline.tables.paths import TABLES_FOLDER

Seen = TypeVar("Seen")

LEASE = "compaction"
"""Of who compacts, at most one at a time."""
ROW_GROUP_ROWS = 100_000
_LOOKS, _PAUSE_SECONDS = 60, 0.05


class MonthLeftOut(ValueError):
    """A month whose days cannot be copied: says which file, and why."""


@dataclass(slots=True)
class Done:
    """What compacting a table came to: months by name, those left out with the reason, and keys that were removed."""

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    """In the months that were written."""


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
    found = by_month(_settled(lambda: day_files(store, table)))
    noted = noted_months(store, table) or Note(layout=layout(table), months={})
    current = current_months(store, table, noted, found)
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
        note.months[month] = Noted(file=_tag(store, table, month), days=digest(days))
        _save(store, table, note, guard)
        done.written.append(month)
    if note.months.keys() != noted.months.keys():
        _save(store, table, note, guard)
    ours = {month_key(table, month) for month in (*note.months, *done.left_out)}
    for key in sorted({key for key, _ in store.tags(prefix(table)) if key.endswith(".parquet")} - ours):
        guard()
        store.remove(key)
        done.removed.append(key)
    return done


def _save(store: ObjectStore, table: str, note: Note, guard: Callable[[], None]) -> None:
    months = dict(sorted(note.months.items()))
    guard()
    store.put(note_key(table), note.model_copy(update={"months": months}).model_dump_json().encode())


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
        after = by_month(day_files(store, table)).get(month)
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
    day = pa.repeat(pa.scalar(day_of(key), pa.date32()), found.num_rows)
    return pa.Table.from_arrays([*arrays, day], schema=schema)


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
    return _settled(lambda: dict(store.tags(prefix(table)))[month_key(table, month)])


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
