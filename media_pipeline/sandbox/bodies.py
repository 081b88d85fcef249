"""Bodies: bytes that can be read at any offset, whole in memory or computed. What is in them is `media`'s.

A body knows its size and MD5 before the first byte is sent, because the metadata call has to name both.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Protocol

from media_pipeline.sandbox.audio import WAV_HEADER_BYTES, wav_header

READ_BYTES = 1 << 18
HUGE_BLOCK_BYTES = 1 << 20


class Body(Protocol):
    """What a reply can be made of."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    @property
    def md5(self) -> str:
        """MD5 of all bytes, lower-case hex."""

    def read(self, start: int, length: int) -> bytes:
        """The bytes [start, start + length), fewer at the end."""


class Whole:
    """A body held in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self._data)

    @functools.cached_property
    def md5(self) -> str:
        """MD5 of all bytes, lower-case hex."""
        return hashlib.md5(self._data, usedforsecurity=False).hexdigest()

    def read(self, start: int, length: int) -> bytes:
        """The bytes [start, start + length), fewer at the end."""
        whole = start == 0 and length >= len(self._data)
        return self._data if whole else self._data[start : start + length]


class HugeWav:
    """A WAV of any size that is never held: one block of 1 MiB, repeated; any offset is computed."""

    def __init__(self, size: int, rotation: int) -> None:
        self._header = wav_header(size - WAV_HEADER_BYTES, channels=2)
        self._block = _noise_block(rotation)
        self.size = size
        self._md5_once = threading.Lock()
        self._md5 = ""

    @property
    def md5(self) -> str:
        """MD5 of all bytes, lower-case hex; computed once, by streaming (about 2 s per GB)."""
        with self._md5_once:
            if not self._md5:
                digest = hashlib.md5(usedforsecurity=False)
                for chunk in chunks(self):
                    digest.update(chunk)
                self._md5 = digest.hexdigest()
        return self._md5

    def read(self, start: int, length: int) -> bytes:
        """The bytes [start, start + length), fewer at the end."""
        length = max(min(length, self.size - start), 0)
        head = self._header[start : start + length]
        offset = (max(start - WAV_HEADER_BYTES, 0)) % HUGE_BLOCK_BYTES
        wanted = length - len(head)
        repeats = -(-(offset + wanted) // HUGE_BLOCK_BYTES)
        tail = self._block if repeats == 1 else self._block * repeats
        return head + tail[offset : offset + wanted]


def chunks(body: Body) -> Iterator[bytes]:
    """The whole body in pieces of 256 KiB."""
    for start in range(0, body.size, READ_BYTES):
        yield body.read(start, READ_BYTES)


def _noise_block(rotation: int) -> bytes:
    """Quiet 10-bit noise, which compresses about as badly as speech does."""
    import numpy as np

    raw = np.random.PCG64(1).random_raw(HUGE_BLOCK_BYTES // 8).view(np.int16) >> 6
    return bytes(np.roll(raw, rotation % len(raw)).astype("<i2").tobytes())


class BodyCache:
    """Bodies by key, least recently used dropped first, at most `limit_bytes` of them. Thread safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._bodies: OrderedDict[int, Whole] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: int, make: Callable[[], Whole]) -> Whole:
        """The body under this key, made outside the lock when it is not there."""
        with self._lock:
            found = self._bodies.get(key)
            if found is not None:
                self._bodies.move_to_end(key)
                return found
        made = make()
        with self._lock:
            if key not in self._bodies:
                self._bodies[key] = made
                self._held_bytes += made.size
            while self._held_bytes > self._limit_bytes and self._bodies:
                self._held_bytes -= self._bodies.popitem(last=False)[1].size
        return made
