"""Ends a reply that is read piece by piece at a given moment, whatever the server does: silent, dripping, endless.

Timeouts of a socket are per read, and their number is the server's choice; so a thread shuts the connection down.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


class Watchdog:
    """Watches one connection of httpx while the context lasts; pass `trace` in the request's extensions."""

    def __init__(self, until: float) -> None:
        """`until`: when the connection is ended, on the monotonic clock."""
        self._until = until
        self._wake = threading.Condition()
        self._over = False
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._watch, name="stream-watchdog", daemon=True)
        self.bit = False
        """Whether it has ended the connection."""

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._wake:
            self._over = True
            self._wake.notify()
        self._thread.join()

    def wait_until(self, until: float) -> None:
        """Another moment to end it at."""
        with self._wake:
            if until < self._until:
                self._wake.notify()
            self._until = until

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """What httpcore tells of a connection: its socket, anew once it is encrypted."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            found = info["return_value"].get_extra_info("socket")
            with self._wake:
                self._socket = found
                if self.bit:
                    self._shut_down()

    def _watch(self) -> None:
        with self._wake:
            while not self._over:
                left = self._until - time.monotonic()
                if left <= 0:
                    self.bit = True
                    self._shut_down()
                    return
                self._wake.wait(min(left, threading.TIMEOUT_MAX))

    def _shut_down(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                # close() would not wake who reads from it; SSLSocket's own would take the ground from under his feet
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
