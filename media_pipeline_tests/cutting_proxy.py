"""A proxy that breaks connections: it carries bytes both ways until it is told to cut the event stream."""

from __future__ import annotations

import random
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

from media_pipeline_tests.listener import Listener

PATH = b"GET /api/v2/conversations/events"
RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
"""SO_LINGER that sends RST."""


class CuttingProxy(Listener):
    """In front of a server on loopback while the context lasts; cuts event streams that have brought something."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._streams: dict[socket.socket, int] = {}
        self._lock = threading.Lock()
        self.cuts = 0

    @property
    def is_listened_to(self) -> bool:
        """Whether an event stream has brought something and is still open."""
        with self._lock:
            return any(self._streams.values())

    def cut(self, count: int, seed: int, longest_pause: float) -> None:
        """So many, at random instants; half of them in the middle of what was sent, as a machine that dies does."""
        chance = random.Random(seed)
        while self.cuts < count:
            time.sleep(chance.uniform(0, longest_pause))
            with self._lock:
                flowing = [each for each, sent in self._streams.items() if sent]
                if not flowing:
                    continue
                victim = flowing[0]
                del self._streams[victim]
                self.cuts += 1
            with suppress(OSError):
                if self.cuts % 2:
                    victim.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    victim.close()
                else:
                    victim.shutdown(socket.SHUT_RDWR)

    def serve(self, connection: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            connection.close()
            return
        threading.Thread(target=self._carry, args=(server, connection, connection), daemon=True).start()
        self._carry(connection, server, connection)

    def _carry(self, source: socket.socket, target: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(1024):  # small, so that events are cut in two
                if source is client and piece.startswith(PATH):
                    with self._lock:
                        self._streams[client] = 0
                target.sendall(piece)
                with self._lock:
                    if source is not client and client in self._streams:
                        self._streams[client] += len(piece)
        with self._lock:
            self._streams.pop(client, None)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
