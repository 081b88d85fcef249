"""The tables and marts as views in a DuckDB of one's own: a script for a notebook, a BI tool or DuckDB's shell.

Unlike the views of one question, these are over patterns: days that come later are in them without another script.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from media_pipeline.escaping import printable
from media_pipeline.sql.described import mart_pages, unknown
from media_pipeline.sql.views import (
    DAY,
    MartUnreadable,
    Views,
    named,
    over_parquet,
    typed,
)
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.duckdb_text import as_pattern, quoted
from media_pipeline.tables.months import COMPACTED, copied
from media_pipeline.tables.paths import COMPACTED_FOLDER, MARTS_FOLDER, ONE_FILE, TABLES_FOLDER
from media_pipeline.tables.schemas import TABLES
from media_pipeline.tables.schemas.columns import fact
from media_pipeline.tables.schemas.facts import FACTS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MONTHS_SCHEMA = "months"
_MONTHS = "The months that are over, as their days were when they were compacted: quicker over a year."
_OF_A_DISK = (
    "set async_threads = 0;  -- no threads that wait for files; not for network drives\n"
    "set enable_external_file_cache = false;  -- which would keep nothing of a disk's files\n"
)
_OF_S3 = "-- Once before: install httpfs; create secret (type s3, provider credential_chain);\n"


def session(store: ObjectStore, connection: DuckDBPyConnection, name: str | None = None) -> Iterator[str]:
    """Settings, then a view with comments for each table and mart, or for one; raises ValueError for neither.

    Where months were compacted, `months.<table>` is a view of them. A mart that cannot be read is a comment, unless it
    is the one. The settings are for many questions in one session: over a year a short one takes half to three quarters
    of the time.
    """
    views = Views(store)
    known = [*TABLES, *views.marts]
    if name is not None and name not in known:
        raise ValueError(unknown(name, known, store))
    version = connection.sql("select version()").fetchall()[0][0]
    yield f"-- Views of {printable(store.url)}, for DuckDB {version} or newer.\n"
    yield from settings(store)
    yield f"create schema if not exists {MONTHS_SCHEMA};  -- of months that were compacted, as their days were then\n"
    for each in known if name is None else [name]:
        if each in TABLES:
            comments = {field.name: fact(field, "description") for field in TABLES[each]}
            columns = [*typed(connection, TABLES[each]), (DAY, "DATE")]
            days = views.files_of(each)
            files = [_pattern(store, TABLES_FOLDER, each, days)] if days else []
            yield from _view(each, over_parquet(columns, files), f"One row per {FACTS[each].row}.", comments)
            if not files:
                yield f"-- {each} has no day yet: make this view again when it has.\n"
            if each in COMPACTED and store.sizes(f"{COMPACTED_FOLDER}/{each}/", ".parquet"):
                months = [f"{as_pattern(f'{store.url}/{COMPACTED_FOLDER}/{each}')}/*.parquet"]
                copies = [*typed(connection, pa.schema(copied(each))), (DAY, "DATE")]
                select = over_parquet(copies, months, is_daily=False)
                yield from _view(each, select, f"{_MONTHS} One row per {FACTS[each].row}.", {}, MONTHS_SCHEMA)
        else:
            page, mart = mart_pages().get(each, {}), views.marts[each]
            comments = {column["name"]: column.get("description", "") for column in page.get("columns", [])}
            try:
                columns = typed(connection, views.mart_schema(mart))
            except MartUnreadable as error:
                if name is not None:
                    raise
                yield f"\n-- No view of {printable(each)}: {error}\n"
                continue
            whole = [as_pattern(f"{store.url}/{key}") for key in mart.files]
            files = [_pattern(store, MARTS_FOLDER, each, mart.files)] if mart.is_daily else whole
            select = over_parquet(columns, files, is_daily=mart.is_daily)
            told = {column: comments[column] for column, _ in columns if column in comments}
            yield from _view(each, select, str(page.get("description", "")).strip(), told)


def settings(store: ObjectStore) -> Iterator[str]:
    """What a session sets before its views."""
    yield _OF_S3 if "://" in store.url else _OF_A_DISK
    yield "set parquet_metadata_cache = true;  -- a file's footer is read once, and again when it changed\n"
    yield "set TimeZone = 'UTC';\n"


def _pattern(store: ObjectStore, folder: str, name: str, keys: Iterable[str]) -> str:
    """All days. Their one file is asked for by its name where all have it: listing a year's folders is a tenth of what
    a short question takes.
    """
    file = ONE_FILE if all(key.endswith(f"/{ONE_FILE}") for key in keys) else "*.parquet"
    return f"{as_pattern(f'{store.url}/{folder}/{name}')}/{DAY}=*/{file}"


def _view(name: str, select: str, about: str, comments: Mapping[str, str], schema: str | None = None) -> Iterator[str]:
    view = f"{schema}.{named(name)}" if schema else named(name)
    yield f"\ncreate or replace view {view} as\n{select};\n"
    if about:
        yield f"comment on view {view} is {quoted(about)};\n"
    for column, text in comments.items():
        if text:
            yield f"comment on column {view}.{named(column)} is {quoted(text)};\n"
