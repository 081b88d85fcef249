"""Events by the thousand, a stream that breaks, and kill -9 of who listens: each event and each file exactly once.

`python -m media_pipeline_tests.event_storm --events 10000 --disconnects 50 --kills 20` is what `make storm` runs,
some minutes; the suite runs a short one. With `--uploads` every other kill strikes the job that fetches the files and
tells their conversations, and all of it is proved (`upload_storm`). With `--drain` or `--fetch` it is the process that
is killed: one run of a job.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from media_pipeline.build import build_definitions
from media_pipeline.messaging import events as draining
from media_pipeline.messaging.events import TABLE
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline_tests import upload_storm
from media_pipeline_tests.cutting_proxy import CuttingProxy
from media_pipeline_tests.harness import DAY, variables_for
from media_pipeline_tests.messaging_org import Guests

START_SECONDS = 120.0
"""Interpreter and imports, on a busy machine."""
RUN_SECONDS = 6.0
"""Kills come within so long after the stream was opened."""
FLUSH_EVENTS = 50
"""Of the processes that are killed: rows and position are written ten times a run, so that kills strike there, too."""
LOOK_SECONDS = 0.01
BATCH = 50
"""Files that guests send at once."""
REDELIVERED = 0.05
"""Of the events, once more under another event id."""


@dataclass
class Storm:
    """What was sent, and what was done to whoever listens."""

    kills: int = 0
    too_late: int = 0
    runs: int = 0
    disconnects: int = 0
    file_ids: list[str] = field(default_factory=list)
    event_files: dict[str, str] = field(default_factory=dict)
    """By the stream's event id."""
    uploads: str = ""
    """What was proved of the files themselves."""


def rage(folder: Path, *, events: int, disconnects: int, kills: int, seed: int, uploads: bool = False) -> Storm:
    """Send, break and kill; then let a run end by itself, and prove what is in the tables, with `uploads` all of it."""
    chance, storm = random.Random(seed), Storm()
    folder.mkdir(parents=True, exist_ok=True)
    options = SandboxOptions(port=0, bodies="tiny", per_day=1, days=1, messages_per_day=0, end=DAY)
    with running(options) as sandbox, CuttingProxy(sandbox.url) as proxy:
        guests = Guests(sandbox)
        sandbox.state.settings.event_history = 2 * events + 1_000
        sandbox.state.settings.event_retry_ms = 20
        pause = RUN_SECONDS * BATCH * max(kills, 1) / events
        sending = _thread(_send, guests, proxy, events, chance.randrange(1 << 30), pause, storm)
        cutting = _thread(proxy.cut, disconnects, chance.randrange(1 << 30), RUN_SECONDS * kills / max(disconnects, 1))
        fetching = upload_storm.Fetching(sandbox, folder)
        while storm.kills < kills:
            if uploads and storm.kills % 2 and fetching.run_and_kill(chance):
                storm.kills += 1
            else:
                _run_and_kill(proxy, folder, chance, storm)
        while _let_run(proxy.url, folder, storm) < len(guests.stream) or sending.is_alive() or cutting.is_alive():
            assert storm.runs < 10 * (kills + disconnects + 10), "runs end, and the events do not come"
        storm.event_files = {each["id"]: each["document"]["data"]["file"]["id"] for each in guests.stream}
        storm.disconnects = proxy.cuts
        if uploads:
            fetching.let_run()
            storm.uploads = fetching.prove(storm.file_ids)
    tables = _tables(folder)
    prove_events(storm, tables)
    return storm


def prove_events(storm: Storm, tables: Tables) -> None:
    """Every event of the stream is a row, once, with its file."""
    rows = [row for day in _days(tables, TABLE) for row in tables.rows(TABLE, day)]
    times = Counter(row["event_id"] for row in rows)
    twice = {event_id: n for event_id, n in times.items() if n != 1}
    assert not twice, f"{len(twice)} events are there more than once: {list(twice.items())[:5]}"
    found = {row["event_id"]: row["file_id"] for row in rows}
    missing, strange = storm.event_files.keys() - found.keys(), found.keys() - storm.event_files.keys()
    assert not missing, f"{len(missing)} events are missing: {sorted(missing)[:5]}"
    assert not strange, f"{len(strange)} events never were: {sorted(strange)[:5]}"
    assert found == storm.event_files
    assert set(found.values()) == set(storm.file_ids)
    assert len(storm.file_ids) == len(set(storm.file_ids))


