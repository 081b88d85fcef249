"""kill -9 at random instants of a day, then one clean run: nothing may be corrupt, missing, double or fetched in vain.

`python -m media_pipeline_tests.kills --kills 200` is what `make kills` runs; the suite runs a few of them.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline_tests.harness import DAY, Export, Org, assert_is_truth, settings_for, variables_for

CHUNK_BYTES = 1024 * 1024
IN_FLIGHT = 8
START_SECONDS = 1.2
"""Interpreter and imports: what comes before is not a day's work."""
RUN_SECONDS = 3.0
"""About what a day of so few recordings takes: few runs end before they are killed."""


@dataclass
class Tally:
    """What the kills did."""

    kills: int = 0
    too_late: int = 0
    rounds: int = 0
    refetched_bytes: int = 0
    worst_round_bytes_per_kill: int = 0


def kill_days(folder: Path, kills: int, seed: int, per_day: int) -> Tally:
    """Export days, killing each run, until so many were killed; raises AssertionError when anything was lost."""
    chance, tally = random.Random(seed), Tally()
    options = SandboxOptions(port=0, per_day=per_day, days=1, end=DAY, latency_ms=15)
    with running(options) as sandbox:
        org = Org(sandbox)
        while tally.kills < kills:
            tally.rounds += 1
            home = folder / f"round-{tally.rounds}"
            home.mkdir()
            org.forget_stats()
            in_round = _killed_until_done(org, home, chance, tally, kills)
            _prove(org, home, tally, in_round)
            shutil.rmtree(home)
    return tally


def _killed_until_done(org: Org, home: Path, chance: random.Random, tally: Tally, kills: int) -> int:
    """Kill one run after the other until one ends by itself or there were enough; the number of this round."""
    command = [sys.executable, "-m", "media_pipeline.cli", "export", "--date", str(DAY)]
    in_round = 0
    while tally.kills < kills:
        with (home / "log.txt").open("wb") as log:
            run = subprocess.Popen(command, env=variables_for(org.url, home), cwd=home, stdout=log, stderr=log)
            try:
                run.wait(START_SECONDS + chance.uniform(0, RUN_SECONDS))
                tally.too_late += 1
                return in_round
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                run.wait()
        tally.kills += 1
        in_round += 1
    return in_round


def _prove(org: Org, home: Path, tally: Tally, kills: int) -> None:
    """One clean run, compared with the truth; nothing is left in the spool, nothing was fetched much too often."""
    clean = Export.run(org, home)
    assert_is_truth(clean, org.truth())
    spool = settings_for(org.url, home).spool
    # audit logs of killed runs are published by a run an hour later
    left = [path for path in spool.rglob("*") if path.is_file() and "audit" not in path.parts]
    assert left == [], left
    staged = [path for path in (home / "media" / ".staging").glob("*") if path.is_file()]
    assert staged == [], staged
    sizes = {i: record["size"] or 0 for i, record in org.truth().items()}
    fetched = {i: counts["bytes"] for i, counts in org.stats()["recordings"].items()}
    again = sum(max(0, count - sizes[i]) for i, count in fetched.items())
    tally.refetched_bytes += again
    if kills:
        tally.worst_round_bytes_per_kill = max(tally.worst_round_bytes_per_kill, again // kills)
        assert again <= kills * IN_FLIGHT * CHUNK_BYTES, f"{again} bytes were fetched twice by {kills} kills"
    print(f"round {tally.rounds}: {tally.kills} kills so far, {again / 1e6:.1f} MB fetched twice", flush=True)


def main() -> int:
    """Print what happened; 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--per-day", type=int, default=100)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, contextlib.suppress(KeyboardInterrupt):
        tally = kill_days(Path(folder), options.kills, options.seed, options.per_day)
        print(
            f"{tally.kills} kills in {tally.rounds} rounds, {time.monotonic() - started:.0f} s: every object and row "
            f"is right. Fetched twice: {tally.refetched_bytes / 1e6:.1f} MB in all, in the worst round "
            f"{tally.worst_round_bytes_per_kill / CHUNK_BYTES:.2f} MiB a kill on average, {IN_FLIGHT} files in flight."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
