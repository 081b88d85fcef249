"""Events of the archive and the messages they travel in: ids and counts, never a link, a file name or what was said.

An event's id follows from what it says, so that whoever is told twice can tell.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from media_pipeline.audit.log import correlation_id

METADATA_PARSED = "metadata_parsed"
"""The metadata of an interaction was parsed and validated."""
METADATA_ANNOTATED = "metadata_annotated"
"""The org holds an interaction's annotations: they were written back, or it had them."""
DAY_COMPLETED = "day_completed"
"""A day was proved to be complete."""
RECORDING_QUARANTINED = "recording_quarantined"
"""A recording's bytes are not those the provider's checksum is of; nothing was kept of them."""
EVENT_TYPES = (METADATA_PARSED, METADATA_ANNOTATED, DAY_COMPLETED, RECORDING_QUARANTINED)

LISTED_AS = {METADATA_PARSED: "interactions", METADATA_ANNOTATED: "interactions"}
"""Types of which a day has very many: they travel together, below this name."""
EVENTS_PER_MESSAGE = 100
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `data` is JSON, `correlation_id` that of the audit log's lines about it."""

    id: str
    type: str
    timestamp: str
    day: dt.date
    run_id: str
    correlation_id: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """What one request carries; `id` is the header webhook-id."""

    id: str
    type: str
    date: str
    body: bytes


def digest(value: object) -> str:
    """32 hex digits that two values share only when they are the same JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def event_of(
    event_type: str, day: dt.date, run_id: str, subject: str, about: str, identity: object, data: Mapping[str, object]
) -> Event:
    """An event that happened now; the id follows from type, day, subject and `identity`.

    `about`: the recording, interaction or day whose lines in the audit log it belongs to.
    """
    return Event(
        id=f"evt_{digest([event_type, str(day), subject, identity])}",
        type=event_type,
        timestamp=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        day=day,
        run_id=run_id,
        correlation_id=correlation_id(run_id, about),
        data=data,
    )


def messages_of(events: Sequence[Event]) -> Iterator[Message]:
    """Messages for events of one type, day and run: one each, or a hundred in one."""
    size = EVENTS_PER_MESSAGE if events and events[0].type in LISTED_AS else 1
    for start in range(0, len(events), size):
        yield _message(events[start : start + size])


def _message(events: Sequence[Event]) -> Message:
    first = events[0]
    data: dict[str, object] = {"date": str(first.day), "run_id": first.run_id}
    if first.type in LISTED_AS:
        message_id = f"msg_{digest([event.id for event in events])}"
        data["correlation_id"] = correlation_id(first.run_id, str(first.day))
        data[LISTED_AS[first.type]] = [
            {"id": event.id, "correlation_id": event.correlation_id, **event.data} for event in events
        ]
    else:
        message_id = first.id
        data |= {"correlation_id": first.correlation_id, **first.data}
    body = {"type": first.type, "timestamp": first.timestamp, "data": data}
    return Message(message_id, first.type, str(first.day), json.dumps(body).encode())
