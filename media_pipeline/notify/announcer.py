"""What a run announces: each event once per change, and durable under MEDIA_ROOT before anybody is told.

Under MEDIA_ROOT and not in the spool, because the run may be on another machine than the daemon that delivers.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from media_pipeline.notify.events import Event, digest, event_of, messages_of
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.paths import announced_key, outbox_key

HANDED_OVER_AT_ONCE = 1_000
"""Events held in memory, and in one object of the outbox."""
_NOTHING = ""
"""The state of a subject whose matter is settled: what comes next is news."""
_SHORT = 16


class Announcer:
    """Events of one type of one run's day; `told` is called with each after it is durable."""

    def __init__(
        self,
        store: ObjectStore,
        day: dt.date,
        run_id: str,
        event_type: str,
        *,
        posted: bool,
        told: Callable[[Event], None],
    ) -> None:
        """`posted`: whether there are webhooks; without any, only `told` hears."""
        self._store, self._day, self._run_id, self._type = store, day, run_id, event_type
        self._posted, self._told = posted, told
        self._known = _announced(store, day, event_type)
        """Subject -> the state that was announced last, and how many announcements there were."""
        self._changes: dict[str, tuple[str, int]] = {}
        self._waiting: list[Event] = []
        self.count = 0

    def announce(self, subject: str, state: object, data: Mapping[str, object], about: str = "") -> None:
        """Announce a subject (an id) unless its state is what was announced last; `data` is the event's own part.

        Data carry ids, counts and statuses only: they leave the house. `about`: the recording, interaction or day that
        the audit log knows it by, where that is not the subject.
        """
        name, found = digest(subject)[:_SHORT], digest(state)[:_SHORT]
        before, times = self._known.get(name, (_NOTHING, 0))
        if before == found:
            return
        self._waiting.append(
            event_of(self._type, self._day, self._run_id, subject, about or subject, [found, times + 1], data)
        )
        self._changes[name] = (found, times + 1)
        self.count += 1
        if len(self._waiting) >= HANDED_OVER_AT_ONCE:
            self._hand_over()

    def settled(self, subject: str) -> None:
        """Nothing is to be said of the subject any more; should it come again, it is announced again."""
        if self._known:
            name = digest(subject)[:_SHORT]
            before, times = self._known.get(name, (_NOTHING, 0))
            if before != _NOTHING:
                self._changes[name] = (_NOTHING, times)

    def close(self) -> None:
        """Hand over what is left, and remember what was announced."""
        self._hand_over()
        if self._changes:
            known = {name: list(entry) for name, entry in sorted({**self._known, **self._changes}.items())}
            self._store.put(announced_key(self._day, self._type), json.dumps(known, separators=(",", ":")).encode())

    def _hand_over(self) -> None:
        events, self._waiting = self._waiting, []
        if not events:
            return
        if self._posted:
            lines = (
                {"id": message.id, "type": message.type, "date": message.date, "body": message.body.decode()}
                for message in messages_of(events)
            )
            data = "".join(json.dumps(line) + "\n" for line in lines).encode()
            self._store.put(outbox_key(self._day, self._run_id, time.time_ns()), data)
        for event in events:
            self._told(event)


def _announced(store: ObjectStore, day: dt.date, event_type: str) -> dict[str, tuple[str, int]]:
    file = store.open(announced_key(day, event_type))
    if file is None:
        return {}
    with file, suppress(ValueError, TypeError):  # what cannot be read is announced once more
        return {str(name): (str(state), int(times)) for name, (state, times) in json.load(file).items()}
    return {}
