"""Where the dbt project, its database and its results lie. Imports neither dagster nor dbt."""

from __future__ import annotations

from pathlib import Path

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.settings import Settings
from media_pipeline.tables.paths import MARTS_FOLDER

PROJECT = Path(__file__).parents[2] / "dbt_reports"
EMPTY_TABLES = PROJECT / "empty"
"""One typed Parquet file without rows per table: an empty root has all columns."""
DATABASE = "media.duckdb"
DATABASE_KEY = f"{MARTS_FOLDER}/{DATABASE}"
"""Where the database lies below MEDIA_ROOT."""


def absolute_root(settings: Settings, folder: Path) -> str:
    """MEDIA_ROOT without `~` and, when it is a path, seen from `folder`."""
    return settings.root.rstrip("/") if "://" in settings.root else str(folder / Path(settings.root).expanduser())


def working_folder(settings: Settings) -> Path:
    """What dbt has under way."""
    return settings.spool.expanduser() / "reports"


def database_path(settings: Settings, folder: Path) -> Path:
    """The DuckDB file that dbt builds: MEDIA_REPORTS_DB, else below MEDIA_ROOT, else (S3) below the spool."""
    if settings.reports_db is not None:
        if settings.reports_db.name != DATABASE:
            raise ConfigurationError(
                f"MEDIA_REPORTS_DB={settings.reports_db} must name a file {DATABASE}: its views name the database so."
            )
        return folder / settings.reports_db.expanduser()
    if "://" in settings.root:
        return folder / working_folder(settings) / DATABASE
    path = Path(absolute_root(settings, folder)) / DATABASE_KEY
    if "?" in str(path):
        raise ConfigurationError(f"{path} has a question mark, where DuckDB takes a path to end: rename MEDIA_ROOT.")
    return path
