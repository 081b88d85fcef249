"""The message conversations of a day as the seed has them: when they begin, what is said, which files are sent."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from media_pipeline.sandbox.bodies import Body, Whole
from media_pipeline.sandbox.messaging.model import GuestFile, Message, MessageConversation
from media_pipeline.sandbox.messaging.samples import SAMPLES, Repeated, png
from media_pipeline.sandbox.org import DAY_MS, QUEUES, Org
from media_pipeline.sandbox.platform.people import AGENTS

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER_BITS = 20
"""A conversation's number is its day's ordinal and, in so many bits, its place in the day."""
OVERSIZE_BYTES = 11_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """One sort of guest file."""

    name: str
    suffix: str
    declared_type: str
    make: Callable[[int], Body]


def _sample(name: str) -> _Kind:
    make, content_type = SAMPLES[name]
    return _Kind(name, name, content_type, lambda number: Whole(make(number)))


_ORDINARY = (_sample("png"), _sample("jpeg"), _sample("pdf"))
_SPECIAL = {
    5: _Kind("oversize", "png", "image/png", lambda number: Repeated(OVERSIZE_BYTES, png(number))),
    11: _Kind("wrong_type", "png", "image/png", lambda number: Whole(b"MZ\x90\0" + number.to_bytes(8) * 16)),
    17: _Kind("unsupported", "txt", "text/plain", lambda number: Whole(b"My question is number %d.\n" % number)),
    23: _Kind("empty", "pdf", "application/pdf", lambda _: Whole(b"")),
}
"""At these places of every 24 conversations; a sixth of the others send no file."""


def conversation(org: Org, number: int, start: dt.datetime) -> MessageConversation:
    """A conversation with this number, without messages."""
    user = org.named_id("agent", number % AGENTS)
    return MessageConversation(
        id=org.named_id("message conversation", number),
        number=number,
        start=start,
        guest_participant_id=org.named_id("guest participant", number),
        guest_communication_id=org.named_id("guest communication", number),
        agent_participant_id=org.named_id("message participant", number),
        agent_communication_id=org.named_id("message communication", number),
        agent_user_id=user,
        queue_id=org.named_id("queue", number % len(QUEUES)),
    )


def of_day(org: Org, day: dt.date, count: int) -> list[MessageConversation]:
    """The conversations of one UTC day, by start."""
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    starts = sorted(_draw(org, day, index) % (DAY_MS - 600_000) for index in range(count))
    base = day.toordinal() << NUMBER_BITS
    moments = (midnight + dt.timedelta(milliseconds=each) for each in starts)
    return [_spoken(org, conversation(org, base + index, start), index) for index, start in enumerate(moments)]


def _spoken(org: Org, made: MessageConversation, index: int) -> MessageConversation:
    second = dt.timedelta(seconds=1)

    def message(place: int, at: dt.datetime, text: str | None, file: GuestFile | None = None) -> Message:
        id_ = org.named_id("message", made.number * 8 + place)
        files = () if file is None else (file,)
        return Message(id_, at, "inbound" if place != 1 else "outbound", text, files)

    made.messages = [
        message(0, made.start, "Hello, I have a question about my order."),
        message(1, made.start + 20 * second, "Hello, please send us a picture or the document."),
    ]
    kind = _SPECIAL.get(index % 24, _ORDINARY[index % len(_ORDINARY)])
    if index % 24 in _SPECIAL or index % 6 != 4:
        at = made.start + 60 * second
        name = f"{kind.name}_{made.start:%H%M%S}.{kind.suffix}"
        body = kind.make(made.number)
        id_ = org.named_id("guest file", made.number)
        file = GuestFile(id_, name, kind.declared_type, body.size, body, kind.name, at)
        made.messages.append(message(2, at, None, file))
    return made


def _draw(org: Org, day: dt.date, index: int) -> int:
    return int(org.named_id("message start", (day.toordinal() << NUMBER_BITS) + index).replace("-", ""), 16)
