"""What only takes bytes, as the file that pyarrow writes to."""

from __future__ import annotations

import io
from typing import Any, Protocol


class _Taker(Protocol):
    def write(self, data: bytes, /) -> int: ...


class AsFile(io.RawIOBase):
    """An object under way or a pipe, neither of which can tell where it is."""

    def __init__(self, sink: _Taker) -> None:
        self._sink = sink

    def writable(self) -> bool:
        """It is all it is for."""
        return True

    def write(self, data: Any) -> int:
        """Pass the bytes on."""
        self._sink.write(bytes(data))
        return len(data)
