"""Files of guests in the published API: message conversations by analytics (L5), what was said in them (M1), and the
attachments' facts (M5).

There is no stream to read on from, so that every minute the conversations with activity since are looked into. A
window of time is walked in the order of conversation ids, a bounded number of them with each run, and is over when all
of it was looked at; the next one begins some minutes before its end, since analytics are a little behind. A
conversation that the source fails on is owed: it is looked into again with each run, and holds up no other.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from media_pipeline.genesys.errors import GenesysError, MalformedReply, NotFound, ServerError, Unreached
from media_pipeline.genesys.messaging_source import ConversationEvent, EventBatch, EventTally
from media_pipeline.genesys.pacing import Patience
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.platform_conversations import query_pages
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import items, size, text
from media_pipeline.genesys.values import time as moment_of

MESSAGES = "/api/v2/conversations/messages"
OVERLAP = dt.timedelta(minutes=10)
"""Analytics may be late by minutes; and our clock may differ from theirs."""
FIRST_WINDOW = dt.timedelta(hours=24)
"""Where nothing was read before: guest files are said to live as long."""
LONGEST_WINDOW = dt.timedelta(days=1)
LONGEST_GAP = dt.timedelta(days=30)
"""An analytics query may span 31 days."""
MAX_CONVERSATIONS = 100
"""Looked into by one run, at one or two calls each: a third to two thirds of a minute's budget."""
BULK = 1_000
SICK = 3
"""Conversations in a row that failed, and the source itself does: the run ends, and the next one goes on."""
OWED_FOR = dt.timedelta(hours=24)
"""As long as what a guest sent there may still be fetched."""
MAX_REMEMBERED = 2_000
"""Messages whose attachments need not be asked for again, the newest."""
MAX_ID_CHARACTERS = 500
MAX_TEXT_CHARACTERS = 1_000
OF_MESSAGES = {
    "order": "asc",
    "orderBy": "conversationStart",
    "segmentFilters": [
        {
            "type": "and",
            "predicates": [{"type": "dimension", "dimension": "mediaType", "operator": "matches", "value": "message"}],
        }
    ],
}


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time; `after`: the last conversation of it that was looked into; `known`: messages that were.

    `owed`: conversations that could not be looked into, and since when.
    """

    start: dt.datetime
    end: dt.datetime
    after: str = ""
    known: tuple[str, ...] = ()
    owed: tuple[tuple[str, dt.datetime], ...] = ()

    def encode(self) -> str:
        """As a position."""
        owed = [[conversation_id, since.isoformat()] for conversation_id, since in self.owed]
        return json.dumps([self.start.isoformat(), self.end.isoformat(), self.after, self.known, owed])

    @classmethod
    def of(cls, position: str) -> Window | None:
        """From a position; None without one."""
        with suppress(ValueError, TypeError):
            start, end, after, known, *rest = json.loads(position or "null")
            owed = tuple((each, dt.datetime.fromisoformat(since)) for each, since in (rest[0] if rest else ()))
            return cls(dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end), after, tuple(known), owed)
        return None

    def looked_into(self, settled: Sequence[str]) -> Window:
        """With these messages known."""
        return dataclasses.replace(self, known=(*self.known, *settled)[-MAX_REMEMBERED:])

    def next(self, now: dt.datetime) -> Window:
        """The one after this, when all of this was looked at."""
        start = self.end - OVERLAP
        return Window(start, min(now, start + LONGEST_WINDOW), "", self.known, self.owed)


class PlatformMessages:
    """Message conversations of one org."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def since(self, position: str, until: float, tally: EventTally) -> Iterator[EventBatch]:
        """Files that guests sent since a position; a position moves on with each conversation."""
        now = dt.datetime.now(dt.UTC)
        window = Window.of(position) or Window(now - FIRST_WINDOW, now)
        if window.start < now - LONGEST_GAP:
            tally.gap = (
                f"Events were last read up to {window.start:%Y-%m-%d %H:%M} UTC, longer ago than message conversations "
                f"are asked for: what guests sent before {now - LONGEST_GAP:%Y-%m-%d} may be missing."
            )
            window = Window(now - LONGEST_GAP, now - LONGEST_GAP + LONGEST_WINDOW, owed=window.owed)
        if not window.after:  # not begun: it may as well reach up to now
            window = dataclasses.replace(window, end=min(now, window.start + LONGEST_WINDOW))
        failed = 0
        for conversation_id, since in window.owed:
            events, settled, error = self._looked_into(conversation_id, window, until, tally, retries=0)
            failed = failed + 1 if error else 0
            if error and failed == SICK:
                raise error
            if not error or now - since > OWED_FOR:
                owed = tuple(each for each in window.owed if each[0] != conversation_id)
                window = dataclasses.replace(window.looked_into(settled), owed=owed)
                if error:
                    tally.gap = f"The conversation {conversation_id} could not be read for a day: {error}"
                yield EventBatch(events, window.encode())
        calls_left = MAX_CONVERSATIONS - len(window.owed)
        while True:
            for conversation_id in self._active(window, until):
                if conversation_id in dict(window.owed):
                    continue
                if calls_left <= 0 or time.monotonic() >= until:
                    return
                calls_left -= 1
                events, settled, error = self._looked_into(conversation_id, window, until, tally)
                failed = failed + 1 if error else 0
                if error and failed == SICK:
                    raise error
                window = dataclasses.replace(window.looked_into(settled), after=conversation_id)
                if error:
                    window = dataclasses.replace(window, owed=(*window.owed, (conversation_id, now)))
                yield EventBatch(events, window.encode())
            is_last = window.end >= now
            window = window.next(now)
            yield EventBatch([], window.encode())
            if is_last:
                tally.caught_up = True
                return

    def _active(self, window: Window, until: float) -> list[str]:
        """Conversations with activity in the window that were not looked into yet, by id."""
        pages = query_pages(self._api, OF_MESSAGES, window.start, window.end, self._patience(until))
        found = {text(entry.get("conversationId")) for page in pages for entry in items(page)}
        return sorted(each for each in found if each is not None and each > window.after)

    def _looked_into(
        self, conversation_id: str, window: Window, until: float, tally: EventTally, *, retries: int | None = None
    ) -> tuple[list[ConversationEvent], list[str], GenesysError | None]:
        """What `_files` gives, or an error that may be this conversation's own; raises those that are not."""
        try:
            events, settled = self._files(conversation_id, window, until, tally, retries)
        except (ServerError, MalformedReply) as error:
            if isinstance(error, Unreached):
                raise
            tally.unreadable += 1
            return [], [], error
        tally.received += len(events)
        return events, settled, None

    def _files(
        self, conversation_id: str, window: Window, until: float, tally: EventTally, retries: int | None
    ) -> tuple[list[ConversationEvent], list[str]]:
        """Events of the conversation's messages that are not settled, whenever they were sent, and which these are."""
        path = f"{MESSAGES}/{quote(conversation_id, safe='')}"
        try:
            body = self._called("message_conversation", "GET", path, until, retries=retries)
        except NotFound:  # it was recorded, not kept as messages; or it is gone
            tally.unreadable += 1
            return [], []
        if not isinstance(body, dict):
            raise MalformedReply("The reply about a message conversation is not an object.")
        said = _with_media(body, frozenset(window.known))
        details = self._details(conversation_id, list(said), until)
        events: list[ConversationEvent] = []
        for message_id, detail in said.items():
            events += _events(conversation_id, message_id, detail, details.get(message_id, {}), tally)
        return events, list(said)

    def _details(self, conversation_id: str, message_ids: Sequence[str], until: float) -> dict[str, dict[str, object]]:
        """Messages with their normalized content, by id; those that are gone are missing."""
        found: dict[str, dict[str, object]] = {}
        for first in range(0, len(message_ids), BULK):
            path = f"{MESSAGES}/{quote(conversation_id, safe='')}/messages/bulk?useNormalizedMessage=true"
            body = self._called("message_details", "POST", path, until, list(message_ids[first : first + BULK]))
            entities = items(body.get("entities")) if isinstance(body, dict) else []
            found |= {message_id: each for each in entities if (message_id := text(each.get("id"))) is not None}
        return found

    def _called(
        self, operation: str, method: str, path: str, until: float, body: object = None, retries: int | None = None
    ) -> Any:
        patience = self._patience(until)
        if retries is not None:
            patience = dataclasses.replace(patience, retries=retries)
        return self._api.call(operation, method, path, permission=needed_for(operation), body=body, patience=patience)

    def _patience(self, until: float) -> Patience:
        """Retries, as long as there is time."""
        ours = self._api.patience
        left = max(0.0, until - time.monotonic())
        return dataclasses.replace(ours, deadline_seconds=min(ours.deadline_seconds, left))


