"""Takes messages from the outbox to their receivers: at least once, within a time limit, one deliverer at a time."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from media_pipeline.notify.events import Message
from media_pipeline.notify.queue import Delivery, Queue
from media_pipeline.notify.webhooks import TIMEOUT_SECONDS, Answer, Webhook, client, post, run
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.paths import OUTBOX_PREFIX

DAY_SECONDS = 24 * 3600.0
AT_ONCE = 8
"""Requests under way. Receivers share them alike, each has one at least: a slow one keeps none from the others."""
TAKEN_AT_ONCE = 100
BATCH_BYTES = 16 * 1024 * 1024
"""Of one object of the outbox, at most: a thousand events with ids of several KB."""
FAILURES_IN_A_ROW = 3
"""After so many a receiver is left alone until the next time."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How often a message is tried: waits grow fourfold from 15 s to 8 h, give or take a quarter; 14 tries in three
    days, and none after four days. A receiver's Retry-After goes before a shorter wait, up to a day."""

    first_wait_seconds: float = 15.0
    factor: float = 4.0
    longest_wait_seconds: float = 8 * 3600.0
    attempts: int = 14
    longest_age_seconds: float = 4 * DAY_SECONDS
    longest_pause_seconds: float = DAY_SECONDS
    answer_seconds: float = TIMEOUT_SECONDS

    def wait_seconds(self, delivery: Delivery, answer: Answer) -> float | None:
        """Until the next try after this answer; None when there is none."""
        tries = delivery.attempts + 1
        if answer.gone or tries >= self.attempts:
            return None
        wait = min(self.first_wait_seconds * self.factor ** (tries - 1), self.longest_wait_seconds)
        asked = min(answer.retry_after_seconds or 0.0, self.longest_pause_seconds)
        return max(wait * random.uniform(0.75, 1.25), asked)


@dataclass(slots=True)
class Outcome:
    """What one round of delivering did."""

    taken: int = 0
    delivered: int = 0
    failed: int = 0
    dead: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    """Sentences that name hosts only."""
    busy: bool = False
    """Another process is delivering."""
    left: bool = False
    """Time was up before all that is due was tried."""


class Deliverer:
    """Delivers for one archive."""

    def __init__(
        self, store: ObjectStore, queue: Queue, receivers: Sequence[Webhook], rules: Rules | None = None
    ) -> None:
        self._store, self._queue, self._rules = store, queue, rules or Rules()
        self._receivers = {each.fingerprint: each for each in receivers}

    def deliver(self, seconds: float) -> Outcome:
        """Take in what was announced and send what is due, for so many seconds at most. Raises StorageError."""
        outcome = Outcome()
        if not self._receivers:
            return outcome
        with _only_one(self._queue.path.with_suffix(".lock")) as alone:
            if not alone:
                outcome.busy = True
                return outcome
            deadline = time.monotonic() + seconds
            self.take_in(deadline, outcome)
            outcome.dead += self._queue.expire(self._rules.longest_age_seconds)
            run(self._send(deadline, outcome))
            outcome.left |= time.monotonic() > deadline and bool(self._queue.due(list(self._receivers), 1))
        return outcome

    def take_in(self, deadline: float, outcome: Outcome) -> None:
        """Move what runs announced into the queue; each batch is removed once the queue has it."""
        for key in sorted(self._store.sizes(OUTBOX_PREFIX)):
            if time.monotonic() > deadline:
                outcome.left = True
                return
            try:
                small = self._store.get_small(key, BATCH_BYTES)
                if small is None:
                    continue
                messages = list(_messages(small.data))
            except (ValueError, KeyError, TypeError):
                outcome.problems[f"{key} is not a batch of events and was left where it is"] += 1
                continue
            outcome.taken += self._queue.take(messages, list(self._receivers.values()))
            self._store.remove(key)

    async def _send(self, deadline: float, outcome: Outcome) -> None:
        resting: set[str] = set()
        in_a_row: Counter[str] = Counter()
        share = max(1, AT_ONCE // len(self._receivers))

        async def send_to(receiver: str) -> None:
            while time.monotonic() < deadline and receiver not in resting:
                due = self._queue.due([receiver], TAKEN_AT_ONCE)
                if not due:
                    return
                todo = iter(due)
                workers = [self._work(http, todo, deadline, outcome, resting, in_a_row) for _ in range(share)]
                await asyncio.gather(*workers)

        async with client() as http:
            await asyncio.gather(*map(send_to, self._receivers))

    async def _work(
        self,
        http: httpx.AsyncClient,
        todo: Iterator[tuple[Delivery, bytes]],
        deadline: float,
        outcome: Outcome,
        resting: set[str],
        in_a_row: Counter[str],
    ) -> None:
        """Take deliveries from the shared iterator until it ends or time is up."""
        for delivery, body in todo:
            if time.monotonic() > deadline:
                return
            if delivery.receiver in resting:
                continue
            webhook = self._receivers[delivery.receiver]
            answer = await post(http, webhook, delivery.message_id, body, self._rules.answer_seconds)
            self._settle(delivery, answer, outcome)
            if answer.problem is None:
                in_a_row[delivery.receiver] = 0
                continue
            in_a_row[delivery.receiver] += 1
            if in_a_row[delivery.receiver] >= FAILURES_IN_A_ROW or answer.retry_after_seconds:
                resting.add(delivery.receiver)

    def _settle(self, delivery: Delivery, answer: Answer, outcome: Outcome) -> None:
        if answer.problem is None:
            self._queue.delivered(delivery)
            outcome.delivered += 1
            return
        wait = self._rules.wait_seconds(delivery, answer)
        self._queue.failed(delivery, answer.problem, wait)
        if answer.retry_after_seconds and not answer.gone:
            self._queue.pause(delivery.receiver, min(answer.retry_after_seconds, self._rules.longest_pause_seconds))
        outcome.failed += 1
        outcome.dead += wait is None
        outcome.problems[answer.problem] += 1


def _messages(data: bytes) -> Iterator[Message]:
    for line in data.splitlines():
        entry = json.loads(line)
        yield Message(str(entry["id"]), str(entry["type"]), str(entry["date"]), str(entry["body"]).encode())


@contextmanager
def _only_one(path: Path) -> Iterator[bool]:
    """Whether this process alone delivers now; the kernel lets go of the lock when the process ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)
