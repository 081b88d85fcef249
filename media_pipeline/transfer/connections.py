"""Connections that stay open between recordings. Knows no rule of media.

Plain sockets that http.client opens (TLS, proxies) instead of urllib3 or httpx: a request for 200 KB costs a quarter of
urllib3's CPU, and a body is read to where it is hashed, without a copy. Errors may carry URLs and stay here.
"""

from __future__ import annotations

import functools
import http.client
import select
import socket
import ssl
import struct
import threading
import urllib.request
from collections import defaultdict
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from media_pipeline.genesys.addresses import Admits, admitted
from media_pipeline.genesys.endpoints import PLAIN_ORIGIN, is_loopback
from media_pipeline.transfer.exchange import LOOK_SECONDS, READ_SECONDS, Broken, Exchange

CONNECT_SECONDS = 10.0
BUFFER_BYTES = 8 * 65_280
"""Whole blocks of the objects that come of it, so that they are compressed without a copy."""
RECEIVE_BYTES = 256 * 1024
"""The kernel's receive buffer (it takes twice as much): what lies there when a run is killed was sent in vain. Left to
itself it grows to 6 MB; this still lets 8 connections over 50 ms fetch 40 MB a second."""
_SAFE_IN_TARGET = "%/:=&?~#+!$,;'@()*[]"


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int | None


class Connection:
    """A connection to one host with a buffer of its own; serves one request at a time."""

    def __init__(
        self, origin: _Origin, tls: ssl.SSLContext, buffer_bytes: int = BUFFER_BYTES, admits: Admits | None = None
    ) -> None:
        self.origin = origin
        self.buffer = memoryview(bytearray(buffer_bytes))
        self._http = _connection(origin, tls, admits)
        self._sock: socket.socket | None = None
        self._poll = select.poll()
        host = f"[{origin.host}]" if ":" in origin.host else origin.host.encode("idna").decode()
        self._head = f" HTTP/1.1\r\nHost: {host if origin.port is None else f'{host}:{origin.port}'}\r\n"

    def ask(self, target: str, headers: dict[str, str]) -> Exchange:
        """Send a GET and read the reply's head; raises Broken, AddressRefused."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        try:
            if lines.count("\n") != len(headers):
                raise ValueError("a header field holds a line break")
            if self._sock is None:
                self._sock = self._opened()
                self._poll.register(self._sock, select.POLLIN)
            self._sock.sendall(f"GET {target}{self._head}{lines}\r\n".encode("latin-1"))
            return Exchange(self._sock, self.buffer)
        except (http.client.HTTPException, OSError, ValueError) as error:
            self.close()
            raise Broken(type(error).__name__) from None
        except Broken:
            self.close()
            raise

    def is_fresh(self) -> bool:
        """Whether the other side has neither closed the idle connection nor sent anything out of turn."""
        return not self._poll.poll(0)

    def interrupt(self) -> None:
        """End whatever another thread is waiting for here; it still has to close the connection."""
        sock = self._sock
        if sock is not None:
            with suppress(OSError):  # it may be closed already
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it; nothing may be asked any more."""
        self._http.close()

    def _opened(self) -> socket.socket:
        self._http.connect()
        sock: socket.socket = self._http.sock
        if isinstance(sock, ssl.SSLSocket):  # its reads would try again for ever
            sock.settimeout(LOOK_SECONDS)
            return sock
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", LOOK_SECONDS, 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", READ_SECONDS, 0))
        return sock


class Connections:
    """A pool that holds as many connections as there were requests at once; safe to use from threads."""

    def __init__(self, buffer_bytes: int = BUFFER_BYTES, admits: Admits | None = None) -> None:
        """`admits`: which addresses hosts may have that are connected to without a proxy; None for any."""
        self._buffer_bytes, self._admits = buffer_bytes, admits
        self._tls = ssl.create_default_context()
        self._idle: defaultdict[_Origin, list[Connection]] = defaultdict(list)
        self._lock = threading.Lock()

    def take(self, link: str) -> tuple[Connection, str]:
        """A connection for the link's host, and what to ask it for; raises Broken for what is no URL."""
        origin, target = _taken_apart(link)
        while (connection := self._pop(origin)) is not None:
            if connection.is_fresh():
                return connection, target
            connection.close()
        try:
            return Connection(origin, self._tls, self._buffer_bytes, self._admits), target
        except (http.client.HTTPException, ValueError) as error:  # blanks in the host, labels too long for DNS
            raise Broken(type(error).__name__) from None

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


def _taken_apart(link: str) -> tuple[_Origin, str]:
    """Where a link leads, and what to ask for there; raises Broken for what is no URL."""
    try:
        if plain := PLAIN_ORIGIN.match(link):
            origin, path = _origin(plain[0]), link[plain.end() :].partition("#")[0]
        else:
            parts = urlsplit(link)
            origin, path = _origin.__wrapped__(link), parts.path or "/"
            path = f"{path}?{parts.query}" if parts.query else path
    except ValueError as error:
        raise Broken(type(error).__name__) from None
    return origin, quote(path, _SAFE_IN_TARGET)


@functools.lru_cache(maxsize=64)
def _origin(link: str) -> _Origin:
    parts = urlsplit(link)
    return _Origin(parts.scheme, parts.hostname or "", parts.port)


def _connection(origin: _Origin, tls: ssl.SSLContext, admits: Admits | None) -> http.client.HTTPConnection:
    connection, direct = _unconnected(origin, tls)
    # the only way before the handshake; what a proxy connects to it looks up itself
    connection._create_connection = functools.partial(_connected, admits if direct else None)  # type: ignore[attr-defined]
    return connection


def _connected(admits: Admits | None, address: tuple[str, int], timeout: float, *_: object) -> socket.socket:
    """Like socket.create_connection, to admitted addresses, with a receive buffer of its own size."""
    problem: OSError = OSError("the host has no address")
    for family, kind, protocol, _name, place in admitted(*address, admits or (lambda *_: True)):
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


def _unconnected(origin: _Origin, tls: ssl.SSLContext) -> tuple[http.client.HTTPConnection, bool]:
    """A connection to be, and whether it leads to the host itself."""
    if origin.scheme == "http":
        return http.client.HTTPConnection(origin.host, origin.port, timeout=CONNECT_SECONDS), True
    proxy = None if is_loopback(origin.host) else _proxy(origin.host)
    if proxy is None:
        return http.client.HTTPSConnection(origin.host, origin.port, timeout=CONNECT_SECONDS, context=tls), True
    host, port = proxy
    connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=tls)
    connection.set_tunnel(origin.host, origin.port or http.client.HTTPS_PORT)
    return connection, False


def _proxy(host: str) -> tuple[str, int] | None:
    """The environment's proxy for https links, itself spoken to in plain HTTP whatever its URL says; None for SOCKS."""
    url = urllib.request.getproxies().get("https", "")
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or urllib.request.proxy_bypass(host):
        return None
    return parts.hostname, parts.port or http.client.HTTP_PORT
