"""Conversation events of the guide dialect: a stream of server-sent events, read on from the last one.

An event is known by its id. A server may send one again, under the same id or a new one; what has no id of its own is
known by the id before it and its content.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress

from media_pipeline.genesys.errors import GenesysError
from media_pipeline.genesys.event_decoder import ServerEvent
from media_pipeline.genesys.event_stream import Bounds, EventStream, Listening, is_sendable
from media_pipeline.genesys.messaging_source import ConversationEvent, EventBatch, EventTally
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import size, text

PATH = "/api/v2/conversations/events"
CONVERSATION = "conversation"
QUIET_SECONDS = 5.0
"""Without an event for so long, the stream has been caught up with."""
PROBE_SECONDS = 5.0
PROBE_QUIET_SECONDS = 1.0
PROBE_EVENTS = 100
MAX_ID_CHARACTERS = 500
MAX_TEXT_CHARACTERS = 1_000
"""Longer names are cut: no policy takes them, and a table is no place for a megabyte."""


class GuideEvents:
    """The stream of one org."""

    def __init__(self, api: Transport) -> None:
        self._stream = EventStream(
            api, "events", PATH, permission="conversation:read", first_wait_seconds=api.patience.first_wait_seconds
        )

    def since(self, position: str, until: float, tally: EventTally) -> Iterator[EventBatch]:
        """Events since a position, and at the end whether the stream still had all that came after it."""
        before, last = begun_at = _ids_of(position)
        listening = Listening()
        for event in self._stream.events(
            last, Bounds(until=until - PROBE_SECONDS, quiet_seconds=QUIET_SECONDS), listening
        ):
            tally.received += 1
            if event.last_id != last and is_sendable(event.last_id):
                before, last = last, event.last_id
            found = _read(event, tally)
            yield EventBatch([found] if found else [], json.dumps([before, last]))
        tally.connections += listening.connections
        tally.caught_up = listening.ended in ("quiet", "stopped")
        if tally.received and all(begun_at):
            self._probe(*begun_at, until, tally)

    def _probe(self, before: str, last: str, until: float, tally: EventTally) -> None:
        """Ask for what came after the event before the last known one: the first should be the last known one.

        If it is not, the stream's history begins later, and nobody knows what came in between.
        """
        bounds = Bounds(until=min(until, time.monotonic() + PROBE_SECONDS), quiet_seconds=PROBE_QUIET_SECONDS)
        listening, first = Listening(), ""
        tally.connections += 1
        with suppress(GenesysError):  # the next run asks again
            for event in self._stream.events(before, bounds, listening):
                first = first or event.last_id
                if event.last_id == last:
                    return
                if listening.events >= PROBE_EVENTS:
                    break
            if listening.quiet_since is not None:
                since = f"it begins with the event {_shown(first)}" if first else "it keeps none"
                tally.gap = (
                    f"The event stream no longer has the event {_shown(last)}, the last one that was read ({since}): "
                    "what came right after it may be missing."
                )


def _ids_of(position: str) -> tuple[str, str]:
    """The last event's id, and before it that of the one before; empty where there is none."""
    with suppress(ValueError, TypeError):
        before, last = json.loads(position or "null")
        return str(before), str(last)
    return "", ""


def _shown(event_id: str) -> str:
    return repr(event_id if len(event_id) <= 40 else event_id[:39] + "…")


def _read(event: ServerEvent, tally: EventTally) -> ConversationEvent | None:
    if event.data is None:
        tally.too_large += 1
        return None
    if not event.data.strip():  # sent to keep the connection alive
        tally.other_types += 1
        return None
    try:
        body = json.loads(event.data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        if event.kind in ("message", CONVERSATION):
            tally.malformed += 1
        else:
            tally.other_types += 1
        return None
    if body.get("type") != CONVERSATION:
        tally.other_types += 1
        return None
    data = body.get("data")
    file = data.get("file") if isinstance(data, dict) else None
    conversation_id, file_id = _id(body.get("id")), _id(file.get("id")) if isinstance(file, dict) else None
    if conversation_id is None or (file is not None and file_id is None):
        tally.malformed += 1
        return None
    facts = file if isinstance(file, dict) else {}
    return ConversationEvent(
        event_id=_event_id(event),
        event_type=CONVERSATION,
        conversation_id=conversation_id,
        file_id=file_id,
        file_name=_cut(facts.get("name")),
        declared_type=_cut(facts.get("contentType")),
        size_bytes=size(facts.get("size")),
    )


def _event_id(event: ServerEvent) -> str:
    if event.has_id and event.last_id:
        return event.last_id
    digest = hashlib.blake2b((event.data or "").encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"{event.last_id}#{digest}"


def _id(value: object) -> str | None:
    found = text(value)
    return found if found is not None and len(found) <= MAX_ID_CHARACTERS else None


def _cut(value: object) -> str | None:
    found = text(value)
    return found[:MAX_TEXT_CHARACTERS] if found is not None else None
