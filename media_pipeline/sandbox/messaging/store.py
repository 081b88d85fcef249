"""All message conversations of one sandbox: the seeded ones as time goes by, those added by hand, and the event log."""

from __future__ import annotations

import bisect
import datetime as dt
import heapq
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from media_pipeline.sandbox.clock import Clock
from media_pipeline.sandbox.faults import Call, Rules
from media_pipeline.sandbox.messaging import seeded
from media_pipeline.sandbox.messaging.events import Event, EventLog
from media_pipeline.sandbox.messaging.model import GuestFile, Message, MessageConversation
from media_pipeline.sandbox.messaging.sending import Sending
from media_pipeline.sandbox.org import Org

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import Settings

SEEDED_DAYS = 30
"""So many days of the org have message conversations, the last ones."""
EVENTS_LIVE = dt.timedelta(hours=24)
"""Seeded events older than this never come onto the stream."""


class Messaging:
    """Conversations by id and by time. Thread safe."""

    def __init__(self, org: Org, clock: Clock, rules: Rules, settings: Settings, per_day: int) -> None:
        self._org = org
        self._clock = clock
        self._rules = rules
        self._per_day = per_day
        self._lock = threading.RLock()
        self.restart(settings)

    def restart(self, settings: Settings) -> None:
        """As it was at the start: nothing added, nothing sent, no event delivered."""
        with self._lock:
            self.settings = settings
            self.log = EventLog()
            self.sending = Sending(self._org, self._clock)
            self._live = 0
            self._changes = 0
            self._ordered: list[tuple[dt.datetime, int]] = []
            self._messages = 0
            self._days: set[dt.date] = set()
            self._today: dt.date | None = None
            self._found: dict[str, MessageConversation] = {}
            self._by_number: dict[int, MessageConversation] = {}
            self._files: dict[str, tuple[MessageConversation, GuestFile]] = {}
            self._to_come: list[tuple[dt.datetime, int, int, MessageConversation, Message]] = []

    def now(self) -> dt.datetime:
        """The sandbox's time."""
        return self._clock.now()

    def conversations(self) -> list[MessageConversation]:
        """All that have begun, by start."""
        with self._lock:
            self.advance()
            return [self._by_number[number] for _, number in self._ordered[: self._begun()]]

    def stamp(self) -> tuple[int, int, int]:
        """Something that is another whenever conversations have begun, or something was said."""
        with self._lock:
            self.advance()
            return self._changes, self._begun(), len(self._to_come)

    def find(self, conversation_id: str) -> MessageConversation | None:
        """The conversation with this id, once it has begun."""
        with self._lock:
            self.advance()
            found = self._found.get(conversation_id)
            return found if found is not None and found.start <= self.now() else None

    def numbered(self, number: int) -> MessageConversation:
        """The conversation with this number."""
        return self._by_number[number]

    def file(self, file_id: str) -> GuestFile | None:
        """The guest file with this id, once it was sent; it may be gone by now."""
        with self._lock:
            self.advance()
            found = self._files.get(file_id)
            return found[1] if found is not None and found[1].sent <= self.now() else None

    def advance(self) -> None:
        """Let happen what was to happen until now."""
        with self._lock:
            now = self.now()
            if now.date() != self._today:
                self._begin_day(now.date())
            while self._to_come and self._to_come[0][0] <= now:
                at, *_, conversation, message = heapq.heappop(self._to_come)
                if at > now - EVENTS_LIVE:
                    self._publish(conversation, message)

    def add_conversation(self, *, started: dt.datetime | None = None) -> MessageConversation:
        """A new conversation, from now or an earlier moment on."""
        with self._lock:
            self._live += 1
            made = seeded.conversation(self._org, self._live, started or self.now())
            self._keep(made)
            return made

    def say(
        self,
        conversation: MessageConversation,
        *,
        text: str | None = None,
        files: Iterable[GuestFile] = (),
        at: dt.datetime | None = None,
        silent: bool = False,
    ) -> Message:
        """A guest says or sends something, now or at an earlier moment; silent = without an event."""
        with self._lock:
            message = Message(self.new_message_id(), at or self.now(), "inbound", text, tuple(files))
            self.append(conversation, message)
            if not silent:
                self._publish(conversation, message)
            return message

    def append(self, conversation: MessageConversation, message: Message) -> None:
        """Put a message into its conversation."""
        with self._lock:
            self._changes += 1
            # A new list, because another thread may be reading the one there is.
            conversation.messages = sorted([*conversation.messages, message], key=lambda each: each.at)
            for each in message.files:
                self._files[each.id] = (conversation, each)

    def new_message_id(self) -> str:
        """The id of a message that was not seeded."""
        with self._lock:
            self._messages += 1
            return self._org.named_id("live message", self._messages)

    def new_file_id(self) -> str:
        """The id of a file that was not seeded."""
        with self._lock:
            self._messages += 1
            return self._org.named_id("live file", self._messages)

    def publish(self, document: dict[str, object], *, name: str | None = None, event_id: str | None = None) -> str:
        """Put an event onto the stream; gives its id."""
        event_id = event_id or f"live-{self.log.next_number():08}"
        self.log.append(Event(event_id, document, name=name), self.settings.event_history)
        return event_id

    def _begun(self) -> int:
        return bisect.bisect_right(self._ordered, self.now(), key=lambda each: each[0])

    def _publish(self, conversation: MessageConversation, message: Message) -> None:
        """An event for each file, or one for a message without; struck by `redelivery`, again under new ids."""
        copies = 1 + self._rules.through(("redelivery",), Call("events", conversation.id), 0)
        for number in range(copies):
            for file in message.files or (None,):
                document: dict[str, object] = {"id": conversation.id, "type": "conversation", "data": _data(file)}
                part = message.id if file is None else file.id
                self.publish(document, event_id=None if number else f"event-{part}")

    def _begin_day(self, today: dt.date) -> None:
        self._today = today
        recent = (today - dt.timedelta(days=1), today)
        for day in sorted({*self._org.dates()[-SEEDED_DAYS:], *recent} - self._days):
            self._days.add(day)
            if self._org.first_day <= day:
                self._plan(seeded.of_day(self._org, day, self._per_day))

    def _plan(self, conversations: list[MessageConversation]) -> None:
        for made in conversations:
            self._keep(made)
            for place, message in enumerate(made.messages):
                for each in message.files:
                    self._files[each.id] = (made, each)
                if message.direction == "inbound":
                    heapq.heappush(self._to_come, (message.at, made.number, place, made, message))

    def _keep(self, made: MessageConversation) -> None:
        self._changes += 1
        bisect.insort(self._ordered, (made.start, made.number))
        self._found[made.id] = made
        self._by_number[made.number] = made


def _data(file: GuestFile | None) -> dict[str, object]:
    if file is None:
        return {}
    named = {"id": file.id, "name": file.name, "contentType": file.declared_type, "size": file.declared_size}
    return {"file": named}
