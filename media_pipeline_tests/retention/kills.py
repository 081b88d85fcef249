"""kill -9 of real runs over the ledger, at random instants, against a source that fails in every way it may.

`python -m media_pipeline_tests.retention.kills --kills 100` proves more than the suite has the time for.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from media_pipeline.messaging.holds import Holds
from media_pipeline.messaging.keeping import make_good
from media_pipeline.messaging.retention import Copy, Ledger, Policy, Subject
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running
from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.partition import Row, Tables
from media_pipeline_tests.harness import DAY, variables_for

PAST = dt.timedelta(hours=12)
"""How long ago everything was scheduled, so that waits between tries are over at once."""
RUN_SECONDS = 1.2
LAST_RUNS_SECONDS = 1_800.0
"""For what 100 kills left undone, on a busy machine."""
FAULTS = (
    {"fault": "server_error", "on": ["attachment_delete"], "share": 0.2, "times": 1, "code": 503},
    {"fault": "rate_limit", "on": ["media_retention"], "share": 0.1, "times": 1, "wait": 0},
    {"fault": "reset", "on": ["attachment_delete"], "share": 0.3, "times": 1},
)
"""The last one loses the reply after the effect."""


@dataclass
class Scene:
    """What was planted: ids by what must become of them."""

    sandbox: RunningSandbox
    store: ObjectStore
    doomed: list[str] = field(default_factory=list)
    copyless: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    held: dict[str, dt.datetime] = field(default_factory=dict)
    """And the moment from which on the hold was certain."""
    order: dict[str, tuple[dt.datetime, str]] = field(default_factory=dict)
    """In which they are deleted."""
    marks_left: int = 0
    """By runs that were killed."""

    def there(self, media_id: str) -> bool:
        medium = self.sandbox.state.messaging.sending.find(media_id)
        assert medium is not None
        return not medium.is_gone(self.sandbox.state.clock.now())

    def deleted_at(self) -> dict[str, list[dt.datetime]]:
        """When the source deleted what, by its own log; a lost reply is a deletion all the same."""
        found: dict[str, list[dt.datetime]] = {}
        for each in self.sandbox.state.messaging.sending.writes():
            if each["operation"] == "attachment_delete" and each["status"] == 204:
                subject = each["subject"]
                assert isinstance(subject, list)
                found.setdefault(subject[0], []).append(dt.datetime.fromisoformat(str(each["at"])))
        return found


def plant(scene: Scene, count: int, chance: random.Random) -> None:
    """Attachments with good copies, without copies, gone already, and some to be held."""
    ledger = Ledger(scene.store)
    with_copy = Policy(name="archived", why="It is in the archive.")
    without = Policy(name="none_kept", why="Nothing of it is kept.", keeps_copy=False)
    now = dt.datetime.now(dt.UTC) - PAST
    for number in range(count):
        medium = scene.sandbox.state.messaging.sending.new(f"{number}.wav", 4)
        medium.data, medium.state = b"RIFF", "valid"
        kind = chance.choice(["copied", "copied", "uncopied", "copyless", "gone"])
        copy = None
        if kind in ("copied", "copyless"):
            data = medium.id.encode()
            copy = Copy(key=f"uploads/{medium.id}", sha256=hashlib.sha256(data).hexdigest())
            scene.store.put(copy.key, data if kind == "copied" else b"other bytes")
        medium.deleted = kind == "gone"
        subject = Subject(kind="attachment", id=medium.id, conversation_id=f"c-{number}")
        due = ledger.schedule(subject, without if kind == "uncopied" else with_copy, now=now, copy=copy)
        scene.order[medium.id] = (due, subject.entry_id)
        {"copyless": scene.copyless, "gone": scene.gone}.get(kind, scene.doomed).append(medium.id)


@contextmanager
def worker(variables: dict[str, str], home: Path, runs: int):  # type: ignore[no-untyped-def]
    """A worker process that has begun."""
    command = [sys.executable, "-m", "media_pipeline_tests.retention.worker", str(runs)]
    with (home / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            command, env=variables, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=log
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", (home / "log.txt").read_text()
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _until_begun(process: subprocess.Popen[bytes]) -> None:
    """Wait for its first event, at most 10 s."""
    assert process.stdout is not None
    if select.select([process.stdout], [], [], 10)[0]:
        process.stdout.readline()


def hold_some(scene: Scene, ended: threading.Event, chance: random.Random, run_id: str) -> None:
    """Hold what is deleted next, one after the other, while runs are at work or killed."""
    while not ended.wait(chance.uniform(0.1, 1.0)):
        there = [each for each in scene.doomed if each not in scene.held and scene.there(each)]
        next_ones = sorted(there, key=scene.order.__getitem__)[:80]
        if not next_ones:
            return
        media = chance.choice(next_ones)
        now = dt.datetime.now(dt.UTC)
        hold = Holds(scene.store).add("subject", media, who="Legal", why="case", now=now)
        effect = make_good(
            scene.store, None, hold, run_id=run_id, allowed=True, protects=False, emit=lambda *_, **__: None
        )
        assert not effect.under_way, effect
        scene.held[media] = dt.datetime.now(dt.UTC)


def kill_runs(folder: Path, kills: int, seed: int, count: int, root: str | None = None, **more: str) -> Scene:
    """Kill run after run, hold things meanwhile, then let one finish; raises AssertionError for whatever is wrong."""
    chance = random.Random(seed)
    with running(SandboxOptions(port=0, bodies="tiny", per_day=1, days=1, end=DAY, latency_ms=15)) as sandbox:
        variables = variables_for(sandbox.url, folder) | more
        variables["MEDIA_ROOT"] = root or variables["MEDIA_ROOT"]
        scene = Scene(sandbox, open_store(variables["MEDIA_ROOT"], folder / "spool", 8))
        sandbox.break_with(*FAULTS)
        plant(scene, count, chance)
        ended = threading.Event()
        failures: list[BaseException] = []

        def holding() -> None:
            try:
                hold_some(scene, ended, random.Random(seed + 1), "holder")
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=holding)
        thread.start()
        try:
            for _ in range(kills):
                with worker(variables, folder, 50) as process:
                    if chance.random() < 0.7:  # in the middle of deleting, else wherever it is
                        _until_begun(process)
                    time.sleep(chance.uniform(0, RUN_SECONDS))
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                scene.marks_left += sum(row["state"] == "marked" for row in rows_of(scene.store).values())
                plant(scene, count // 10, chance)
            with worker(variables, folder, 12) as process:
                process.communicate(timeout=LAST_RUNS_SECONDS)
                assert process.returncode == 0, (folder / "log.txt").read_text()
        finally:
            ended.set()
            thread.join()
        assert not failures, failures
        with worker(variables, folder, 3) as process:
            process.communicate(timeout=LAST_RUNS_SECONDS)
        prove(scene)
    return scene


def rows_of(store: ObjectStore) -> dict[str, Row]:
    """The table by subject, each of which it has once."""
    rows: dict[str, Row] = {}
    for day in days_below(store, "tables/media_retention/"):
        for row in Tables(store).rows("media_retention", day):
            assert row["subject_id"] not in rows, "each key once"
            rows[row["subject_id"]] = row
    return rows


def prove(scene: Scene) -> None:
    """Nothing forgotten, nothing twice, no hold broken, no only copy lost, and the books say so."""
    rows = rows_of(scene.store)
    deleted_at = scene.deleted_at()
    assert set(rows) == {*scene.doomed, *scene.copyless, *scene.gone}
    assert scene.store.sizes("retention/new/") == {}
    for media, moments in deleted_at.items():
        assert len(moments) == 1, f"{media} was deleted {len(moments)} times"
        if media in scene.held:
            assert moments[0] < scene.held[media], f"the hold on {media} was broken"
    for media in scene.doomed:
        row = rows[media]
        if media in scene.held:
            assert scene.there(media) == (media not in deleted_at)
            assert row["state"] == ("held" if scene.there(media) else row["state"])
            assert row["state"] in ("held", "deleted", "gone")
        else:
            assert not scene.there(media), row
            assert (row["state"], row["certificate"]) in (("deleted", "deleted"),), row
            assert row["destroyed_sha256"] == row["sha256"]
    for media in scene.copyless:
        assert scene.there(media)
        assert (rows[media]["state"], rows[media]["reason"]) == ("failed", "copy_differs")
    for media in scene.gone:
        assert rows[media]["state"] == "gone" or rows[media]["attempts"] or rows[media]["state"] == "deleted"


def main() -> int:
    """Print what happened; raises when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--count", type=int, default=400)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="retention-kills-") as folder:
        scene = kill_runs(Path(folder), options.kills, options.seed, options.count)
        took = time.monotonic() - started
        print(
            f"{options.kills} kills in {took:.0f} s left {scene.marks_left} marks: of {len(scene.doomed)} attachments "
            f"{len(scene.deleted_at())} were deleted once each, {len(scene.held)} holds were kept, "
            f"{len(scene.copyless)} only copies and {len(scene.gone)} that were gone are told as that."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