def _with_media(body: dict[str, Any], known: frozenset[str]) -> dict[str, dict[str, object]]:
    """Messages with media that are not known, by id, each once: participants may share them."""
    found: dict[str, dict[str, object]] = {}
    for participant in items(body.get("participants")):
        for message in items(participant.get("messages")):
            message_id = text(message.get("messageId"))
            if message_id is not None and message_id not in known and items(message.get("media")):
                found.setdefault(message_id, {**message, "purpose": participant.get("purpose")})
    return found


def _events(
    conversation_id: str, message_id: str, listed: dict[str, object], detail: dict[str, object], tally: EventTally
) -> Iterator[ConversationEvent]:
    """One for each file of a message that came in."""
    direction = text(detail.get("direction")) or ("inbound" if listed["purpose"] in ("customer", "external") else "")
    sent_at = moment_of(detail.get("timestamp")) or moment_of(listed.get("messageTime"))
    if direction.lower() != "inbound":
        return
    attached = attachments(detail)
    for media in items(listed.get("media")):
        file_id = text(media.get("id"))
        if file_id is None or sent_at is None or max(len(file_id), len(message_id)) > MAX_ID_CHARACTERS:
            tally.malformed += 1
            continue
        facts = attached.get(file_id, {})
        yield ConversationEvent(
            event_id=f"{message_id}:{file_id}",
            event_type="message",
            conversation_id=conversation_id,
            message_id=message_id,
            sent_at=sent_at,
            file_id=file_id,
            file_name=_cut(facts.get("filename")) or _cut(media.get("name")),
            declared_type=_cut(facts.get("mime")) or _cut(media.get("mediaType")),
            size_bytes=_first(size(facts.get("contentSizeBytes")), size(media.get("contentLengthBytes"))),
            sha256=(_cut(facts.get("sha256")) or "").lower() or None,
        )


def attachments(detail: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """A message's attachments by id."""
    normalized = detail.get("normalizedMessage")
    found = {}
    for content in items(normalized.get("content")) if isinstance(normalized, dict) else []:
        attachment = content.get("attachment")
        if isinstance(attachment, dict) and (file_id := text(attachment.get("id"))) is not None:
            found[file_id] = attachment
    return found


def _first(*sizes: int | None) -> int | None:
    return next((each for each in sizes if each is not None), None)


def _cut(value: object) -> str | None:
    found = text(value)
    return found[:MAX_TEXT_CHARACTERS] if found is not None else None
