"""A server on loopback that accepts connections while a context lasts, and serves each in a thread of its own."""

from __future__ import annotations

import abc
import socket
import threading
from contextlib import suppress
from typing import Self


class Listener(abc.ABC):
    """What its subclasses serve is theirs; `url` is where."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @abc.abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Serve one connection, and close it."""

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()
