"""Reads and writes one day of one table as Parquet: typed, zstd, replaced atomically, in bounded memory."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from media_pipeline.storage.as_file import AsFile
from media_pipeline.storage.base import ObjectStore, ObjectWriter
from media_pipeline.tables.contract import VERSION_NOTE, version_of
from media_pipeline.tables.paths import ONE_PART, TABLES_FOLDER, table_key
from media_pipeline.tables.schemas import TABLES

Row = dict[str, Any]
Arrow = TypeVar("Arrow", pa.Table, pa.RecordBatch)

BATCH_ROWS = 1_000
"""Rows held as Python objects before they become Arrow."""
ROW_GROUP_BYTES = 4 * 1024 * 1024
"""Rows held as Arrow before they are written as a row group. Readers hold a row group of each of several tables: with
larger ones a run's memory grows with the day. Queries over a year pay for each: a quarter of their time with a quarter
of this, and a day of 10,000 recordings is one row group of most tables."""


class TableMissing(Exception):
    """A day of a table that is needed does not exist yet."""


class TableWriter:
    """Takes rows one by one, in the order they shall have."""

    def __init__(self, schema: pa.Schema, sink: ObjectWriter, note: dict[str, str]) -> None:
        self._schema = schema
        self._parquet = pq.ParquetWriter(
            AsFile(sink), schema.with_metadata(note), compression="zstd", **encodings(schema)
        )
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []
        self.count = 0

    def add(self, row: Row) -> None:
        """Append one row."""
        self._rows.append(row)
        self.count += 1
        if len(self._rows) >= BATCH_ROWS:
            self._to_arrow()

    def add_table(self, rows: pa.Table) -> None:
        """Append rows that are Arrow already; whole batches of them give the same file as one by one."""
        self._to_arrow()
        for batch in rows.cast(self._schema).combine_chunks().to_batches(BATCH_ROWS):
            # as small as single rows make it, so that row groups end where theirs do: no bytes that nulls hide, and
            # no bitmap of nulls where there are none
            whole = batch.take(pa.array(range(batch.num_rows)))
            own = [pa.concat_arrays([column]) for column in whole.columns]
            self._take(pa.RecordBatch.from_arrays(own, schema=self._schema))
        self.count += rows.num_rows

    def close(self) -> None:
        """Write what is left and the footer."""
        self._to_arrow()
        self._to_parquet()
        self._parquet.close()

    def abandon(self) -> None:
        """Release the file without caring what is in it."""
        with suppress(Exception):
            self._parquet.close()

    def _to_arrow(self) -> None:
        if self._rows:
            self._take(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def _take(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)
        if sum(held.nbytes for held in self._batches) >= ROW_GROUP_BYTES:
            self._to_parquet()

    def _to_parquet(self) -> None:
        if self._batches:
            self._parquet.write_table(pa.Table.from_batches(self._batches))
            self._batches = []


def encodings(schema: pa.Schema) -> dict[str, Any]:
    """How a writer of Parquet shall encode the columns."""
    whole = [field.name for field in schema if _is_whole_number(field.type)]
    return {
        "use_dictionary": [column_path(field) for field in schema if field.name not in whole],
        "column_encoding": dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
    }


def _is_whole_number(kind: pa.DataType) -> bool:
    """Sizes, offsets and moments: as differences they take half the time to read that they take as a dictionary."""
    return bool(pa.types.is_int64(kind) or pa.types.is_timestamp(kind))


def column_path(field: pa.Field) -> str:
    """A column as Parquet names it; lists are the only nested ones."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name


