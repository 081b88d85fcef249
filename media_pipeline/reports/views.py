"""The tables' files as views `raw.<table>`, which dbt knows as the source `media`. Imports neither dagster nor dbt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from media_pipeline.reports.days import READ_TABLES, Part
from media_pipeline.reports.places import EMPTY_TABLES
from media_pipeline.tables.duckdb_text import as_pattern, quoted
from media_pipeline.tables.inventory import MALFORMED_NOTE, UNREADABLE_NOTE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def make_views(connection: DuckDBPyConnection, url: str, parts: Sequence[Part]) -> None:
    """Make the views anew over these files and no others: what is not due is not even opened."""
    paths = {table: _paths(url, [part for part in parts if part.table == table]) for table in READ_TABLES}
    for table in READ_TABLES:
        connection.execute(f"create or replace view raw.{table} as {_select(connection, table, paths[table])}")
    connection.execute(f"create or replace view raw.inventory_notes as {_notes(paths['recording_inventory'])}")


def _paths(url: str, parts: Sequence[Part]) -> str:
    return ", ".join(quoted(as_pattern(f"{url}/{part.key}")) for part in parts)


def _select(connection: DuckDBPyConnection, table: str, paths: str) -> str:
    """A day's file may lack columns that came later, and a table may have no file at all: the empty file has all.

    DuckDB refuses one list of the empty file, which has no day in its path, and the others: hence the union.
    """
    empty = quoted(str(EMPTY_TABLES / f"{table}.parquet"))
    columns = connection.execute(f"describe select * from read_parquet({empty})").fetchall()  # noqa: S608
    typed = [(str(name), str(kind)) for name, kind, *_ in columns]
    # of another type where other programs wrote the file; the marts' contracts know one
    names = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in typed)
    nothing = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in typed)
    if not paths:
        return f"select {nothing}, null::date as date where false"
    # not hive_partitioning: that takes days and columns from the folders above MEDIA_ROOT, too
    files = f"read_parquet([{paths}], filename = true, hive_partitioning = false, union_by_name = true)"
    all_columns = f"select {nothing}, null::varchar as filename where false union all by name select * from {files}"  # noqa: S608
    return f"select {names}, {_day_of('filename')} as date from ({all_columns})"  # noqa: S608


def _notes(paths: str) -> str:
    """What the inventory's files say beside their rows."""
    counts = ", ".join(
        f"coalesce(max(case when decode(key) = '{note}' then try_cast(decode(value) as bigint) end), 0) as {note}"
        for note in (MALFORMED_NOTE, UNREADABLE_NOTE)
    )
    if not paths:
        return f"select null::date as date, 0::bigint as {MALFORMED_NOTE}, 0::bigint as {UNREADABLE_NOTE} where false"
    day = _day_of("file_name")
    return f"select {day} as date, {counts} from parquet_kv_metadata([{paths}]) group by all"  # noqa: S608


def _day_of(path: str) -> str:
    return rf"try_cast(regexp_extract({path}, '/date=(\d{{4}}-\d{{2}}-\d{{2}})/[^/]*$', 1) as date)"
