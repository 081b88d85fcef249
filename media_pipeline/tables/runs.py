"""What a run cost, one Parquet file a run: per recording, and per kind of call. Not about the data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

from media_pipeline.genesys.pacing import CallStats
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.paths import safe_name

TABLE = "export_runs"


def record_step(
    tables: Tables, day: dt.date, run_id: str, step: str, recordings: Iterable[Row], stats: CallStats
) -> None:
    """Put one step's figures into its run's file; repeating a step replaces its figures."""
    part = safe_name(run_id)
    others = [row for row in tables.rows(TABLE, day, part=part) if row["step"] != step]
    with tables.writer(TABLE, day, part=part) as writer:
        for row in others:
            writer.add(row)
        for row in recordings:
            writer.add(row | {"run_id": run_id, "step": step})
        for row in _calls(stats):
            writer.add(row | {"run_id": run_id, "step": step})


def _calls(stats: CallStats) -> Iterator[Row]:
    for (operation, status), calls in sorted(stats.calls.items()):
        yield {"operation": operation, "http_status": status, "calls": calls}
    for operation, retries in sorted(stats.retries.items()):
        yield {"operation": operation, "retries": retries, "waited_seconds": stats.waited_seconds[operation]}