class Tables:
    """The tables below one MEDIA_ROOT; those in another folder have the same schemas."""

    def __init__(
        self, store: ObjectStore, folder: str = TABLES_FOLDER, guard: Callable[[], None] = lambda: None
    ) -> None:
        """`guard` raises when a day must not be replaced any more; a run's own file beside it may be."""
        self.store = store
        self.folder = folder
        self._guard = guard

    @contextmanager
    def writer(
        self, table: str, day: dt.date, *, part: str = ONE_PART, note: dict[str, str] | None = None
    ) -> Iterator[TableWriter]:
        """Replace a day when the context is left without an error; `note` goes into the file's metadata."""
        with self.store.writer(table_key(table, day, part, self.folder)) as sink:
            writer = TableWriter(TABLES[table], sink, {VERSION_NOTE: version_of(table)} | (note or {}))
            try:
                yield writer
                writer.close()
            except BaseException:
                writer.abandon()
                raise
            self.store.flush()  # no table before the objects it tells of
            if part == ONE_PART:
                self._guard()
            sink.commit()
        pa.default_memory_pool().release_unused()  # Arrow would keep it for the run's life

    def write(self, table: str, day: dt.date, rows: Iterable[Row], *, part: str = ONE_PART) -> int:
        """Replace a day with the given rows; returns their number."""
        with self.writer(table, day, part=part) as writer:
            for row in rows:
                writer.add(row)
        return writer.count

    def exists(self, table: str, day: dt.date) -> bool:
        """Whether the day was ever written."""
        file = self.store.open(table_key(table, day, folder=self.folder))
        if file is None:
            return False
        file.close()
        return True

    def read(self, table: str, day: dt.date, columns: list[str] | None = None) -> pa.Table:
        """A day as one Arrow table; raises TableMissing."""
        with self._opened(table, day) as parquet:
            return _whole(parquet.read(columns=_there(parquet, columns), use_threads=False), TABLES[table], columns)

    def batches(self, table: str, day: dt.date, columns: list[str]) -> Iterator[pa.Table]:
        """A day in Arrow tables of at most 10,000 rows, a row group in memory at a time; raises TableMissing."""
        with self._opened(table, day) as parquet:
            for batch in parquet.iter_batches(10 * BATCH_ROWS, columns=_there(parquet, columns), use_threads=False):
                yield _whole(pa.Table.from_batches([batch]), TABLES[table], columns)

    def note(self, table: str, day: dt.date) -> dict[str, str]:
        """The note a day was written with; raises TableMissing."""
        with self._opened(table, day) as parquet:
            return {k.decode(): v.decode() for k, v in (parquet.schema_arrow.metadata or {}).items()}

    def rows(
        self, table: str, day: dt.date, columns: list[str] | None = None, *, part: str = ONE_PART
    ) -> Iterator[Row]:
        """A day row by row in bounded memory; nothing when it was never written."""
        try:
            with self._opened(table, day, part) as parquet:
                for batch in parquet.iter_batches(BATCH_ROWS, columns=_there(parquet, columns), use_threads=False):
                    yield from _whole(batch, TABLES[table], columns).to_pylist()
        except TableMissing:
            return

    def rows_about(
        self, table: str, day: dt.date, recording_id: str, columns: list[str] | None = None, *, part: str = ONE_PART
    ) -> list[Row]:
        """A recording's rows of a day, a row group in memory at a time; none when the day was never written."""
        found: list[Row] = []
        try:
            with self._opened(table, day, part) as parquet:
                for group in _groups_with(parquet, recording_id):
                    ids = parquet.read_row_group(group, columns=["recording_id"], use_threads=False)
                    matches = pc.equal(ids["recording_id"], recording_id)
                    if pc.any(matches).as_py():
                        there = _there(parquet, columns)
                        rows = parquet.read_row_group(group, columns=there, use_threads=False).filter(matches)
                        found += _whole(rows, TABLES[table], columns).to_pylist()
        except TableMissing:
            pass
        return found

    @contextmanager
    def _opened(self, table: str, day: dt.date, part: str = ONE_PART) -> Iterator[pq.ParquetFile]:
        file = self.store.open(table_key(table, day, part, self.folder))
        if file is None:
            raise TableMissing(
                f"The table {table} has no {day} under {self.store.url}: materialize {table} for that day first."
            )
        # read in this thread alone: Arrow's own threads, still at a Python file when a command ends, abort its process
        with file, pq.ParquetFile(file, pre_buffer=False) as parquet:
            yield parquet


def _groups_with(parquet: pq.ParquetFile, recording_id: str) -> list[int]:
    """Row groups that may have a recording, by the least and the greatest id that the file states of each."""
    metadata = parquet.metadata
    column = parquet.schema.names.index("recording_id")
    stated = [metadata.row_group(group).column(column).statistics for group in range(parquet.num_row_groups)]
    return [
        group
        for group, limits in enumerate(stated)
        if limits is None or not limits.has_min_max or limits.min <= recording_id <= limits.max
    ]


def _there(parquet: pq.ParquetFile, columns: list[str] | None) -> list[str] | None:
    """Of the columns that are asked for, those that the file has; one at least, which tells how many rows there are."""
    if columns is None:
        return None
    names = parquet.schema_arrow.names
    return [name for name in columns if name in names] or names[:1]


def _whole(found: Arrow, schema: pa.Schema, columns: list[str] | None) -> Arrow:
    """What an older file gave, with the columns that came later: null in every row."""
    names = schema.names if columns is None else columns
    if found.schema.names == list(names):
        return found
    there = set(found.schema.names)
    fields = [schema.field(name) for name in names]
    arrays = [found[field.name] if field.name in there else pa.nulls(found.num_rows, field.type) for field in fields]
    return type(found).from_arrays(arrays, schema=pa.schema(fields, found.schema.metadata))


def rows_of(table: pa.Table) -> Iterator[Row]:
    """A table row by row, a batch of Python objects at a time."""
    for batch in table.to_batches(BATCH_ROWS):
        yield from batch.to_pylist()


def aligned(**streams: Iterable[Row]) -> Iterator[tuple[str, dict[str, list[Row]]]]:
    """Walk several streams sorted by recording_id side by side: each id once, with its rows of every stream."""

    def tagged(name: str, stream: Iterable[Row]) -> Iterator[tuple[str, str, Row]]:
        return ((row["recording_id"], name, row) for row in stream)

    merged = heapq.merge(*(tagged(name, stream) for name, stream in streams.items()), key=itemgetter(0))
    for recording_id, group in groupby(merged, key=itemgetter(0)):
        found: dict[str, list[Row]] = {name: [] for name in streams}
        for _, name, row in group:
            found[name].append(row)
        yield recording_id, found
