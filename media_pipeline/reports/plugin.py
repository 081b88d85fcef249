"""dbt-duckdb's plugin: the database's place, the tables as views `raw.<table>`, and the marts' way to MEDIA_ROOT.

dbt loads it by name from profiles.yml, in Dagster's runs and by hand. No SQL of the marts belongs here.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt.adapters.duckdb.plugins import BasePlugin

from media_pipeline.reports.places import EMPTY_TABLES, absolute_root, database_path, working_folder
from media_pipeline.reports.publishing import publish
from media_pipeline.settings import Settings, started_from
from media_pipeline.storage.arrow_s3 import s3_filesystem
from media_pipeline.tables.schemas import TABLES

if TYPE_CHECKING:
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from dbt.adapters.duckdb.utils import TargetConfig
    from duckdb import DuckDBPyConnection

    from media_pipeline.storage.base import ObjectStore

RAW = "raw"
"""The schema of the views that dbt knows as the source `media`."""
DAYS_OF = "availability_report"
"""The table whose files say which days there are: a day without recordings has a file and no row."""
_PATTERN_CHARACTERS = re.compile(r"[*?\[]")


class Plugin(BasePlugin):
    """Connects dbt to MEDIA_ROOT, a folder or S3."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Read the variables: process environment, then `.env` where dbt was started."""
        self._started_from = started_from()
        self._settings = Settings.load(self._started_from)
        self._root = absolute_root(self._settings, self._started_from)
        self._working = self._started_from / working_folder(self._settings)

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Put the database where it belongs; its folder may not exist yet."""
        path = database_path(self._settings, self._started_from)
        path.parent.mkdir(parents=True, exist_ok=True)
        creds.path = str(path)

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Make the views over the Parquet files anew."""
        self._connection = conn
        store = self._store()
        if "://" in self._root:
            conn.register_filesystem(s3_filesystem())
        conn.execute(f"create schema if not exists {RAW}")
        for table in TABLES:
            files = _files(store, table)
            conn.execute(f"create or replace view {RAW}.{table} as {_select(conn, table, store.url, files)}")
            if table == DAYS_OF:
                days = ", ".join(_quoted(day) for day in sorted(set(files.values())))
                conn.execute(f"create or replace view {RAW}.exported_days as select unnest([{days}]::date[]) as date")

    def store(self, target_config: TargetConfig) -> None:
        """Publish a table below MEDIA_ROOT as one Parquet file that appears whole.

        DuckDB's own temporary file, tmp_<name>, would lie in the mart's folder, where readers of *.parquet find it.
        """
        assert target_config.location is not None
        self._working.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._working) as folder:
            file = Path(folder) / "part.parquet"
            with self._connection.cursor() as cursor:
                target = _quoted(str(file))
                cursor.execute(f"copy {target_config.relation} to {target} (format parquet, compression zstd)")
            publish(self._store(), file, target_config.location.path)

    def _store(self) -> ObjectStore:
        from media_pipeline.resources.media import MediaResource  # imports dagster, which costs a second

        return MediaResource(root=self._root, spool=str(self._working)).store


def _files(store: ObjectStore, table: str) -> dict[str, str]:
    """A table's files in the order of their names, each with its day.

    Listed by our store, which raises where it cannot: fsspec's patterns take a folder that cannot be listed for empty.
    A listing also keeps days that are written during the build out of it.
    """
    pattern = re.compile(rf"tables/{table}/date=(\d{{4}}-\d{{2}}-\d{{2}})/[^/]+\.parquet")
    keys = sorted(store.sizes(f"tables/{table}/", ".parquet"))
    return {key: match[1] for key in keys if (match := pattern.fullmatch(key))}


def _select(conn: DuckDBPyConnection, table: str, url: str, files: Iterable[str]) -> str:
    """A day's file may lack columns that came later, and a table may have no file at all: the empty file has all.

    DuckDB refuses one list of the empty file, which has no day in its path, and the others: hence the union.
    """
    empty = _quoted(str(EMPTY_TABLES / f"{table}.parquet"))
    columns = conn.execute(f"describe select * from read_parquet({empty})").fetchall()
    typed = [(str(name), str(kind)) for name, kind, *_ in columns] + [("date", "DATE")]
    names = ", ".join(name for name, _ in typed)
    nothing = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in typed)
    paths = ", ".join(_quoted(_PATTERN_CHARACTERS.sub(r"[\g<0>]", f"{url}/{key}")) for key in files)
    if not paths:
        return f"select {nothing} where false"
    return (
        f"select {names} from (select {nothing} where false union all by name "
        f"select * from read_parquet([{paths}], hive_partitioning = true, hive_types = {{'date': date}}, "
        "union_by_name = true))"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
