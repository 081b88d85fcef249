"""uvicorn's HTTP/1.1 protocol with the time limits it lacks: for heads that come slowly and readers that do not read.

h11 and not httptools: it bounds the size of a head.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from media_pipeline.service.limits import STREAMS, Limits

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def guarded_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol class for uvicorn's `http` with these limits."""

    class GuardedProtocol(H11Protocol):
        _head_timer: asyncio.TimerHandle | None = None
        _reader_timer: asyncio.TimerHandle | None = None
        _closing_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.abort()
            else:
                self._await_head()
                self._look_whether_closing()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_head_timer()
            elif self._head_timer is None and not self.transport.is_closing():
                self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_head_timer()
            self._stop_reader_timer()
            if self._closing_timer is not None:
                self._closing_timer.cancel()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reader_timer = self.loop.call_later(self._patience(), self.transport.abort)

        def resume_writing(self) -> None:
            self._stop_reader_timer()
            super().resume_writing()

        def _patience(self) -> float:
            """Seconds for a reader to take what is sent."""
            listens = self.scope is not None and str(self.scope["path"]).startswith(STREAMS)
            return limits.listener_seconds if listens else limits.idle_seconds

        def _look_whether_closing(self) -> None:
            """A connection that is being closed waits for its last bytes to be read, for ever if nobody reads them."""
            last_look = self.transport.abort if self.transport.is_closing() else self._look_whether_closing
            self._closing_timer = self.loop.call_later(self._patience(), last_look)

        def _await_head(self) -> None:
            self._head_timer = self.loop.call_later(limits.head_seconds, self._head_is_late)

        def _head_is_late(self) -> None:
            self.transport.write(_TOO_SLOW)
            self.transport.close()

        def _stop_head_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _stop_reader_timer(self) -> None:
            if self._reader_timer is not None:
                self._reader_timer.cancel()
                self._reader_timer = None

    return GuardedProtocol
