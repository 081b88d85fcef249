"""One reply over an open socket: its head by llhttp, its body into the caller's buffer. Knows no rule of media.

llhttp (httptools) instead of http.client's mail parser, which took a tenth of the CPU of a short recording. It refuses
replies that contradict themselves, such as two lengths.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import httptools

REDIRECTS = (301, 302, 303, 307, 308)
HEAD_READ_BYTES = 4096
"""Room for a head, and little of the body that has to be moved."""
MAX_HEAD_BYTES = 64 * 1024
LOOK_SECONDS = 1
"""The socket's own timeout (SO_RCVTIMEO): what came by then is handed over. Python's would ask before every read."""
READ_SECONDS = 30
"""How long nothing may come."""
_HEAD_END = b"\r\n\r\n"
_AS_MUCH = socket.MSG_WAITALL


class Broken(Exception):
    """The connection failed before the body's end; says nothing of the URL."""


class Headers(Mapping[str, str]):
    """Header fields by name in any case; one that comes twice is a list (RFC 9110, 5.3), and so no range or tag."""

    def __init__(self) -> None:
        self._fields: dict[bytes, bytes] = {}
        self.is_whole = False
        """Set after the head: what comes later are trailers, which say nothing here and have no end."""

    def add(self, name: bytes, value: bytes) -> None:
        """Take a field as it came."""
        if self.is_whole:
            return
        name = name.lower()
        before = self._fields.get(name)
        self._fields[name] = value if before is None else before + b", " + value

    def get(self, name: str, default: Any = None) -> Any:
        """The field's value."""
        value = self._fields.get(name.lower().encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower().encode("latin-1")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Exchange:
    """A reply whose body has not been read yet; made by reading its head. Raises Broken.

    `buffer` holds what is read with the head; `read_into` may be given parts of it as room.
    """

    def __init__(self, sock: socket.socket, buffer: memoryview) -> None:
        self._sock = sock
        self._pieces: deque[bytes] = deque()
        """Of a body whose length the head does not tell, as the parser gives them."""
        filled = 0
        until = time.monotonic() + READ_SECONDS  # for interim replies too, of which there may be any number
        while True:
            self.headers, self._ended = Headers(), False
            self.on_header = self.headers.add  # called by the parser
            self._parser = httptools.HttpResponseParser(self)
            filled = self._head(buffer, filled, until)
            self.status: int = self._parser.get_status_code()
            if self.status >= 200:
                break
        length = self.headers.get("content-length")
        self._left = int(length) if length is not None else None
        if self.status in (204, 304) or self._left == 0:
            self._left = 0
        self._early = buffer[:filled]
        """What came of the body with the head."""

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self.keeps_alive: bool = self._parser.should_keep_alive()  # with the message's end it is forgotten
        self.headers.is_whole = True

    def on_body(self, piece: bytes) -> None:
        """Called by the parser."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._ended = True

    @property
    def location(self) -> str | None:
        """Where a redirect leads, None for other replies."""
        return self.headers.get("location") if self.status in REDIRECTS else None

    @property
    def is_drained(self) -> bool:
        """Whether all of the body was read, so that the connection can be used again."""
        return self.keeps_alive and (self._ended if self._left is None else self._left == 0)

    def read_into(self, room: memoryview) -> int:
        """Wait for some of the body, as much as there is; 0 at its end and where it was cut off. Raises Broken."""
        if self._left is None:
            return self._parsed_into(room)
        if self._left == 0:
            return 0
        if early := len(self._early):
            count = min(early, len(room), self._left)
            room[:count] = self._early[:count]
            self._early = self._early[count:]
        else:
            count = self._received(room[: self._left], _AS_MUCH)
        self._left -= count
        return count

    def _head(self, buffer: memoryview, filled: int, until: float) -> int:
        """Read and parse a head; what came after it lies at the buffer's start, and its size is returned."""
        if time.monotonic() > until:
            raise Broken("TimeoutError")
        seen = 0
        while (end := bytes(buffer[seen:filled]).find(_HEAD_END)) < 0:
            seen = max(0, filled - len(_HEAD_END) + 1)
            if filled >= MAX_HEAD_BYTES:
                raise Broken("HeadTooLong")
            if time.monotonic() > until:
                raise Broken("TimeoutError")
            count = self._received(buffer[filled : filled + HEAD_READ_BYTES])
            if not count:
                raise Broken("RemoteDisconnected")
            filled += count
        end += seen + len(_HEAD_END)
        self._fed(bytes(buffer[:end]))
        buffer[: filled - end] = buffer[end:filled]
        return filled - end

    def _parsed_into(self, room: memoryview) -> int:
        """The body of a reply that is chunked, or that ends with its connection."""
        framing, until = 0, time.monotonic() + READ_SECONDS
        while not self._pieces:
            if self._ended:
                return 0
            if framing > MAX_HEAD_BYTES or time.monotonic() > until:
                raise Broken("NoBody")  # chunk extensions and trailers have no end of their own
            data = bytes(self._early) or bytes(room[: self._received(room)])
            self._early = self._early[:0]
            if not data:
                if "transfer-encoding" in self.headers:
                    raise Broken("IncompleteRead")
                return 0  # the caller compares what came with what was announced
            framing += len(data)
            self._fed(data)
        piece = self._pieces.popleft()
        count = min(len(piece), len(room))
        room[:count] = piece[:count]
        if count < len(piece):
            self._pieces.appendleft(piece[count:])
        return count

    def _received(self, room: memoryview, flags: int = 0) -> int:
        """What is there; with the flag _AS_MUCH all that the room takes, unless that lasts longer than a second."""
        if flags and isinstance(self._sock, ssl.SSLSocket):
            flags = 0  # it hands over record by record
        for _ in range(READ_SECONDS // LOOK_SECONDS):
            try:
                return self._sock.recv_into(room, 0, flags)
            except (BlockingIOError, TimeoutError):
                continue
            except (OSError, ValueError) as error:
                raise Broken(type(error).__name__) from None
        raise Broken("TimeoutError")

    def _fed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:  # their texts may quote the reply
            raise Broken(type(error).__name__) from None
