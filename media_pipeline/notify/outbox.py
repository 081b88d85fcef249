"""Which person was told what: a message of a sensor goes to each receiver until it took it, and again only when the
matter has changed. Its memory is the sensor's cursor; events of the archive have a queue of their own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from media_pipeline.notify.webhooks import Webhook, post_now

LOG = "log"
MAX_SUBJECTS = 500
"""The oldest are forgotten: the memory lives in a sensor's cursor."""


@dataclass(slots=True)
class Told:
    """What was said of a subject, and which receivers have it."""

    state: str
    run_id: str = ""
    to: list[str] = field(default_factory=list)
    message_id: str = ""
    """The same for all receivers and every try, so that a receiver can tell what it has."""


class Outbox:
    """Messages by subject; `memory` is its state as JSON, from an earlier `dump`."""

    def __init__(self, memory: Mapping[str, Mapping[str, object]], webhooks: list[Webhook]) -> None:
        self._told = {subject: Told(**entry) for subject, entry in memory.items()}  # type: ignore[arg-type]  # our own dump
        self._webhooks = webhooks
        self._unreachable: set[str] = set()
        self.problems: list[str] = []

    def told(self, subject: str) -> Told | None:
        """What was last said of a subject."""
        return self._told.get(subject)

    def forget(self, subject: str) -> None:
        """The matter is settled: whatever comes next is new."""
        self._told.pop(subject, None)

    def tell(
        self, subject: str, state: str, message: Mapping[str, object], log: Callable[[str], None], run_id: str = ""
    ) -> bool:
        """Send `message` (its `text` goes to the log) unless this state was told; False while a receiver lacks it."""
        told = self._told.pop(subject, None)
        if told is None or told.state != state:
            told = Told(state)
        told.run_id = run_id
        told.message_id = told.message_id or f"msg_{uuid.uuid4().hex}"
        self._told[subject] = told  # last in order: the newest
        if LOG not in told.to:
            log(str(message["text"]))
            told.to.append(LOG)
        for webhook in self._webhooks:
            if webhook.fingerprint not in told.to and self._delivered(webhook, told.message_id, message):
                told.to.append(webhook.fingerprint)
        return {webhook.fingerprint for webhook in self._webhooks} <= set(told.to)

    def dump(self) -> dict[str, dict[str, object]]:
        """The memory as JSON-able values."""
        newest = list(self._told.items())[-MAX_SUBJECTS:]
        return {subject: asdict(told) for subject, told in newest}

    def _delivered(self, webhook: Webhook, message_id: str, message: Mapping[str, object]) -> bool:
        if webhook.fingerprint in self._unreachable:
            return False  # once a tick is enough: a tick's time is short
        problem = post_now(webhook, message_id, json.dumps(message, default=str).encode()).problem
        if problem is not None:
            self._unreachable.add(webhook.fingerprint)
            self.problems.append(problem)
        return problem is None
