"""Writes the dbt project's typed empty tables anew from the schemas: `make seeds`, after a schema changed."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from media_pipeline.reports.places import EMPTY_TABLES
from media_pipeline.tables.schemas import TABLES


def write_empty_tables(folder: Path = EMPTY_TABLES) -> None:
    """One Parquet file without rows per table."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in TABLES.items():
        pq.write_table(schema.empty_table(), folder / f"{name}.parquet", compression="zstd")


if __name__ == "__main__":
    write_empty_tables()
