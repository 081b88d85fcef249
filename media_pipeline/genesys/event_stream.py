"""A stream of server-sent events that is connected again whenever it breaks, from the last event on.

Follows the HTML standard's event source: 204 ends it, redirects are followed, another status or content type fails it,
`retry` sets the wait before the next connection, Last-Event-ID says where it goes on.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from media_pipeline.genesys.errors import MalformedReply, ServerError
from media_pipeline.genesys.event_decoder import EventDecoder, ServerEvent
from media_pipeline.genesys.pacing import JITTER_SECONDS, TryAgain, as_said
from media_pipeline.genesys.redaction import redact
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.watchdog import Watchdog

EVENT_STREAM = "text/event-stream"
SILENCE_SECONDS = 30.0
"""Without a byte for so long, a connection is taken for dead; heartbeats are usually 15 s apart."""
EMPTY_CONNECTIONS = 3
"""Ended one after the other without an event and without an error: a server that closes when it has no more."""
LONGEST_WAIT_SECONDS = 16.0
"""Between two connections, unless the server asks for more."""
_SENDABLE = re.compile(rb"[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")
"""What may stand in a header; ids of other bytes cannot be resumed from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """When listening ends: at a moment of the monotonic clock, or after so many seconds without an event."""

    until: float
    quiet_seconds: float
    silence_seconds: float = SILENCE_SECONDS


@dataclass(slots=True)
class Listening:
    """How a stream was listened to; `ended`: quiet, stopped (by 204) or time_up."""

    connections: int = 0
    broken: int = 0
    events: int = 0
    ended: str = ""
    quiet_since: float | None = None
    """Since when a stream that works has brought no event; None while it does not work."""


class EventStream:
    """Events of one path; `first_wait_seconds` is the reconnection time until the stream names another."""

    def __init__(
        self, api: Transport, operation: str, path: str, *, permission: str, first_wait_seconds: float
    ) -> None:
        self._api = api
        self._operation, self._path, self._permission = operation, path, permission
        self._first_wait = first_wait_seconds

    def events(self, last_id: str, bounds: Bounds, listening: Listening) -> Iterator[ServerEvent]:
        """Events after the one with this id (empty: from where the server begins), until the bounds end it.

        Raises RateLimited or ServerError where no connection worked, and at once what is permanent or no event stream.
        """
        position, wait = last_id, self._first_wait
        failures, empty, worked = 0, 0, False
        while True:
            error: TryAgain | None = None
            decoder, heard = EventDecoder(position), listening.events
            try:
                yield from self._connected(position, decoder, bounds, listening)
            except TryAgain as broken:
                error = broken
                listening.broken += 1
            worked = worked or listening.quiet_since is not None
            if error is not None:
                listening.quiet_since = None
            if not decoder.last_id or is_sendable(decoder.last_id):
                position = decoder.last_id
            if decoder.retry_seconds is not None:
                wait = decoder.retry_seconds
            failures = failures + 1 if listening.events == heard else 1
            empty = empty + 1 if error is None and listening.events == heard else 0
            if empty == EMPTY_CONNECTIONS and not listening.ended:
                listening.ended = "quiet"
            pause = _pause(wait, failures, error)
            if not listening.ended and time.monotonic() + pause >= bounds.until:
                if error is not None and not worked:
                    raise error.error from None
                listening.ended = "time_up"
            if listening.ended:
                return
            time.sleep(pause)
            if listening.quiet_since is not None:
                listening.quiet_since += pause  # what the stream had no chance to bring is no quiet

    def _connected(
        self, position: str, decoder: EventDecoder, bounds: Bounds, listening: Listening
    ) -> Iterator[ServerEvent]:
        """Events of one connection; raises TryAgain when it broke."""
        headers = {b"Accept": EVENT_STREAM.encode(), b"Cache-Control": b"no-store"}
        if position:
            headers[b"Last-Event-ID"] = position.encode()
        listening.connections += 1
        with Watchdog(bounds.until) as watchdog:
            try:
                with self._api.streamed(
                    self._operation, self._path, headers, watchdog, permission=self._permission
                ) as response:
                    if response.status_code == httpx.codes.NO_CONTENT:
                        listening.ended = "stopped"
                        return
                    _check_kind(response)
                    yield from _read(response, decoder, watchdog, bounds, listening)
            except (httpx.TransportError, TryAgain) as error:
                if not watchdog.bit or listening.quiet_since is None:
                    raise error if isinstance(error, TryAgain) else _broken(type(error).__name__) from None
        now = time.monotonic()
        if now >= bounds.until:
            listening.ended = "time_up"
        elif listening.quiet_since is not None and now - listening.quiet_since >= bounds.quiet_seconds:
            listening.ended = "quiet"
        elif watchdog.bit:
            raise _broken(f"silent for {bounds.silence_seconds:.0f} s")


def _read(
    response: httpx.Response, decoder: EventDecoder, watchdog: Watchdog, bounds: Bounds, listening: Listening
) -> Iterator[ServerEvent]:
    """Events until the reply ends or the bounds do; heartbeats end a silence, but are no events."""
    pieces = response.iter_raw()
    heard_at = time.monotonic()
    listening.quiet_since = since = listening.quiet_since or heard_at
    while True:
        due = min(bounds.until, since + bounds.quiet_seconds)
        if time.monotonic() >= due:
            return
        watchdog.wait_until(min(due, heard_at + bounds.silence_seconds))
        piece = next(pieces, None)
        heard_at = time.monotonic()
        if piece is None:
            return
        watchdog.wait_until(math.inf)  # what is done with events takes no time of the stream
        for event in decoder.feed(piece):
            listening.events += 1
            yield event
            listening.quiet_since = since = heard_at = time.monotonic()
            if heard_at >= bounds.until:
                return
        if decoder.is_within_event:  # slow, not quiet
            listening.quiet_since = since = heard_at


def _check_kind(response: httpx.Response) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != EVENT_STREAM:
        raise MalformedReply(
            f"Genesys Cloud answered with {redact(kind) or 'no content type'} instead of {EVENT_STREAM}; is a proxy or "
            "login page in between?"
        )
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise MalformedReply("Genesys Cloud sent a compressed event stream although none was asked for.")


def _broken(how: str) -> TryAgain:
    return TryAgain(ServerError(f"The event stream of Genesys Cloud broke ({how}). Check the network and the proxy."))


def is_sendable(last_id: str) -> bool:
    """Whether an id may stand in a header, so that a stream can be gone on from it."""
    return _SENDABLE.fullmatch(last_id.encode()) is not None


def _pause(wait: float, failures: int, error: TryAgain | None) -> float:
    """Seconds before the next connection: Retry-After, or the reconnection time, doubled while nothing comes."""
    said = error.retry_after_seconds if error is not None else None
    longest = max(LONGEST_WAIT_SECONDS, wait)
    own = min(longest, wait * 2.0 ** min(failures - 1, 30)) + random.uniform(0, min(wait, 1.0) * JITTER_SECONDS)
    return as_said(said, own)
