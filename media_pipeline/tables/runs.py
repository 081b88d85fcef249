"""What a run cost, one Parquet file a run: per recording, per kind of call, and over time. Not about the data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pyarrow as pa

from media_pipeline.genesys.latency import latencies
from media_pipeline.genesys.pacing import CALLS, REFUSED, RETRIES, SLICE_SECONDS, CallStats
from media_pipeline.genesys.source import ListedRecording
from media_pipeline.tables.partition import BATCH_ROWS, Row, Tables
from media_pipeline.tables.paths import safe_name
from media_pipeline.transfer.outcome import Effort

TABLE = "export_runs"
EXPORT_STEPS = ("recording_inventory", "storage_quota", "recording_audio", "transcripts")
"""The steps whose costs are of the day they are about. Other work is counted in the day on which it is done."""


class Costs:
    """What single recordings cost, collected compactly: a day may have very many."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, recording: ListedRecording, effort: Effort) -> None:
        """Remember one recording's effort."""
        self._rows.append(
            {
                "recording_id": recording.recording_id,
                "file_index": recording.file_index,
                "attempts": effort.attempts,
                "bytes_fetched": effort.bytes_fetched,
                "seconds": effort.seconds,
            }
        )
        if len(self._rows) >= BATCH_ROWS:
            self._batches.append(pa.RecordBatch.from_pylist(self._rows))
            self._rows = []

    def rows(self) -> Iterator[Row]:
        """One row each, without the run's own columns."""
        for batch in self._batches:
            yield from batch.to_pylist()
        yield from self._rows


def record_step(tables: Tables, day: dt.date, run_id: str, step: str, costs: Costs, stats: CallStats) -> None:
    """Put one step's figures into its run's file; repeating a step replaces its figures."""
    part = safe_name(run_id)
    others = (row for row in tables.rows(TABLE, day, part=part) if row["step"] != step)
    with tables.writer(TABLE, day, part=part) as writer:
        for row in others:
            writer.add(row)
        for row in costs.rows():
            writer.add(row | {"run_id": run_id, "step": step})
        for row in (*_calls(stats), *_over_time(stats)):
            writer.add(row | {"run_id": run_id, "step": step})


def _calls(stats: CallStats) -> Iterator[Row]:
    for (operation, status), calls in sorted(stats.calls.items()):
        yield {"operation": operation, "http_status": status, "calls": calls}
    for operation, retries in sorted(stats.retries.items()):
        yield {"operation": operation, "retries": retries, "waited_seconds": stats.waited_seconds[operation]}
    for operation, found in latencies(stats.buckets).items():
        yield {"operation": operation, "errors": stats.errors(operation)} | {
            "timed_calls": found.calls,
            "p50_ms": found.p50_ms,
            "p95_ms": found.p95_ms,
            "p99_ms": found.p99_ms,
        }


def _over_time(stats: CallStats) -> Iterator[Row]:
    """In columns of their own, so that a sum over `calls` or `retries` counts nothing twice."""
    for number in sorted({number for number, _ in stats.slices}):
        yield {
            "from_second": number * SLICE_SECONDS,
            "calls_then": stats.slices[number, CALLS],
            "refused_then": stats.slices[number, REFUSED],
            "retries_then": stats.slices[number, RETRIES],
        }
