"""Peak memory, time and Dagster events of one day's run, as the number and then the size of its recordings grows.

Measures the command of the contract, `dagster asset materialize`, in a process and folders of its own: resident memory
at its highest (`ru_maxrss`: the interpreter, Dagster and all libraries included), wall time from start to exit, and the
events its run leaves in the instance. Bodies are tiny and the rate budget is off, so that only numbers differ; then one
recording of the smallest day is made huge. Says nothing of throughput: the sandbox shares the machine and costs more
than the pipeline does.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BYTES_PER_MB = 10**6
MAX_GROWTH_MB = 100.0
MAX_EVENTS = 100
START_SECONDS = 30.0
STOP_SECONDS = 5.0
RUN_SECONDS = 3600.0
"""A run that takes longer is killed and counts as failed."""
RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024
ASSETS = (
    "recording_inventory",
    "storage_quota",
    "recording_audio",
    "diarized_transcripts",
    "transcript_status",
    "availability_report",
    "storage_utilization",
)
ROW_PER_RECORDING = ("recording_inventory", "recording_audio", "transcript_status", "availability_report")


class BenchmarkError(Exception):
    """A run did not do what is measured, so that its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Day:
    """What the sandbox holds; `huge_mb` is the size of its first recording, 0 = tiny like the others."""

    recordings: int
    huge_mb: int = 0

    def __str__(self) -> str:
        return f"{self.recordings:,} recordings" + (f", one of {self.huge_mb} MB" if self.huge_mb else "")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took; `peak_mb` in MB of 10^6 bytes."""

    seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind."""

    largest_mb: float
    events: int


