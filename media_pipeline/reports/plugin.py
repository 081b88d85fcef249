"""dbt-duckdb's plugin: the database's place, the tables as views `raw.<table>`, and the marts' way to MEDIA_ROOT.

dbt loads it by name from profiles.yml, in Dagster's runs and by hand. No SQL of the marts belongs here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt.adapters.duckdb.plugins import BasePlugin

from media_pipeline.reports.places import EMPTY_TABLES, absolute_root, database_path, working_folder
from media_pipeline.reports.publishing import publish
from media_pipeline.settings import Settings, started_from
from media_pipeline.tables.schemas import TABLES

if TYPE_CHECKING:
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from dbt.adapters.duckdb.utils import TargetConfig
    from duckdb import DuckDBPyConnection

    from media_pipeline.storage.base import ObjectStore

RAW = "raw"
"""The schema of the views that dbt knows as the source `media`."""
_DAY_OF_PATH = r"/date=(\d{4}-\d{2}-\d{2})/[^/]+$"


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt-duckdb ships no types
    """Connects dbt to MEDIA_ROOT, a folder or S3."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Read the variables: process environment, then `.env` where dbt was started."""
        self._started_from = started_from()
        self._settings = Settings.load(self._started_from)
        self._root = absolute_root(self._settings, self._started_from)

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Put the database where it belongs; its folder may not exist yet."""
        path = database_path(self._settings, self._started_from)
        path.parent.mkdir(parents=True, exist_ok=True)
        creds.path = str(path)

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Make the views over the Parquet files anew."""
        self._connection = conn
        if "://" in self._root:
            conn.register_filesystem(_s3_filesystem())
        conn.execute(f"create schema if not exists {RAW}")
        for table in TABLES:
            conn.execute(f"create or replace view {RAW}.{table} as {self._select(conn, table)}")
        conn.execute(f"create or replace view {RAW}.exported_days as {self._select_days()}")

    def store(self, target_config: TargetConfig) -> None:
        """Publish a table below MEDIA_ROOT as one Parquet file that appears whole.

        DuckDB's own temporary file, tmp_<name>, would lie in the mart's folder, where readers of *.parquet find it.
        """
        assert target_config.location is not None
        working = self._started_from / working_folder(self._settings)
        working.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=working) as folder:
            file = Path(folder) / "part.parquet"
            with self._connection.cursor() as cursor:
                cursor.execute(
                    f"copy {target_config.relation} to {_quoted(str(file))} (format parquet, compression zstd)"
                )
            publish(self._store(working), file, target_config.location.path)

    def _store(self, working: Path) -> ObjectStore:
        from media_pipeline.resources.media import MediaResource  # imports dagster, which costs a second

        return MediaResource(root=self._root, spool=str(working)).store

    def _select(self, conn: DuckDBPyConnection, table: str) -> str:
        """A day's folder may lack columns that came later, and a table may have no file at all.

        DuckDB 2.0 fails when one pattern of a list finds nothing, and when hive folders of two files differ: hence the
        types of the empty file, and the files only where there are some.
        """
        empty = _quoted(str(EMPTY_TABLES / f"{table}.parquet"))
        columns = conn.execute(f"describe select * from read_parquet({empty})").fetchall()
        typed = [(str(name), str(kind)) for name, kind, *_ in columns] + [("date", "DATE")]
        names = ", ".join(name for name, _ in typed)
        nothing = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in typed)
        files = self._files(table)
        if conn.execute(f"select 1 from glob({files}) limit 1").fetchall() == []:
            return f"select {nothing} where false"
        return (
            f"select {names} from (select {nothing} where false union all by name "
            f"select * from read_parquet({files}, hive_partitioning = true, hive_types = {{'date': date}}, "
            "union_by_name = true))"
        )

    def _select_days(self) -> str:
        """Days are read from the paths: a day without recordings has a file and no row."""
        return (
            f"select distinct cast(regexp_extract(file, {_quoted(_DAY_OF_PATH)}, 1) as date) as date "
            f"from glob({self._files('availability_report')})"
        )

    def _files(self, table: str) -> str:
        root = "".join(f"[{character}]" if character in "*?[" else character for character in self._root)
        return _quoted(f"{root}/tables/{table}/*/*.parquet")


def _s3_filesystem() -> Any:
    """Arrow's S3 as fsspec's: DuckDB's own extension is a download, and s3fs pins boto's version."""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    class S3(ArrowFSWrapper):  # type: ignore[misc]  # fsspec ships no types
        protocol = "s3"
        cachable = False

    return S3(S3FileSystem())  # AWS_* variables, profiles and roles, as boto


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
