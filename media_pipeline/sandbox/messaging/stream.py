"""The event stream on the wire: server-sent events that stay open, and all the ways in which they may arrive."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import time
from typing import TYPE_CHECKING

from media_pipeline.sandbox.delivery import DRIPS_PER_SECOND, Delivery, Send, is_gone, reset
from media_pipeline.sandbox.faults import Call
from media_pipeline.sandbox.messaging.events import Event
from media_pipeline.sandbox.wire import Reply, Request, reply

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

CONTENT_TYPE = "text/event-stream"
LOOK_SECONDS = 0.01
SPLIT_SECONDS = 0.001
"""Between the pieces of what is sent split, so that they arrive apart."""
NEWLINES = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """How events are written; the fault `stream_style` changes it."""

    newline: str = "lf"
    bom: bool = False
    comments: bool = False
    """Comments and unknown fields between those of an event."""
    multiline: bool = False
    """Each document over several data fields."""
    split: int = 0
    """Sent in pieces of so many bytes, through characters of several bytes as well."""
    nul_ids: bool = False
    """Before each event one of another type whose id holds a NUL, and so is none."""
    others: bool = False
    """Before each event one of another stream type, without an id."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cut:
    """Where the stream ends, so many events or bytes after its beginning; 0 = not for that reason."""

    after_events: int = 0
    after_bytes: int = 0
    drawn: bool = False
    """Drawn anew for each stream, from 1 to these."""
    with_reset: bool = False
    """Broken instead of ended."""

    def chosen(self) -> Cut:
        """The limits of one stream."""
        if not self.drawn:
            return self
        events, size = (limit and random.randint(1, limit) for limit in (self.after_events, self.after_bytes))
        return Cut(events, size, with_reset=self.with_reset)


def opened(_: State, __: Request) -> Reply:
    """`GET /api/v2/conversations/events`: the head of the stream; `run` sends what follows."""
    return reply(200, CONTENT_TYPE, b"", {"Cache-Control": "no-cache"})


def is_stream(answer: Reply) -> bool:
    """Whether a reply is the head of an event stream."""
    return answer.status == 200 and answer.content_type == CONTENT_TYPE


async def run(state: State, request: Request, answer: Reply, way: Delivery, send: Send) -> int:
    """Send events after Last-Event-ID until client, sandbox or a fault ends the stream; gives the bytes sent."""
    through, call = state.rules.through, Call("events")
    style = through(("stream_style",), call, Style())
    cut = through(("stream_cut",), call, Cut()).chosen()
    if way.reset_after_bytes is not None and not way.headers_first:
        await reset(send)
        return 0
    if way.reset_after_bytes is not None:
        cut = Cut(after_bytes=max(way.reset_after_bytes, 1), with_reset=True)
    headers = {"Content-Type": answer.content_type, **answer.headers}
    named = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": named})
    if way.stall_seconds:
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await asyncio.sleep(way.stall_seconds)
    dripped = max(way.bytes_per_second // DRIPS_PER_SECOND, 1) if way.bytes_per_second else 0
    pause = dripped / way.bytes_per_second if dripped else SPLIT_SECONDS
    writer = _Writer(send, dripped or style.split, pause, cut.after_bytes)
    await _write_all(state, request, style, cut, writer)
    if cut.with_reset and writer.wants_no_more(cut):
        await reset(send)
    else:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    return writer.sent


class _Writer:
    """Counts and splits what is sent, and stops at a number of bytes."""

    def __init__(self, send: Send, split: int, pause: float, limit: int) -> None:
        self._send = send
        self._split = split
        self._pause = pause
        self._limit = limit
        self.sent = 0
        self.events = 0

    def wants_no_more(self, cut: Cut) -> bool:
        """Whether a limit is reached."""
        full = cut.after_bytes and self.sent >= cut.after_bytes
        return bool(full or (cut.after_events and self.events >= cut.after_events))

    async def write(self, data: bytes) -> None:
        if self._limit:
            data = data[: self._limit - self.sent]
        step = self._split or max(len(data), 1)
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            self.sent += len(piece)
            if self._split:
                await asyncio.sleep(self._pause)

    @property
    def is_gone(self) -> bool:
        return is_gone(self._send)


async def _write_all(state: State, request: Request, style: Style, cut: Cut, writer: _Writer) -> None:
    messaging, settings = state.messaging, state.settings
    log = messaging.log
    messaging.advance()
    place = log.after(request.headers.get("last-event-id"))
    newline = NEWLINES[style.newline]
    beginning = f"retry: {settings.event_retry_ms}{newline}{newline}"
    await writer.write((b"\xef\xbb\xbf" if style.bom else b"") + beginning.encode())
    heard = time.monotonic()
    while not (writer.is_gone or state.closing or log is not messaging.log or writer.wants_no_more(cut)):
        messaging.advance()
        events, place = log.read(place)
        for event in events:
            await writer.write(encoded(event, style))
            writer.events += 1
            heard = time.monotonic()
            if writer.is_gone or writer.wants_no_more(cut):
                return
        if not events:
            if time.monotonic() >= heard + settings.heartbeat_seconds > heard:
                await writer.write(f": heartbeat{newline}{newline}".encode())
                heard = time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)


def encoded(event: Event, style: Style) -> bytes:
    """An event as it goes onto the wire."""
    if event.raw is not None:
        return event.raw
    newline = NEWLINES[style.newline]
    text = json.dumps(event.document, ensure_ascii=False, indent=1 if style.multiline else None)
    lines = [f"id: {event.id}"]
    if event.name is not None:
        lines.insert(0, f"event: {event.name}")
    if style.comments:
        lines = [": a comment: with a colon", "colour: none", *lines, ":", "retry: soon"]
    lines += [f"data: {line}" for line in text.split("\n")]
    before = []
    if style.nul_ids:
        before += ["id: not\0an id", 'data: {"type": "presence", "data": {}}', ""]
    if style.others:
        before += ["event: presence", "data: away", ""]
    return (newline.join([*before, *lines]) + newline * 2).encode("utf-8", "surrogatepass")