def main() -> int:
    """Measure and print; 1 when a limit is passed or a run did not export its day."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that children and folders go too
    days = [Day(recordings) for recordings in options.rows]
    if options.huge_mb:
        days.append(Day(options.rows[0], options.huge_mb))
    date = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    try:
        with tempfile.TemporaryDirectory(prefix="memory-benchmark-") as folder:
            homes = [_made(Path(folder) / str(number)) for number in range(len(days))]
            # All runs before anything is read: a child's ru_maxrss begins with the size of the process that starts it,
            # and reading imports Dagster into this one.
            costs = [_measured(day, date, home) for day, home in zip(days, homes, strict=True)]
            outcomes = [_outcome(day, date, home) for day, home in zip(days, homes, strict=True)]
    except BenchmarkError as error:
        print(f"memory: {error}", file=sys.stderr)
        return 1
    return _reported(days, costs, outcomes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Peak memory, time and Dagster events of a day's run.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--rows", type=_numbers, default="200,20000", help="recordings a day; growth is against the first"
    )
    parser.add_argument("--huge-mb", type=int, default=500, help="size of one recording of another first day; 0 = none")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _made(folder: Path) -> Path:
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    return folder


def _measured(day: Day, date: dt.date, home: Path) -> Cost:
    print(f"Measuring {day} ...", file=sys.stderr, flush=True)
    with sandbox(day, date) as url:
        return run(url, date, home)


@contextlib.contextmanager
def sandbox(day: Day, date: dt.date, *, days: int = 1) -> Iterator[str]:
    """A sandbox with this day, and as many before it as `days` says less one; gives its URL."""
    numbers = {"--port": 0, "--days": days, "--per-day": day.recordings, "--huge-mb": day.huge_mb}
    command = [sys.executable, "-m", "media_pipeline.sandbox", "--bodies", "tiny", "--end", str(date)]
    command += [str(part) for option in numbers.items() for part in option]
    with _started(command, START_SECONDS, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()  # ends empty when the sandbox does
        _, said, url = line.partition("sandbox listening on ")
        if not said:
            raise BenchmarkError("The sandbox did not start; what it said stands above.")
        process.limit.cancel()
        yield url.strip()


class _Process(subprocess.Popen[bytes]):
    """A child with helpers of its own, all of which are killed when `limit` fires."""

    limit: threading.Timer


@contextlib.contextmanager
def _started(command: Sequence[str], seconds: float, **options: Any) -> Iterator[_Process]:
    """A child process that is gone afterwards, and killed if it does not get further within the given seconds."""
    process = _Process(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    process.limit = threading.Timer(seconds, _signalled, (process, signal.SIGKILL))
    process.limit.start()
    try:
        with process:
            try:
                yield process
            finally:
                _stopped(process)
    finally:
        process.limit.cancel()


def _stopped(process: _Process) -> None:
    _signalled(process, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        _signalled(process, signal.SIGKILL)


def _signalled(process: _Process, number: signal.Signals) -> None:
    if process.returncode is None:  # Dagster has helpers that follow its log files
        os.killpg(process.pid, number)


def run(url: str, date: dt.date, home: Path, assets: Sequence[str] = ASSETS, *, dialect: str = "guide") -> Cost:
    """The contract's command in a clean environment. Its exit code says whether the day is complete, which it is not:
    the sandbox always has recordings that are still processed."""
    command = [str(Path(sys.executable).with_name("dagster")), "asset", "materialize"]
    command += ["-m", "media_pipeline.definitions", "--select", ",".join(assets), "--partition", str(date)]
    with (home / "output.txt").open("wb") as output:
        began = time.monotonic()
        with _started(
            command,
            RUN_SECONDS,
            stdout=output,
            stderr=output,
            cwd=home,
            env=_environment(url, date, home) | {"GENESYS_DIALECT": dialect},
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
    if process.returncode < 0:
        raise BenchmarkError(f"The run was killed by signal {-process.returncode} after {seconds:.0f} s.")
    return Cost(seconds, usage.ru_maxrss * RSS_UNIT_BYTES / BYTES_PER_MB)


def _environment(url: str, date: dt.date, home: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "DAGSTER_HOME": str(home),
        "MEDIA_ROOT": str(home / "media"),
        "MEDIA_SPOOL": str(home / "spool"),
        "MEDIA_START_DATE": str(date),
        "MEDIA_MIN_AVAILABLE_MB": "0",
        "GENESYS_DIALECT": "guide",
        "GENESYS_BASE_URL": url,
        "GENESYS_CLIENT_ID": "sandbox-client",
        "GENESYS_CLIENT_SECRET": "sandbox-secret",
        "GENESYS_REQUESTS_PER_MINUTE": "0",
    }


def _outcome(day: Day, date: dt.date, home: Path) -> Outcome:
    """The day's tables and events; raises BenchmarkError when it does not have one row per recording."""
    import pyarrow.parquet as pq

    def table(name: str) -> Path:
        return home / "media" / "tables" / name / f"date={date}" / "part-0.parquet"

    for name in ASSETS:
        if not table(name).exists():
            raise BenchmarkError(f"{day}: the run wrote no {name}. The end of what it said:\n{_last_lines(home)}")
    listed = None
    for name in ROW_PER_RECORDING:
        ids = pq.read_table(table(name), columns=["recording_id"], partitioning=None)["recording_id"].to_pylist()
        if not len(ids) == len(set(ids)) == day.recordings:
            raise BenchmarkError(f"{day}: {name} has {len(ids):,} rows of {len(set(ids)):,} recordings.")
        listed = listed or ids
        if ids != listed:
            raise BenchmarkError(f"{day}: {name} has other recordings than {ROW_PER_RECORDING[0]}.")
    audio = pq.read_table(
        table("recording_audio"), columns=["status", "source_size_bytes"], partitioning=None
    ).to_pylist()
    largest_mb = max((row["source_size_bytes"] for row in audio if row["status"] == "stored"), default=0) / BYTES_PER_MB
    if largest_mb < day.huge_mb:
        raise BenchmarkError(f"{day}: the largest stored recording has {largest_mb:.1f} MB.")
    return Outcome(largest_mb, _events(home))


def _events(home: Path) -> int:
    """Entries in the event log of the instance's one run."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home)) as instance:
        (run_id,) = instance.get_run_ids()
        return len(instance.all_logs(run_id))


def _last_lines(home: Path) -> str:
    return "\n".join((home / "output.txt").read_text(encoding="utf-8", errors="replace").splitlines()[-30:])


def _reported(days: Sequence[Day], costs: Sequence[Cost], outcomes: Sequence[Outcome]) -> int:
    growths = [cost.peak_mb - costs[0].peak_mb for cost in costs]
    rows = [("recordings", "largest MB", "wall s", "peak RSS MB", "growth MB", "events")]
    for day, cost, outcome, growth in zip(days, costs, outcomes, growths, strict=True):
        figures = (f"{outcome.largest_mb:.2f}", f"{cost.seconds:.1f}", f"{cost.peak_mb:.0f}", f"{growth:+.0f}")
        rows.append((f"{day.recordings:,}", *figures, str(outcome.events)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    grown, events = max(growths), max(outcome.events for outcome in outcomes)
    bounded = grown <= MAX_GROWTH_MB and events < MAX_EVENTS
    print(
        f"\n{'Bounded' if bounded else 'NOT BOUNDED'}: memory grew by at most {grown:.0f} MB (limit "
        f"{MAX_GROWTH_MB:.0f}), and no run has more than {events} events (limit: fewer than {MAX_EVENTS})."
    )
    return 0 if bounded else 1


if __name__ == "__main__":
    sys.exit(main())
