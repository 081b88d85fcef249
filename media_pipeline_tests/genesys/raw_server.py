"""A server that says exactly the bytes it is told to, when it is told to, over raw sockets, and keeps what it is asked.

Tokens are numbered (`token-1`, `token-2`, ...). What is scripted answers the requests for anything else, in order; the
last one answers all that follow.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from media_pipeline_tests.listener import Listener

Step = bytes | float | Callable[[socket.socket], None]
"""Bytes to send, seconds to wait, or what is done with the socket."""

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
"""Without a length: the stream ends with the connection."""


def stream(*steps: Step) -> list[Step]:
    """A reply of the right kind."""
    return [OK, *steps]


def status(code: int, *headers: str, body: bytes = b"") -> list[Step]:
    """A whole reply."""
    head = [f"HTTP/1.1 {code} Scripted", f"Content-Length: {len(body)}", *headers]
    return ["\r\n".join(head).encode() + b"\r\n\r\n" + body]


def stay(seconds: float = 60.0) -> Callable[[socket.socket], None]:
    """Say nothing more and wait until the other side leaves."""

    def wait(connection: socket.socket) -> None:
        connection.settimeout(seconds)
        with suppress(OSError):
            while connection.recv(4096):
                pass

    return wait


def reset(connection: socket.socket) -> None:
    """Break the connection as a crashed machine would."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


@dataclass
class Asked:
    """A request as it came."""

    line: str
    headers: dict[str, bytes]
    at: float


@dataclass
class RawServer(Listener):
    """Serves while the context lasts."""

    script: Sequence[Sequence[Step]]
    asked: list[Asked] = field(default_factory=list)
    tokens: int = 0

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if head := _head(connection):
                line, *fields = head.split(b"\r\n")
                headers = {
                    name.decode().lower(): value.strip() for name, _, value in (f.partition(b":") for f in fields)
                }
                if b"/oauth/token" in line:
                    self.tokens += 1
                    body = json.dumps({"access_token": f"token-{self.tokens}", "expires_in": 3600}).encode()
                    (reply,) = status(200, "Content-Type: application/json", "Connection: close", body=body)
                    assert isinstance(reply, bytes)
                    connection.sendall(reply)
                    return
                self.asked.append(Asked(line.decode(), headers, time.monotonic()))
                for step in self.script[min(len(self.asked), len(self.script)) - 1]:
                    if isinstance(step, bytes):
                        connection.sendall(step)
                    elif isinstance(step, int | float):
                        time.sleep(step)
                    else:
                        step(connection)
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
                return


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            return b""
        head += piece
    return head.partition(b"\r\n\r\n")[0]
