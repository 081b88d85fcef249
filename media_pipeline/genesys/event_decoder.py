"""Server-sent events out of bytes, as the HTML standard interprets an event stream, in bounded memory.

Not httpx-sse's decoder: 0.4.3 keeps the byte order mark, dispatches events without data, takes `retry: +5` and
`retry: 1_000`, follows the charset that the reply declares, holds back a line that ends with a lone CR until more
comes, and has no limit. A test compares both and names every case in which they differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_EVENT_BYTES = 1024 * 1024
"""Of one event's data; a larger one is passed over, and said."""
MAX_ID_BYTES = 1024
"""A longer id could not be sent back in a header; it is taken for none."""
MAX_RETRY_MS = 3_600_000

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n?|\n")


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One dispatched event; `data` is None when it was too large.

    `last_id` is the stream's last event id after it, `has_id` whether the event itself named one.
    """

    kind: str
    data: str | None
    last_id: str
    has_id: bool


class EventDecoder:
    """Takes bytes in pieces of any size; an event is given out with the blank line that ends it."""

    def __init__(self, last_id: str = "", max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        """`last_id`: the last event id before this connection."""
        self.last_id = last_id
        """As of the last blank line: what to reconnect with."""
        self.retry_seconds: float | None = None
        """The newest reconnection time that the stream asked for."""
        self._max = max_event_bytes
        self._line = bytearray()
        self._line_dropped = False
        self._at_start = True
        self._after_cr = False
        self._id, self._has_id = last_id, False
        self._kind = ""
        self._data, self._lines, self._dropped = bytearray(), 0, False

    @property
    def is_within_event(self) -> bool:
        """Whether part of an event has come, and its end has not; comments are no part of one."""
        in_line = bool(self._line) and not self._line.startswith(b":")
        return in_line or bool(self._lines or self._has_id or self._kind or self._dropped)

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """The events that this piece completes."""
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        start = 0
        for end in _LINE_END.finditer(piece):
            self._extend(piece[start : end.start()])
            event = self._line_ended()
            if event is not None:
                yield event
            start = end.end()
        self._extend(piece[start:])
        if piece.endswith(b"\r"):
            self._after_cr = True

    def _extend(self, part: bytes) -> None:
        if self._line_dropped:
            return
        self._line += part
        if len(self._line) > self._max:
            self._dropped = self._dropped or self._line.removeprefix(_BOM).startswith(b"data:")
            self._line.clear()
            self._line_dropped = True

    def _line_ended(self) -> ServerEvent | None:
        line, dropped = bytes(self._line), self._line_dropped
        self._line.clear()
        self._line_dropped = False
        if self._at_start:
            line = line.removeprefix(_BOM)
            self._at_start = False
        if dropped:
            return None
        if not line:
            return self._dispatched()
        name, _, value = line.partition(b":")
        self._field(name, value.removeprefix(b" "))
        return None

    def _field(self, name: bytes, value: bytes) -> None:
        """One field; a comment is one without a name."""
        if name == b"data":
            if len(self._data) + len(value) >= self._max:
                self._dropped = True
            if not self._dropped:
                self._data += value + b"\n"
            self._lines += 1
        elif name == b"id":
            if b"\0" not in value and len(value) <= MAX_ID_BYTES:
                self._id, self._has_id = value.decode("utf-8", "replace"), True
        elif name == b"event":
            self._kind = value[:MAX_ID_BYTES].decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            digits = value.lstrip(b"0")
            self.retry_seconds = (min(int(digits or b"0"), MAX_RETRY_MS) if len(digits) < 10 else MAX_RETRY_MS) / 1000

    def _dispatched(self) -> ServerEvent | None:
        self.last_id = self._id
        event = None
        if self._lines or self._dropped:
            data = None if self._dropped else self._data[:-1].decode("utf-8", "replace")
            event = ServerEvent(self._kind or "message", data, self._id, self._has_id)
        self._kind, self._has_id = "", False
        self._data.clear()
        self._lines, self._dropped = 0, False
        return event
