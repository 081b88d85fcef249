"""The ways in which a question is answered: connections that know the same names, over different files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from media_pipeline.sql.session import session, settings
from media_pipeline.sql.views import Views
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.duckdb_text import quoted
from media_pipeline.tables.months import COMPACTED
from media_pipeline.tables.paths import COMPACTED_FOLDER
from media_pipeline.tables.schemas import TABLES

QUERIES = Path(__file__).parents[2] / "docs/queries"
MARTS_DATABASE = "marts/media.duckdb"


def queries(suffix: str = ".sql") -> dict[str, str]:
    """The documented questions by name: of the tables, or with `.marts.sql` of the marts."""
    files = sorted(QUERIES.glob(f"*{suffix}"))
    return {
        path.name.partition(".")[0]: path.read_text() for path in files if path.name.count(".") == suffix.count(".")
    }


def connected(threads: int | None = None, database: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection as `media-pipeline sql` makes it, with so many threads."""
    connection = duckdb.connect(str(database or ":memory:"), read_only=database is not None)
    connection.execute("set TimeZone = 'UTC'")
    if threads:
        connection.execute(f"set threads = {threads}")
    return connection


def over_views(root: Path, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """All tables and marts as `media-pipeline sql` shows them to a question about few days."""
    connection = connected(threads)
    store = LocalStore(root)
    Views(store).create(connection, " ".join([*TABLES, *Views(store).marts]))
    return connection


def over_views_of(question: str, root: Path, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """What one question means, as `media-pipeline sql` shows it to this one: months where it is about many days."""
    connection, views = connected(threads), Views(LocalStore(root))
    views.create(connection, question)
    plan = connection.execute(f"explain (format json) {question}").fetchall()[0][1]
    views.use_months(connection, json.loads(plan))
    return connection


def over_months(root: Path, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """The months as an analyst without our code reads them."""
    connection = over_hive(root, threads)
    for table in COMPACTED:
        pattern = quoted(f"{root}/{COMPACTED_FOLDER}/{table}/*.parquet")
        connection.execute(f"create or replace view {table} as from read_parquet({pattern})")
    return connection


def over_session(root: Path, threads: int | None = None, *, months: bool = False) -> duckdb.DuckDBPyConnection:
    """All tables and marts as the script of `media-pipeline sql --ddl duckdb` makes them; with `months`, its months."""
    connection = connected(threads)
    connection.execute("".join(session(LocalStore(root), connection)))
    if months:
        connection.execute("set search_path = 'months,main'")
    return connection


def over_hive(root: Path, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """The tables as an analyst without our code reads them."""
    connection = connected(threads)
    for table in tables_below(root):
        pattern = quoted(f"{root}/tables/{table}/*/*.parquet")
        options = "hive_partitioning = true, hive_types = {'date': date}"
        connection.execute(f"create view {table} as from read_parquet({pattern}, {options})")
    return connection


def over_merged(folder: Path, threads: int | None = None, *, in_session: bool = False) -> duckdb.DuckDBPyConnection:
    """Each table as the one file that `merge` wrote, with DuckDB's own settings or those of `over_session`."""
    connection = connected(threads)
    if in_session:
        connection.execute("".join(settings(LocalStore(folder))))
    for path in sorted(folder.glob("*.parquet")):
        connection.execute(f"create view {path.stem} as from read_parquet({quoted(str(path))})")
    return connection


def over_least(
    root: Path, folder: Path, table: str, column: str, threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """A table read by hand whose files have one column and small footers: what opening a file a day takes."""
    for path in sorted((root / "tables" / table).glob("*/*.parquet")):
        target = folder / "tables" / table / path.parent.name / path.name
        target.parent.mkdir(parents=True)
        only = pq.ParquetFile(path).read([column])
        pq.write_table(only, target, compression="zstd", write_statistics=False, store_schema=False)
    return over_hive(folder, threads)


def merge(root: Path, folder: Path) -> None:
    """Write each table as one Parquet file, day by day, with DuckDB's own defaults."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = over_hive(root)
    connection.execute("set preserve_insertion_order = true")
    for table in tables_below(root):
        target = quoted(str(folder / f"{table}.parquet"))
        connection.execute(f"copy (from {table}) to {target} (format parquet)")


def over_marts_database(root: Path, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """The marts in the DuckDB file that dbt builds."""
    return connected(threads, root / MARTS_DATABASE)


def tables_below(root: Path) -> list[str]:
    """The tables that have files."""
    return sorted(path.name for path in (root / "tables").iterdir() if path.name in TABLES)


def files_read(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """Of each table that a query reads, how many of its files: `7/365`, as DuckDB's plan says once it ran."""
    plan = connection.execute(f"explain (analyze, format json) {query}").fetchall()[0][1]
    return list(_stated(json.loads(plan), "Scanning Files"))


def _stated(node: Any, name: str) -> Iterator[str]:
    for value in node if isinstance(node, list) else node.values() if isinstance(node, dict) else ():
        yield from _stated(value, name)
    if isinstance(node, dict) and name in node:
        yield str(node[name])
