"""The guard around the app: how large, how slow and how many requests may be, and the headers all replies have.

Bytes are counted as they come; what Content-Length says only shortens the way to a refusal.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_pipeline.service.problems import Problem

STREAMS = "/api/stream/"
"""Below it, recordings are played."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """All bounds of the service, with their units."""

    file_bytes: int = 12_000_000
    """A minute of 48 kHz stereo WAV is 11.5 MB."""
    form_bytes: int = 64 * 1024
    """Everything in a body but the file."""
    requests: int = 256
    """At the same time; /health is always answered."""
    connections: int = 1_024
    head_seconds: float = 10.0
    """From the connection, or the first byte of a next request, to the end of its head."""
    head_bytes: int = 16 * 1024
    idle_seconds: float = 10.0
    """Between two pieces of a body, and for a reader to take what is sent."""
    listener_seconds: float = 300.0
    """For somebody who listens to take what is sent: a player that is paused does not."""
    body_seconds: float = 120.0
    keep_alive_seconds: int = 5
    """Between a reply and the next request of a connection."""
    linger_seconds: float = 2.0
    """A refused sender is read on for so long, or it would see a reset in the place of the reason."""

    @property
    def body_bytes(self) -> int:
        return self.file_bytes + self.form_bytes


HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every reply that does not set them itself."""


class Guard:
    """ASGI middleware; the outermost but for the metrics."""

    def __init__(self, app: ASGIApp, limits: Limits, always: frozenset[str]) -> None:
        self._app = app
        self._limits = limits
        self._always = always
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] = _origin_form(scope["path"])
        counts = path not in self._always and not path.startswith(STREAMS)  # those are counted by listener

        def settled() -> None:
            nonlocal counts
            self._under_way -= counts
            counts = False

        exchange = _Exchange(self._limits, scope, receive, send, settled)
        if counts and self._under_way >= self._limits.requests:
            counts = False
            await exchange.refuse(Problem(503, "Too many requests are under way; try again.", reason="busy"))
            return
        self._under_way += counts
        try:
            if (stated := exchange.stated_bytes) is not None and stated > self._limits.body_bytes:
                await exchange.refuse(_too_large(self._limits))
                return
            await self._answered(exchange, scope)
        finally:
            settled()

    async def _answered(self, exchange: _Exchange, scope: Scope) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            # without the exception's own words: they may repeat what a person sent
            frames = " < ".join(f"{f.filename}:{f.lineno}" for f in reversed(traceback.extract_tb(error.__traceback__)))
            _log.error("%s at %s", type(error).__name__, frames)
            if exchange.started:
                raise _Broken from None
            await exchange.refuse(Problem(500, "The service failed; its log says where."))


class _Broken(Exception):
    """A reply was begun and cannot be ended: the connection has to be cut."""


class _Exchange:
    """One request and its reply."""

    def __init__(self, limits: Limits, scope: Scope, receive: Receive, send: Send, settled: Callable[[], None]) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        self.stated_bytes = int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else None
        self.started = False
        self._limits = limits
        self._receive, self._send = receive, send
        self._unread = bool(self.stated_bytes) or "transfer-encoding" in headers
        self._received = 0
        self._deadline = asyncio.get_running_loop().time() + limits.body_seconds
        self._scope = scope
        self._settled = settled

    async def receive(self) -> Message:
        """The next piece of the body, within the limits; raises Problem."""
        patience = min(self._limits.idle_seconds, self._deadline - asyncio.get_running_loop().time())
        if not self._unread:  # waits for the client to go away, which has no limit
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(patience, 0.001))
        except TimeoutError:
            raise Problem(408, "The body came too slowly; send it again.", reason="too_slow") from None
        self._received += len(message.get("body", b""))
        self._unread = message["type"] == "http.request" and message.get("more_body", False)
        if self._received > self._limits.body_bytes:
            raise _too_large(self._limits)
        return message

    async def send(self, message: Message) -> None:
        """A piece of the reply."""
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self._unread:
                headers["Connection"] = "close"
        elif self._unread and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            self._settled()  # who is refused may not keep others out by sending on
            await self._linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def refuse(self, problem: Problem) -> None:
        """Answer with a problem, past the app."""
        await problem.response()(self._scope, self.receive, self.send)

    async def _linger(self) -> None:
        end = asyncio.get_running_loop().time() + self._limits.linger_seconds
        while self._unread and (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                message = await asyncio.wait_for(self._receive(), left)
            except TimeoutError:
                return
            self._unread = message["type"] == "http.request" and message.get("more_body", False)


def _origin_form(path: str) -> str:
    """The path of a request that names the whole address, as to a proxy (RFC 9112, 3.2.2)."""
    if not path.startswith(("http://", "https://")):
        return path
    return "/" + path.partition("://")[2].partition("/")[2]


def _too_large(limits: Limits) -> Problem:
    return Problem(413, f"The body is larger than {limits.body_bytes} bytes.", reason="too_large")
