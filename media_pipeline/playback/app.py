"""The ASGI endpoint of `/api/stream/{recording_id}`: one request to one reply, a piece at a time.

A piece is fetched in a thread when the one before it has left; nobody's slowness holds a thread, and a listener who
leaves ends what is fetched for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from media_pipeline.playback.limits import Limits
from media_pipeline.playback.links import LinkKeys
from media_pipeline.playback.player import Player, Playing
from media_pipeline.playback.refusals import Refusal, refused
from media_pipeline.playback.requests import Caller, understood
from media_pipeline.playback.upstream import ChangedError
from media_pipeline.storage.base import StorageError
from media_pipeline.storage.ranges import UnreadableError
from media_pipeline.transfer.exchange import Broken

Receive = Callable[[], Any]
Send = Callable[[Any], Any]

ARCHIVE_THREADS = 4
SOURCE_THREADS = 64
"""Recordings played from the source at once; a thread each while bytes are waited for."""
OPEN_SECONDS = 20.0
"""How long the source may take to the first byte."""
STALL_SECONDS = 300.0
"""How long a listener may take no byte; a paused player asks again."""
_log = logging.getLogger(__name__)
_BROKEN_OFF = (Refusal, ChangedError, UnreadableError, StorageError, Broken, TimeoutError)
_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
]


@dataclass(frozen=True)
class StreamApp:
    """The endpoint; `callers` tells whose a token is, None for one that is not known. `threads`: see `opened`."""

    player: Player
    limits: Limits
    keys: LinkKeys | None
    callers: Callable[[str], Caller | None]
    archive_threads: ThreadPoolExecutor
    source_threads: ThreadPoolExecutor
    source_slots: asyncio.Semaphore

    @classmethod
    def opened(
        cls,
        player: Player,
        limits: Limits,
        keys: LinkKeys | None,
        callers: Callable[[str], Caller | None],
        *,
        archive_threads: int = ARCHIVE_THREADS,
    ) -> StreamApp:
        """With threads of its own; close it in the end."""
        return cls(
            player,
            limits,
            keys,
            callers,
            ThreadPoolExecutor(archive_threads, "playback-archive"),
            ThreadPoolExecutor(SOURCE_THREADS, "playback-source"),
            asyncio.Semaphore(SOURCE_THREADS),
        )

    def close(self) -> None:
        """End the threads and let go of all."""
        for threads in (self.archive_threads, self.source_threads):
            threads.shutdown(wait=True, cancel_futures=True)
        self.player.close()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one GET or HEAD."""
        try:
            recording_id = scope["path_params"]["recording_id"]
            request = understood(scope, recording_id, self.callers, self.keys)
            with self.limits.stream(request.listener):
                loop = asyncio.get_running_loop()
                playing = await loop.run_in_executor(self.archive_threads, self.player.at_once, request)
                if playing is not None:
                    await self._stream(playing, self.archive_threads, receive, send)
                    return
                if self.source_slots.locked():
                    raise refused("busy")
                await self.source_slots.acquire()
                opening = loop.run_in_executor(self.source_threads, self.player.patiently, request)
                try:
                    playing = await _opened(opening, receive)
                    if playing is not None:
                        await self._stream(playing, self.source_threads, receive, send)
                finally:  # whoever left: a slot is a thread, and that is not free before it has opened
                    opening.add_done_callback(lambda _: self.source_slots.release())
        except Refusal as refusal:
            await _refuse(refusal, scope["method"], send)

    async def _stream(self, playing: Playing, threads: ThreadPoolExecutor, receive: Receive, send: Send) -> None:
        finished = False
        try:
            await send(_start(playing))
            piece = playing.first
            if piece is None:
                await send({"type": "http.response.body", "body": b""})
                finished = True
                return
            finished = await self._send_pieces(playing, piece, threads, receive, send)
        except _BROKEN_OFF as error:  # the connection ends before the announced length: nobody takes it for the whole
            _log.warning("A reply broke off: %s", type(error).__name__)
        finally:
            if finished:
                playing.close()
            else:
                playing.abort()
                with suppress(RuntimeError):  # the threads may have been shut down
                    threads.submit(playing.close)

    async def _send_pieces(
        self, playing: Playing, piece: bytes, threads: ThreadPoolExecutor, receive: Receive, send: Send
    ) -> bool:
        loop = asyncio.get_running_loop()
        left = _length(playing)
        leaving: asyncio.Future[None] | None = None
        try:
            while True:
                left -= len(piece)
                async with asyncio.timeout(STALL_SECONDS):
                    await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
                if left <= 0:
                    return True
                leaving = leaving or asyncio.ensure_future(_left(receive))
                coming = loop.run_in_executor(threads, playing.next)
                awaited: set[asyncio.Future[Any]] = {coming, leaving}
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    coming.add_done_callback(_seen)
                    return False
                following = coming.result()
                if following is None:
                    return False
                piece = following
        finally:
            if leaving is not None:
                leaving.cancel()


async def _opened(opening: asyncio.Future[Playing], receive: Receive) -> Playing | None:
    """The recording from where it takes patience; None when the listener has left."""
    leaving = asyncio.ensure_future(_left(receive))
    awaited: set[asyncio.Future[Any]] = {opening, leaving}
    try:
        await asyncio.wait(awaited, timeout=OPEN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not opening.done():
            opening.add_done_callback(_drop)
    if opening.done():
        return opening.result()
    if leaving.done() and not leaving.cancelled():
        return None
    raise refused("source_silent")


async def _left(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _length(playing: Playing) -> int:
    return next(int(value) for name, value in playing.reply.headers if name == "Content-Length")


def _start(playing: Playing) -> dict[str, Any]:
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in playing.reply.headers]
    return {"type": "http.response.start", "status": playing.reply.status, "headers": fields + _ALWAYS}


async def _refuse(refusal: Refusal, method: str, send: Send) -> None:
    body = refusal.body
    own = {"content-type": "application/problem+json", "content-length": str(len(body)), "cache-control": "no-store"}
    fields = {name.lower(): value for name, value in refusal.headers} | own
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers + _ALWAYS})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def _drop(opening: asyncio.Future[Playing]) -> None:
    """Nobody waits for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abort()
        opening.result().close()


def _seen(coming: asyncio.Future[bytes | None]) -> None:
    """Whatever became of a piece that nobody wants."""
    if not coming.cancelled():
        coming.exception()
