"""Answers as CSV, JSON, JSON lines and Parquet, batch by batch: memory does not grow with the rows."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from typing import IO, Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from media_pipeline.escaping import printable
from media_pipeline.storage.as_file import AsFile

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
    """A header and a line a row; null is nothing, an empty text is `""`, lists and structs are JSON, bytes base64.

    Raises OverflowError for days and times outside the years 1 to 9999, which Arrow would write as words.
    """
    plain = _plain_schema(reader.schema, lambda kind: pa.types.is_nested(kind) or pa.types.is_binary(kind))
    with pyarrow.csv.CSVWriter(sink, plain) as writer:
        for batch in reader:
            for column in batch.columns:
                _check_years(column)
            writer.write_batch(_plain(batch, plain))


def write_parquet(reader: pa.RecordBatchReader, sink: IO[bytes]) -> None:
    """One Parquet file, zstd; a row group a batch or more. What Parquet has no type for is text, as in CSV.

    Raises OverflowError for times that it cannot hold.
    """
    plain = _plain_schema(reader.schema, lambda _: False)
    with pq.ParquetWriter(AsFile(sink), plain, compression="zstd") as writer:
        for batches in _gathered(_plain(batch, plain) for batch in reader):
            try:
                writer.write_table(pa.Table.from_batches(batches))
            except pa.ArrowInvalid as error:  # it has no seconds, and not all of them are milliseconds
                if "overflow" not in str(error):
                    raise
                raise OverflowError(str(error)) from error


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


def as_text(value: object) -> str:
    """A value as one line: JSON for what has parts."""
    if isinstance(value, pa.MonthDayNano):
        return _lasting(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (list, dict, tuple)):
        return _encoder.encode(_whole(value)).decode()
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
    if isinstance(value, (list, tuple)):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value


def _plain_schema(schema: pa.Schema, is_text: Callable[[pa.DataType], bool]) -> pa.Schema:
    """The schema with texts in place of what the format has no type for."""
    return pa.schema(
        pa.field(name, pa.string() if is_text(field.type) or _is_unknown(field.type) else field.type)
        for name, field in zip(_different(schema.names), schema, strict=True)
    )


def _different(names: list[str]) -> list[str]:
    """The names, a second `n` as `n_1`: a query may give two columns one name, these formats may not."""
    found: dict[str, None] = {}
    for name in names:
        tried = (name if number == 0 else f"{name}_{number}" for number in count())
        found[next(each for each in tried if each not in found)] = None
    return list(found)


def _is_unknown(kind: pa.DataType) -> bool:
    """Whether there is something in it that no format has a type for: a length of time, a struct of nothing."""
    if pa.types.is_nested(kind):
        return kind.num_fields == 0 or any(_is_unknown(kind.field(place).type) for place in range(kind.num_fields))
    return bool(kind == pa.month_day_nano_interval())


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        array
        if array.type == field.type
        else pa.array([None if value is None else as_text(value) for value in array.to_pylist()], field.type)
        for array, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31 in days since 1970."""
_A_DAY = {"s": 86_400, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}


def _check_years(column: pa.Array) -> None:
    if pa.types.is_date32(column.type):
        numbers, a_day = column.cast(pa.int32()), 1
    elif pa.types.is_timestamp(column.type):
        numbers, a_day = column.cast(pa.int64()), _A_DAY[column.type.unit]
    else:
        return
    least, most = pc.min_max(numbers).as_py().values()
    if least is not None and not (_FIRST_DAY * a_day <= least and most < (_LAST_DAY + 1) * a_day):
        raise OverflowError("a day or a time outside the years 1 to 9999")


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    together: list[pa.RecordBatch] = []
    for batch in batches:
        together.append(batch)
        if sum(each.num_rows for each in together) >= ROW_GROUP_ROWS:
            yield together
            together = []
    if together:
        yield together
