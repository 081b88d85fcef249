"""Answers as CSV, JSON, JSON lines and Parquet, batch by batch: memory does not grow with the rows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from typing import IO, Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from media_pipeline.escaping import printable

Format = Literal["table", "csv", "json", "jsonl", "parquet"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
"""Formats by a file's ending."""


def write_csv(reader: pa.RecordBatchReader, sink: IO[bytes]) -> None:
    """A header and a line a row; null is nothing, an empty text is `""`, lists and structs are JSON."""
    plain = _plain_schema(reader.schema, pa.types.is_nested)
    with pyarrow.csv.CSVWriter(sink, plain) as writer:
        for batch in reader:
            writer.write_batch(_plain(batch, plain))


def write_parquet(reader: pa.RecordBatchReader, sink: IO[bytes]) -> None:
    """One Parquet file, zstd; a row group a batch or more."""
    plain = _plain_schema(reader.schema, lambda _: False)
    with pq.ParquetWriter(_Forward(sink), plain, compression="zstd") as writer:
        for batches in _gathered(_plain(batch, plain) for batch in reader):
            writer.write_table(pa.Table.from_batches(batches))


def write_jsonl(reader: pa.RecordBatchReader, sink: IO[bytes]) -> None:
    """An object a line."""
    for batch in reader:
        sink.write(b"".join(_encoder.encode(row) + b"\n" for row in _rows(batch)))


def write_json(reader: pa.RecordBatchReader, sink: IO[bytes]) -> None:
    """One array of objects, an object a line."""
    before = b"[\n"
    for batch in reader:
        for row in _rows(batch):
            sink.write(before + _encoder.encode(row))
            before = b",\n"
    sink.write(b"\n]\n" if before == b",\n" else b"[]\n")


WRITERS: dict[str, Callable[[pa.RecordBatchReader, IO[bytes]], None]] = {
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}
ROW_GROUP_ROWS = 100_000


class ForTerminal(io.RawIOBase):
    """A sink that escapes what a terminal would act on; line ends stay."""

    def __init__(self, terminal: IO[str]) -> None:
        self._terminal = terminal
        self._rest = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Escape and show; a character that is not whole yet waits for its rest."""
        whole, mark, self._rest = (self._rest + bytes(data)).rpartition(b"\n")
        for line in (whole + mark).decode(errors="backslashreplace").splitlines(keepends=True) if mark else []:
            self._terminal.write(printable(line.rstrip("\n")) + "\n" if line.endswith("\n") else printable(line))
        return len(data)


class _Forward(io.RawIOBase):
    """A pipe, which cannot tell where it is, as the file that pyarrow writes to."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._sink.write(bytes(data))
        return len(data)


def as_text(value: object) -> str:
    """A value as one line: JSON for what has parts."""
    if isinstance(value, pa.MonthDayNano):
        return _lasting(value)
    if isinstance(value, (list, dict, tuple)):
        return _encoder.encode(value).decode()
    return str(value)


def _lasting(value: pa.MonthDayNano) -> str:
    """An interval as DuckDB shows it: `2 months 3 days 23:43:37.051`."""
    named = [f"{number} {unit}" for number, unit in ((value.months, "months"), (value.days, "days")) if number]
    if value.nanoseconds or not named:
        seconds, nanoseconds = divmod(abs(value.nanoseconds), 10**9)
        minutes, second = divmod(seconds, 60)
        fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
        sign = "-" if value.nanoseconds < 0 else ""
        named.append(f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{fraction}")
    return " ".join(named)


def _other(value: object) -> object:
    return str(value)


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_other)


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, object]]:
    """Rows whose values JSON knows: days, times and the like as ISO texts, whole decimals as numbers."""
    renamed = batch.rename_columns(_different(batch.schema.names))
    return ({name: _whole(value) for name, value in row.items()} for row in renamed.to_pylist())


def _whole(value: object) -> object:
    """sum() of integers is a decimal without a fraction, to DuckDB; an interval is a tuple, to pyarrow."""
    if isinstance(value, pa.MonthDayNano):
        return _lasting(value)
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value


def _plain_schema(schema: pa.Schema, is_text: Callable[[pa.DataType], bool]) -> pa.Schema:
    """The schema with texts in place of what the format has no type for."""
    return pa.schema(
        pa.field(name, pa.string() if is_text(field.type) or field.type in _UNKNOWN else field.type)
        for name, field in zip(_different(schema.names), schema, strict=True)
    )


def _different(names: list[str]) -> list[str]:
    """The names, a second `n` as `n_1`: a query may give two columns one name, these formats may not."""
    found: dict[str, None] = {}
    for name in names:
        tried = (name if number == 0 else f"{name}_{number}" for number in count())
        found[next(each for each in tried if each not in found)] = None
    return list(found)


_UNKNOWN = (pa.month_day_nano_interval(),)


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        array
        if array.type == field.type
        else pa.array([None if value is None else as_text(value) for value in array.to_pylist()], field.type)
        for array, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    together: list[pa.RecordBatch] = []
    for batch in batches:
        together.append(batch)
        if sum(each.num_rows for each in together) >= ROW_GROUP_ROWS:
            yield together
            together = []
    if together:
        yield together
