"""kill -9 at random instants of writing annotations back, then a clean run: one effective set each, nothing in vain.

`python -m media_pipeline_tests.write_back_kills --kills 100` takes longer; the suite runs a few of them. What is handed
in changes from run to run, so that a killed run may have sent what is no longer true.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline_tests.harness import DAY, Export, Org, variables_for

DAGSTER = str(Path(sys.executable).with_name("dagster"))
PREFIX = "automated_parser."
CHANGED_A_RUN = 12
"""Interactions whose annotations change before each run: there is always something to send."""
SENDING_SECONDS = 1.0
"""From its first write a run is killed within so long: with 0.1 s between submissions it is not done by then."""
EARLY_SHARE = 0.2
"""Of the runs are killed at any time from their start on, most of them before they send anything."""
EARLY_SECONDS = 4.0


@dataclass
class Tally:
    """What the kills did; `in_flight`: payloads that were sent and not recorded when a run was killed; `again`: writes
    that repeated what the org held already."""

    kills: int = 0
    killed_while_sending: int = 0
    in_flight: int = 0
    writes: int = 0
    again: int = 0


class Driver:
    """One root and one org, and runs of the asset in processes of their own."""

    def __init__(self, org: Org, folder: Path, dialect: str) -> None:
        self.org, self.folder, self.dialect = org, folder, dialect
        assert Export.run(org, folder, dialect=dialect).verdict  # the day's check is red in the sandbox
        self.prepared = self.tables()
        self.calls = sorted({r["interaction_id"] for r in self.prepared.rows("interaction_media")})

    def tables(self) -> Export:
        """The day's tables, by a run in this process that sends nothing."""
        return Export.run(
            self.org, self.folder, dialect=self.dialect, job="interactions_daily", step="metadata_annotations"
        )

    def hand_in(self, chance: random.Random, version: int) -> None:
        path = self.folder / f"media/inbox/annotations/{version:04}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        entries = [
            {"interaction_id": each, "key": "crm.version", "value": f"v{version}"}
            for each in chance.sample(self.calls, CHANGED_A_RUN)
        ]
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    def start(self) -> subprocess.Popen[bytes]:
        command = [DAGSTER, "asset", "materialize", "-m", "media_pipeline.definitions"]
        command += ["--select", "metadata_annotations", "--partition", str(DAY)]
        environment = variables_for(self.org.url, self.folder) | {
            "GENESYS_DIALECT": self.dialect,
            "MEDIA_ALLOW_WRITE_BACK": "1",
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)

    def in_flight(self) -> int:
        """Payloads of which the spool has only the intent."""
        last: dict[str, bool] = {}
        for path in (self.folder / "spool/write_back").rglob("*.jsonl"):
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                last[entry["id"]] = "confirmed" in entry
        return list(last.values()).count(False)

    def told(self) -> dict[str, Any]:
        return httpx.get(f"{self.org.url}/_sandbox/annotations").json()

    def effective(self) -> dict[str, dict[str, str]]:
        """Values by interaction and key; raises where more than one participant bears any."""
        shown = self.told()
        found = {i: {a["key"]: a["value"] for a in body["annotations"]} for i, body in shown["metadata"].items()}
        for conversation, participants in shown["attributes"].items():
            (bearer,) = [held for held in participants.values() if held]
            found[conversation] = {name.removeprefix(PREFIX): value for name, value in bearer.items()}
        return found


def kill_runs(folder: Path, dialect: str, kills: int, seed: int, per_day: int = 40) -> Tally:
    """Kill so many runs, prove what is left; raises AssertionError when it is not right."""
    chance, tally = random.Random(seed), Tally()
    options = SandboxOptions(port=0, bodies="tiny", per_day=per_day, days=1, end=DAY, latency_ms=40)
    with running(options) as sandbox:
        driver = Driver(Org(sandbox), folder, dialect)
        while tally.kills < kills:
            driver.hand_in(chance, tally.kills)
            _kill_one(driver, chance, tally)
        _prove(driver, tally)
    return tally


def _kill_one(driver: Driver, chance: random.Random, tally: Tally) -> None:
    before = len(driver.told()["writes"])
    early, delay = chance.random() < EARLY_SHARE, chance.random()
    run = driver.start()
    try:
        if early:
            time.sleep(delay * EARLY_SECONDS)
        else:
            while run.poll() is None and len(driver.told()["writes"]) == before:
                time.sleep(0.02)
            time.sleep(delay * SENDING_SECONDS)
    finally:
        was_running = run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert was_running, f"a run ended by itself:\n{(driver.folder / 'log.txt').read_text()[-3_000:]}"
    tally.kills += 1
    tally.in_flight += driver.in_flight()
    tally.killed_while_sending += len(driver.told()["writes"]) > before


def _prove(driver: Driver, tally: Tally) -> None:
    """A clean run; then each interaction bears exactly what the table says, and one more run sends nothing."""
    clean = driver.start()
    assert clean.wait(180) == 0, (driver.folder / "log.txt").read_text()[-3_000:]
    rows = driver.prepared.rows("metadata_annotations")
    assert {row["outcome"] for row in rows} <= {"sent", "unchanged"}
    wanted: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        wanted[row["interaction_id"]][row["annotation_key"]] = row["value"]
    assert driver.effective() == wanted
    assert sorted(wanted) == driver.calls
    writes = driver.told()["writes"]
    last: dict[str, Any] = {}
    for each in writes:
        tally.again += last.get(each["interaction_id"]) == each["body"]
        last[each["interaction_id"]] = each["body"]
    tally.writes = len(writes)
    # attributes of the published API are read before they are written
    assert tally.again <= {"guide": tally.in_flight, "platform": 0}[driver.dialect]
    driver.org.forget_stats()
    assert driver.start().wait(180) == 0
    assert len(driver.told()["writes"]) == len(writes)
    asked = driver.org.stats()["requests"]
    assert not {"interaction_metadata", "participant_attributes", "conversation"} & set(asked), asked
    spool = driver.folder / "spool/write_back"
    assert [path for path in spool.rglob("*") if path.is_file()] == []


def main() -> int:
    """Print what happened; 1 when something was not right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--per-day", type=int, default=40)
    options = parser.parse_args()
    for dialect in ("guide", "platform"):
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            tally = kill_runs(Path(folder), dialect, options.kills, options.seed, options.per_day)
        print(
            f"{dialect}: {tally.kills} kills, {tally.killed_while_sending} of them while sending, "
            f"{time.monotonic() - started:.0f} s: each interaction bears exactly one set, the last one. "
            f"{tally.writes} writes, {tally.in_flight} in flight when a run was killed, {tally.again} done again.",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
