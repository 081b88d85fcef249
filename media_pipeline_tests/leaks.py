"""Looks for planted values in everything that was written, decoded: Parquet, gzip, SQLite, DuckDB, and what is packed
inside them. Audio's own bytes are left aside."""

from __future__ import annotations

import binascii
import gzip
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq

_SQLITE = b"SQLite format 3\0"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_MEDIA = (".wav.gz", ".mp3.gz", ".ogg.gz", ".aac.gz", ".gzi", ".jpg")
_DUCKDB_MAGIC_AT = slice(8, 12)


def leaks(places: Mapping[str, bytes] | Path, planted: Mapping[str, str]) -> list[tuple[str, str]]:
    """Where a planted value lies: (file, the value's name), sorted; values are looked for as UTF-8 in any decoding."""
    found: set[tuple[str, str]] = set()
    pieces = texts_below(places) if isinstance(places, Path) else iter(places.items())
    needles = {name: value.encode() for name, value in planted.items()}
    for where, data in pieces:
        found |= {(where, name) for name, needle in needles.items() if needle in data}
    return sorted(found)


def texts_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file's name and what is in it, as it lies and decoded. Raises FileNotFoundError when there is none."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    if not files:
        raise FileNotFoundError(f"There is nothing to look through below {folder}.")
    for path in files:
        if path.name.endswith(_MEDIA):
            continue
        name, data = str(path.relative_to(folder)), path.read_bytes()
        yield name, name.encode() + b"\n" + data
        yield from ((name, text) for text in _decoded(path, data))


def _decoded(path: Path, data: bytes) -> Iterator[bytes]:
    if data[:4] == b"PAR1":
        with pq.ParquetFile(path) as parquet:
            yield repr(parquet.schema_arrow.metadata).encode()
            for batch in parquet.iter_batches():
                yield "\n".join(str(value) for row in batch.to_pylist() for value in row.values()).encode()
    elif data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif data.startswith(_SQLITE):
        yield from _rows_of_sqlite(path)
    elif data[_DUCKDB_MAGIC_AT] == b"DUCK":
        yield from _rows_of_duckdb(path)


def _rows_of_sqlite(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608  its own names
                yield from (piece for value in row for piece in _unpacked(value))


def _rows_of_duckdb(path: Path) -> Iterator[bytes]:
    import duckdb

    with duckdb.connect(str(path), read_only=True) as database:
        tables = database.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        for schema, table in tables:  # views show files that are looked through themselves
            for row in database.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall():  # noqa: S608  its own names
                yield "\n".join(map(str, row)).encode()


def _unpacked(value: object) -> Iterator[bytes]:
    """A value of a database as it is, and what is compressed in it: Dagster keeps snapshots of jobs so."""
    data = value if isinstance(value, bytes) else str(value).encode()
    yield data
    if data[:2] in _ZLIB:
        try:
            yield zlib.decompress(data)
        except zlib.error:
            return
    elif data[:4].lower() in (binascii.hexlify(head) for head in _ZLIB):
        yield zlib.decompress(binascii.unhexlify(data))
