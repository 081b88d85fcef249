"""What building the marts costs: dbt as an operator runs it, in a process of its own, timed and its memory taken."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "dbt_reports"
BYTES_PER_MB = 10**6


@dataclass(frozen=True, slots=True)
class Build:
    """One `dbt build`: seconds from start to exit and of processors, most MB of 10^6 bytes, seconds of each model."""

    seconds: float
    cpu: float
    peak_mb: float
    models: dict[str, float]


def build(root: Path, spool: Path, target: Path, *arguments: str) -> Build:
    """Run `dbt build` over a root; raises RuntimeError with dbt's own words when it fails."""
    command = [str(Path(sys.executable).with_name("dbt")), "build", *arguments, "--target-path", str(target)]
    command += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--log-path", str(target)]
    others = {name: value for name, value in os.environ.items() if not name.startswith(("MEDIA_", "DBT_"))}
    environment = others | {"MEDIA_ROOT": str(root), "MEDIA_SPOOL": str(spool), "DO_NOT_TRACK": "1"}
    target.mkdir(parents=True, exist_ok=True)
    with (target / "dbt.out").open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
    if process.returncode:
        raise RuntimeError((target / "dbt.out").read_text()[-3000:])
    results = json.loads((target / "run_results.json").read_text())["results"]
    models = {
        result["unique_id"].rpartition(".")[2]: float(result["execution_time"])
        for result in results
        if result["unique_id"].startswith("model.")
    }
    return Build(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / BYTES_PER_MB, models)


@contextmanager
def without_the_last_day(root: Path, aside: Path) -> Iterator[dt.date]:
    """Put the newest day's files aside, so that they are one more day afterwards."""
    days = sorted(path.name for path in (root / "tables/availability_report").iterdir())
    moved = [(path, aside / path.parent.name) for path in (root / "tables").glob(f"*/{days[-1]}")]
    for path, place in moved:
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    try:
        yield dt.date.fromisoformat(days[-1].removeprefix("date="))
    finally:
        for path, place in moved:
            place.rename(path)