def _thread(work: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def _send(guests: Guests, proxy: CuttingProxy, events: int, seed: int, longest_pause: float, storm: Storm) -> None:
    """Guests send files in small groups, mostly while someone listens; some events come again under another id."""
    chance = random.Random(seed)
    while len(storm.file_ids) < events:
        while not proxy.is_listened_to and chance.random() < 1 - LOOK_SECONDS:
            time.sleep(LOOK_SECONDS)
        count = min(BATCH, events - len(storm.file_ids))
        storm.file_ids += [each["file_id"] for each in guests.send(count)]
        again = [each["document"] for each in guests.get("events")[-count:] if chance.random() < REDELIVERED]
        if again:
            guests.post("events", events=[{"document": document} for document in again])
        time.sleep(chance.uniform(0, longest_pause))


def _run_and_kill(proxy: CuttingProxy, folder: Path, chance: random.Random, storm: Storm) -> None:
    """Start a run, wait until it listens, and kill it a random moment later."""
    run = _started(proxy.url, folder)
    storm.runs += 1
    deadline = time.monotonic() + START_SECONDS
    while not proxy.is_listened_to and run.poll() is None and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(chance.uniform(0, RUN_SECONDS))
        storm.too_late += 1
        return
    run.kill()
    run.wait()
    storm.kills += 1
    print(f"{storm.kills} kills, {proxy.cuts} cuts, {len(storm.file_ids)} files sent", flush=True)


def _let_run(url: str, folder: Path, storm: Storm) -> int:
    """One run to its end; the number of rows after it."""
    storm.runs += 1
    assert _started(url, folder).wait(300) == 0, (folder / "log.txt").read_text()[-2_000:]
    tables = _tables(folder)
    return sum(1 for day in _days(tables, TABLE) for _ in tables.rows(TABLE, day, ["event_id"]))


def _started(url: str, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "media_pipeline_tests.event_storm", "--drain"]
    with (folder / "log.txt").open("wb") as log:
        environment = variables_for(url, folder) | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)


def _drain() -> int:
    """The killed process: the job as its schedule runs it, with what the environment says."""
    draining.FLUSH_EVENTS = FLUSH_EVENTS
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_definitions().resolve_job_def("drain_conversation_events")
        return 0 if job.execute_in_process(instance=instance, raise_on_error=False).success else 1


def _tables(folder: Path) -> Tables:
    return Tables(LocalStore(folder / "media"))


def _days(tables: Tables, table: str) -> list[dt.date]:
    keys = tables.store.sizes(f"tables/{table}/", ".parquet")
    return sorted({dt.date.fromisoformat(key.split("date=")[1].split("/")[0]) for key in keys})


def main() -> int:
    """Print what happened; an AssertionError says what was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--disconnects", type=int, default=50)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--uploads", action="store_true", help="fetch the files, too")
    parser.add_argument("--fetch", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--drain", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drain:
        return _drain()
    if options.fetch:
        return upload_storm.fetch()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="events-") as folder:
        storm = rage(
            Path(folder),
            events=options.events,
            disconnects=options.disconnects,
            kills=options.kills,
            seed=options.seed,
            uploads=options.uploads,
        )
    print(
        f"{len(storm.event_files)} events of {len(storm.file_ids)} files, {storm.disconnects} disconnects, "
        f"{storm.kills} kills in {storm.runs} runs ({storm.too_late} ended before), "
        f"{time.monotonic() - started:.0f} s: each event is one row, each file is there."
    )
    if storm.uploads:
        print(storm.uploads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
