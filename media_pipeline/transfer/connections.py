"""Connections that stay open between recordings, and replies read into the caller's buffer. Knows no rule of media.

http.client instead of urllib3 or httpx: a request for 200 KB costs half of urllib3's CPU and a tenth of httpx's, and it
lets a body be read to where it is hashed, without a copy. Its errors may carry URLs and stay here.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple, cast
from urllib.parse import quote, urlsplit

from media_pipeline.genesys.endpoints import is_loopback

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
BUFFER_BYTES = 4 * 65_280
"""Whole blocks of the objects that come of it, so that they are compressed without a copy."""
RECEIVE_BYTES = 256 * 1024
"""The kernel's receive buffer (it takes twice as much): what lies there when a run is killed was sent in vain. Left to
itself it grows to 6 MB; this still lets 8 connections over 50 ms fetch 40 MB a second."""
REDIRECTS = (301, 302, 303, 307, 308)
_SAFE_IN_TARGET = "%/:=&?~#+!$,;'@()*[]"


class Broken(Exception):
    """The connection failed before the body's end; says nothing of the URL."""


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int | None


class Connection:
    """A connection to one host with a buffer of its own; serves one request at a time."""

    def __init__(self, origin: _Origin, tls: ssl.SSLContext) -> None:
        self.origin = origin
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        self._http = _connection(origin, tls)

    def ask(self, target: str, headers: dict[str, str]) -> Exchange:
        """Send a GET and read the reply's head; raises Broken."""
        try:
            if self._http.sock is None:
                self._http.connect()
                cast(socket.socket, self._http.sock).settimeout(READ_SECONDS)
            self._http.request("GET", target, headers=headers)
            return Exchange(self._http.getresponse())
        except (http.client.HTTPException, OSError, ValueError) as error:
            self.close()
            raise Broken(type(error).__name__) from None

    def is_fresh(self) -> bool:
        """Whether the other side has neither closed the idle connection nor sent anything out of turn."""
        poll = select.poll()
        poll.register(self._http.sock, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Close it; nothing may be asked any more."""
        self._http.close()


class Exchange:
    """A reply whose body has not been read yet."""

    def __init__(self, reply: http.client.HTTPResponse) -> None:
        self._reply = reply
        self._left = None if reply.chunked else reply.length
        self.status = reply.status
        self.headers = cast(Mapping[str, str], reply.headers)

    @property
    def location(self) -> str | None:
        """Where a redirect leads, None for other replies."""
        return self.headers.get("Location") if self.status in REDIRECTS else None

    @property
    def is_drained(self) -> bool:
        """Whether all of the body was read, so that the connection can be used again."""
        if self._reply.will_close:
            return False
        return self._reply.isclosed() or self._left == 0

    def read_into(self, room: memoryview) -> int:
        """Wait for some of the body, as much as there is; 0 at its end and where it was cut off. Raises Broken."""
        try:
            if self._reply.chunked:
                piece = self._reply.read1(len(room))
                room[: len(piece)] = piece
                return len(piece)
            if self._left == 0 or self._reply.isclosed():
                return 0
            # http.client's own readinto waits until the buffer is full, and a slow download would not be noticed.
            count = self._reply.fp.readinto1(room if self._left is None else room[: self._left])
        except http.client.IncompleteRead:
            return 0  # the caller compares what came with what was announced
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise Broken(type(error).__name__) from None
        if self._left is not None:
            self._left -= count
        return count

    def close(self) -> None:
        """Let go of the connection's reading side."""
        self._reply.close()


class Connections:
    """A pool that holds as many connections as there were requests at once; safe to use from threads."""

    def __init__(self) -> None:
        self._tls = ssl.create_default_context()
        self._idle: defaultdict[_Origin, list[Connection]] = defaultdict(list)
        self._lock = threading.Lock()

    def take(self, link: str) -> tuple[Connection, str]:
        """A connection for the link's host, and what to ask it for; raises Broken for what is no URL."""
        try:
            parts = urlsplit(link)
            origin = _Origin(parts.scheme, parts.hostname or "", parts.port)
        except ValueError as error:
            raise Broken(type(error).__name__) from None
        path = parts.path or "/"
        target = quote(f"{path}?{parts.query}" if parts.query else path, _SAFE_IN_TARGET)
        while (connection := self._pop(origin)) is not None:
            if connection.is_fresh():
                return connection, target
            connection.close()
        return Connection(origin, self._tls), target

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose last reply is drained for the next request."""
        with self._lock:
            self._idle[connection.origin].append(connection)

    def close(self) -> None:
        """Close the idle ones."""
        with self._lock:
            for connection in (c for idle in self._idle.values() for c in idle):
                connection.close()
            self._idle.clear()

    def _pop(self, origin: _Origin) -> Connection | None:
        with self._lock:
            idle = self._idle[origin]
            return idle.pop() if idle else None


def _connection(origin: _Origin, tls: ssl.SSLContext) -> http.client.HTTPConnection:
    connection = _unconnected(origin, tls)
    connection._create_connection = _connected  # type: ignore[attr-defined]  # the only way before the handshake
    return connection


def _connected(address: tuple[str, int], timeout: float, *_: object) -> socket.socket:
    """Like socket.create_connection, with a receive buffer of its own size."""
    problem: OSError = OSError("the host has no address")
    for family, kind, protocol, _name, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        connecting = socket.socket(family, kind, protocol)
        try:
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            connecting.settimeout(timeout)
            connecting.connect(place)
            return connecting
        except OSError as error:
            connecting.close()
            problem = error
    raise problem


def _unconnected(origin: _Origin, tls: ssl.SSLContext) -> http.client.HTTPConnection:
    if origin.scheme == "http":
        return http.client.HTTPConnection(origin.host, origin.port, timeout=CONNECT_SECONDS)
    proxy = None if is_loopback(origin.host) else _proxy(origin.host)
    if proxy is None:
        return http.client.HTTPSConnection(origin.host, origin.port, timeout=CONNECT_SECONDS, context=tls)
    host, port = proxy
    connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=tls)
    connection.set_tunnel(origin.host, origin.port or http.client.HTTPS_PORT)
    return connection


def _proxy(host: str) -> tuple[str, int] | None:
    """The environment's proxy for https links, itself spoken to in plain HTTP whatever its URL says; None for SOCKS."""
    url = urllib.request.getproxies().get("https", "")
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or urllib.request.proxy_bypass(host):
        return None
    return parts.hostname, parts.port or http.client.HTTP_PORT
