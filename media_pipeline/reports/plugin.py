"""dbt-duckdb's plugin: the database's place, the due days' tables as views, and the marts' way to MEDIA_ROOT.

dbt loads it by name from profiles.yml, in Dagster's runs and by hand. No SQL of the marts belongs here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags

from media_pipeline.reports.days import logic_of, note_days, parts_of
from media_pipeline.reports.places import absolute_root, database_path, working_folder
from media_pipeline.reports.publishing import THREADS, MartDays
from media_pipeline.reports.views import make_views
from media_pipeline.settings import Settings, started_from
from media_pipeline.storage.arrow_s3 import s3_filesystem

if TYPE_CHECKING:
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from dbt.adapters.duckdb.utils import TargetConfig
    from duckdb import DuckDBPyConnection

    from media_pipeline.storage.base import ObjectStore

BUILDING = ("build", "run")
"""The commands of dbt that make marts."""


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
        """Find out which days are due, and make the views over their Parquet files anew."""
        self._connection = conn
        store = self._store()
        if "://" in self._root:
            conn.register_filesystem(s3_filesystem())
        flags = get_flags()
        due = note_days(
            conn,
            parts_of(store),
            builds=getattr(flags, "WHICH", None) in BUILDING,
            everything=bool(getattr(flags, "FULL_REFRESH", False)),
            logic=logic_of(),
        )
        make_views(conn, store.url, due)

    def store(self, target_config: TargetConfig) -> None:
        """Publish the days of a mart, marts/<mart>/date=YYYY-MM-DD/part-0.parquet, that are others than before."""
        assert target_config.location is not None
        self._working.mkdir(mode=0o700, parents=True, exist_ok=True)
        MartDays(
            connection=self._connection,
            store=self._store(),
            mart=target_config.location.path,
            relation=str(target_config.relation),
            keeps_days=bool(target_config.config["keeps_days"]),
        ).publish(self._working)

    def _store(self) -> ObjectStore:
        from media_pipeline.storage.opening import open_store

        return open_store(self._root, self._working, THREADS)
