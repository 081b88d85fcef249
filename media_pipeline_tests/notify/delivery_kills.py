"""kill -9 of delivering processes at random instants: every event arrives, and only hopeless ones are dead letters.

`python -m media_pipeline_tests.notify.delivery_kills --kills 100`; the suite does a few. `--deliver` is the process
that is killed: it takes in what was announced and delivers until nothing is pending.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from media_pipeline.notify.announcer import Announcer
from media_pipeline.notify.delivery import Deliverer, Rules
from media_pipeline.notify.events import METADATA_PARSED, RECORDING_QUARANTINED
from media_pipeline.notify.queue import DEAD, DELIVERED, PENDING, Queue
from media_pipeline.notify.webhooks import parse_webhooks
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.paths import OUTBOX_PREFIX
from media_pipeline_tests.receiver import Receiver, Reply, receiving

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DAY = dt.date(2026, 11, 20)
RULES = Rules(first_wait_seconds=0.02, factor=1.5, longest_wait_seconds=0.2, attempts=12, answer_seconds=1.0)
BEGUN = "begun"
"""What a deliverer says before it delivers; it is killed within RUN_SECONDS of that, however busy the machine is."""
EARLY_SHARE = 0.1
"""Of the deliverers are killed while they start."""
RUN_SECONDS = 0.6
END_SECONDS = 900.0


@dataclass
class Tally:
    """What happened."""

    kills: int = 0
    announced: int = 0
    hopeless: int = 0
    requests: int = 0
    repeated: int = 0
    """Messages that a receiver took more than once."""


def kill_deliveries(folder: Path, kills: int, seed: int, per_kill: int) -> Tally:
    """Announce and kill in turn, then let one process end by itself; raises AssertionError when anything was lost."""
    chance, tally, announced = random.Random(seed), Tally(), set[str]()
    store = LocalStore(folder / "root")
    with receiving() as receiver:
        receiver.answer = _Moody(seed)
        command = [sys.executable, "-m", "media_pipeline_tests.notify.delivery_kills", "--deliver"]
        command += [str(folder), receiver.url]
        verified = 0
        while tally.kills < kills:
            announced |= _announce(store, tally, per_kill)
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                assert process.stdout
                if chance.random() >= EARLY_SHARE:
                    assert process.stdout.readline() == BEGUN.encode() + b"\n"
                try:
                    process.wait(chance.uniform(0, RUN_SECONDS))
                    assert process.returncode == 0, "a deliverer ended with an error"
                except subprocess.TimeoutExpired:
                    process.kill()
                    tally.kills += 1
            verified = _verify(receiver, verified)
        _let_end(command, receiver, verified)
        _prove(store, folder, receiver, announced, tally)
    return tally


def _let_end(command: list[str], receiver: Receiver, verified: int) -> None:
    """One deliverer that nobody kills."""
    until = time.monotonic() + END_SECONDS
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if time.monotonic() > until:
                process.kill()
                raise AssertionError(f"the last deliverer did not end within {END_SECONDS:.0f} s")
            verified = _verify(receiver, verified)
            time.sleep(0.5)
    assert process.returncode == 0
    _verify(receiver, verified)


def _verify(receiver: Receiver, verified: int) -> int:
    """Verify what came since so many were verified, as receivers do: within five minutes."""
    from standardwebhooks import Webhook as Witness

    witness, posts = Witness(KEY), receiver.posts[verified:]
    for post in posts:
        witness.verify(post.body, post.headers)
    return verified + len(posts)


class _Moody:
    """A receiver that answers 500, hangs or takes it, by chance; of some messages it never takes anything."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def __call__(self, message_id: str) -> Reply:
        if hopeless(message_id):
            return Reply(500)
        luck = self._chance.random()
        if luck < 0.15:
            return Reply(503 if luck < 0.05 else 500)
        return Reply(hang_seconds=self._chance.uniform(0.1, 0.5)) if luck < 0.2 else Reply()


def hopeless(message_id: str) -> bool:
    """One in twelve."""
    return hashlib.sha256(message_id.encode()).digest()[0] % 12 == 0


def _announce(store: LocalStore, tally: Tally, count: int) -> set[str]:
    before = set(store.sizes(OUTBOX_PREFIX))
    for event_type in (RECORDING_QUARANTINED, METADATA_PARSED):
        announcer = Announcer(store, DAY, "run", event_type, posted=True, told=lambda event: None)
        for number in range(count):
            announcer.announce(f"{tally.announced + number}", 1, {"recording_id": str(number)})
        announcer.close()
    tally.announced += count
    lines = [store.get_small(key).data.splitlines() for key in set(store.sizes(OUTBOX_PREFIX)) - before]  # type: ignore[union-attr]
    return {json.loads(line)["id"] for batch in lines for line in batch}


def _prove(store: LocalStore, folder: Path, receiver: Receiver, announced: set[str], tally: Tally) -> None:
    taken = Counter(post.id for post in receiver.taken)
    expected = {message_id for message_id in announced if not hopeless(message_id)}
    assert set(taken) == expected, f"{len(expected - set(taken))} lost, {len(set(taken) - expected)} made up"
    with Queue(folder / "spool", store.url) as queue:
        assert {each.message_id for each in queue.all(DEAD)} == announced - expected
        assert {each.message_id for each in queue.all(DELIVERED)} == expected
        assert list(queue.all(PENDING)) == []
    assert list(store.sizes(OUTBOX_PREFIX)) == []
    tally.hopeless = len(announced - expected)
    tally.requests = len(receiver.posts)
    tally.repeated = sum(number > 1 for number in taken.values())


def deliver(folder: Path, url: str) -> None:
    """Deliver until nothing is pending."""
    store = LocalStore(folder / "root")
    with Queue(folder / "spool", store.url) as queue:
        deliverer = Deliverer(store, queue, parse_webhooks(url, KEY), RULES)
        print(BEGUN, flush=True)
        while True:
            deliverer.deliver(5.0)
            if not queue.counts().get(PENDING) and not store.sizes(OUTBOX_PREFIX):
                return
            time.sleep(0.02)


def main() -> None:
    """Print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--deliver", nargs=2, metavar=("FOLDER", "URL"))
    options = parser.parse_args()
    if options.deliver:
        deliver(Path(options.deliver[0]), options.deliver[1])
        return
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        tally = kill_deliveries(Path(folder), options.kills, options.seed, per_kill=40)
    print(
        f"{tally.kills} kills, {tally.announced} recordings and as many interactions announced, {tally.requests} "
        f"requests: all arrived signed, {tally.repeated} messages more than once; the {tally.hopeless} hopeless ones, "
        "and only they, are dead letters."
    )


if __name__ == "__main__":
    main()
