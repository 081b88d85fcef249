"""What a day's runs cost: export_runs, one table a run, as Arrow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np  # noqa: TID253  no code server imports a benchmark
import pyarrow as pa

from benchmarks.year.columns import Numbers, Rng, numbers, uuids
from benchmarks.year.recordings import Files, table_of
from media_pipeline.tables.schemas import TABLES

PER_PAGE = 100
SLOTS = 8
REPAIR = 0.4
"""Of a day's first run; what a second one asks for of a day that stayed open."""
BUSY = 0.15
"""Of all days: the source says 429 some dozens of times, and everything is fetched all the same."""
Calls = dict[str, dict[int, int]]
LATENCY_MS = {
    "token": 90.0,
    "list": 420.0,
    "media": 130.0,
    "file": 260.0,
    "transcript_url": 85.0,
    "transcript_file": 110.0,
}
STEP_OF = {
    "token": "recording_inventory",
    "list": "recording_inventory",
    "media": "recording_audio",
    "file": "recording_audio",
}


def runs(rng: Rng, files: Files, audio: pa.Table, status: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Run id and table: one run, and a second one for most days with failures."""
    stored = audio["status"].to_numpy(zero_copy_only=False) == "stored"
    unsettled = np.isin(audio["status"].to_numpy(zero_copy_only=False), ["failed", "pending", "quarantined"])
    first, second = uuids(rng, 2).take(pa.array(rng.permutation(2))).to_pylist()
    yield first, _run(rng, files, first, stored | unsettled, stored, audio, status)
    if unsettled.any():
        again = unsettled & (rng.random(len(unsettled)) < REPAIR)
        yield second, _run(rng, files, second, again, stored & again, audio, status.slice(0, 0))


def _run(
    rng: Rng, files: Files, run_id: str, asked: Numbers, stored: Numbers, audio: pa.Table, status: pa.Table
) -> pa.Table:
    tries = np.where(stored, 1 + (rng.random(len(asked)) < 0.004), np.where(rng.random(len(asked)) < 0.5, 6, 1))[asked]
    size = audio["source_size_bytes"].fill_null(0).to_numpy()[asked]
    count = len(size)
    costs = {
        "run_id": pa.repeat(run_id, count),
        "step": pa.repeat("recording_audio", count),
        "recording_id": files.recording_ids.filter(pa.array(asked)),
        "file_index": numbers(files.index[asked], pa.int32()),
        "attempts": numbers(tries, pa.int64()),
        "bytes_fetched": numbers(size * np.minimum(tries, 2), pa.int64()),
        "seconds": numbers((0.25 + size / 8e6) * rng.lognormal(0, 0.35, count) + (tries - 1) * 9.5, pa.float64()),
    }
    rows = _calls(rng, files, run_id, tries, status)
    return pa.concat_tables([table_of("export_runs", costs, count), pa.Table.from_pylist(rows, TABLES["export_runs"])])


def _calls(rng: Rng, files: Files, run_id: str, tries: Numbers, status: pa.Table) -> list[dict[str, object]]:
    """Calls by operation and status, what was tried again, and how long calls took."""
    fates = status["status"].value_counts().to_pylist() if status.num_rows else []
    fate = {found["values"]: found["counts"] for found in fates}
    ended = len(tries)
    limited = int(rng.integers(15, 120)) if rng.random() < BUSY and ended > PER_PAGE else 0
    broken = int((tries - 1).sum())
    refused = round(broken * (0.8 if files.day.incident == "rate limit" else 0.1))
    calls: Calls = {
        "token": {200: 1 + ended // 4_000},
        "list": {200: files.day.files // PER_PAGE + 1, 429: limited // 5},
        "media": {200: ended, 429: limited + refused},
        "file": {206: ended, 503: broken - refused},
        "transcript_url": {
            200: fate.get("available", 0),
            403: fate.get("forbidden", 0),
            404: fate.get("unavailable", 0),
        },
        "transcript_file": {200: fate.get("available", 0)},
    }
    rows: list[dict[str, object]] = []
    for operation, statuses in calls.items():
        own = {"run_id": run_id, "step": STEP_OF.get(operation, "transcripts"), "operation": operation}
        rows += [own | {"http_status": code, "calls": number} for code, number in statuses.items() if number]
        retries = sum(number for code, number in statuses.items() if code in (429, 503))
        if retries:
            rows.append(own | {"retries": retries, "waited_seconds": round(retries * rng.uniform(1.2, 4.0), 3)})
        if number := sum(statuses.values()):
            errors = sum(number for code, number in statuses.items() if code >= 400)
            half = LATENCY_MS[operation] * rng.lognormal(0, 0.15) * (3.0 if files.day.incident else 1.0)
            times = {"p50_ms": half, "p95_ms": half * rng.uniform(2, 3), "p99_ms": half * rng.uniform(4, 7)}
            rows.append(own | {"timed_calls": number, "errors": errors, **times})
    return rows
