"""Writes the tables of an archive of a year: the contract's schemas, paths and files, made-up contents.

The same options give the same bytes. Memory holds one day. Nothing is downloaded and no objects are written.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np  # noqa: TID253  no code server imports a benchmark
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.year.columns import numbers
from benchmarks.year.org import Day, Org, calendar
from benchmarks.year.recordings import Files, audio, availability, inventory, table_of, utilization
from benchmarks.year.runs import runs
from benchmarks.year.speech import transcript_status, transcripts
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.inventory import MALFORMED_NOTE, UNREADABLE_NOTE
from media_pipeline.tables.partition import Tables

FIRST_DAY = dt.date(2025, 1, 1)
NOTE = {MALFORMED_NOTE: "0", UNREADABLE_NOTE: "0"}
MB = 10**6
SEED = 20250101


def main() -> None:
    """Write the days asked for."""
    options = _options()
    written = 0
    for day in write_year(
        options.root, options.first_day, options.days, options.per_day, options.segments, seed=options.seed
    ):
        written += day.files
        print(f"\r{day.date} {written:>9} files", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.year.generate",
        description="The tables of an archive of a year, made up.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("root", type=Path, help="MEDIA_ROOT to write")
    parser.add_argument("--first-day", type=dt.date.fromisoformat, default=FIRST_DAY)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--per-day", type=int, default=10_000, help="recording files on a mean day")
    parser.add_argument("--segments", type=float, default=8.0, help="of a mean transcript")
    parser.add_argument("--seed", type=int, default=SEED)
    return parser.parse_args()


def write_year(
    root: Path, first: dt.date, days: int, per_day: int, segments: float, *, seed: int = SEED
) -> Iterator[Day]:
    """Write all days below a root, oldest first; gives each once it is written."""
    tables = Tables(LocalStore(root))
    org = Org.made(np.random.default_rng(seed))
    for day in calendar(np.random.default_rng([seed, 1]), first, days, per_day):
        write_day(tables, day, org, segments, seed)
        yield day


def write_day(tables: Tables, day: Day, org: Org, segments: float, seed: int) -> None:
    """Write all tables of one day, which depends on no other."""
    rng = np.random.default_rng([seed, day.date.toordinal()])
    files = Files.made(rng, day, org)
    listed, outcomes = inventory(rng, files, org), audio(rng, files)
    status = transcript_status(rng, files, org, segments)
    available = pc.equal(status["status"], "available").to_numpy()
    has_transcript = pa.array(available[np.cumsum(files.first) - 1])
    whole = {
        "recording_inventory": listed,
        "recording_audio": outcomes,
        "transcript_status": status,
        "diarized_transcripts": transcripts(rng, files, org, status),
        "availability_report": availability(listed, outcomes, has_transcript),
        "storage_utilization": utilization(listed, outcomes),
    }
    if day.newest:
        whole["storage_quota"] = _quota(outcomes)
    for name, table in whole.items():
        with tables.writer(name, day.date, note=NOTE if name == "recording_inventory" else None) as writer:
            writer.add_table(table)
    for run_id, table in runs(rng, files, outcomes, status):
        with tables.writer("export_runs", day.date, part=run_id) as writer:
            writer.add_table(table)


def _quota(outcomes: pa.Table) -> pa.Table:
    used = pc.sum(outcomes["source_size_bytes"]).as_py() / MB
    columns = {
        "used_mb": numbers(np.array([used]), pa.float64()),
        "basis": pa.array(["contentmanagement_usage"]),
    }
    return table_of("storage_quota", columns, 1)


if __name__ == "__main__":
    main()
