"""What the project needs of a place to keep objects; keys are relative, with forward slashes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import IO, NamedTuple, Protocol


class StorageError(Exception):
    """The place for objects cannot be used: says which, why and what to do; trying again will not help."""


class Stat(NamedTuple):
    """Size in bytes, and when the object was last written in seconds since 1970 by the store's own clock."""

    size: int
    modified: float


class ObjectWriter(Protocol):
    """An object that appears under its key on commit, whole, or never."""

    def write(self, data: bytes) -> int:
        """Append bytes."""

    def commit(self) -> int:
        """Publish what was written, durably, replacing an older object; returns its size in bytes."""


class ObjectStore(Protocol):
    """Objects on a local disk or in a bucket; all calls raise StorageError when the place itself is at fault."""

    url: str

    def writer(self, key: str) -> AbstractContextManager[ObjectWriter]:
        """A new object; leaving the context without commit leaves nothing behind."""

    def put(self, key: str, data: bytes) -> None:
        """Publish a small object."""

    def open(self, key: str) -> IO[bytes] | None:
        """A seekable reader, None when there is no such object."""

    def read_range(self, key: str, start: int, length: int) -> bytes | None:
        """The bytes [start, start + length), fewer only at the object's end; None when there is no such object.

        Raises ValueError unless start >= 0 and length >= 1.
        """

    def sizes(self, prefix: str, suffix: str = "") -> dict[str, int]:
        """Keys below a prefix that ends in `/`, with their sizes in bytes; `suffix` picks those that end so."""

    def stats(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        """Keys below a prefix that ends in `/`, in any order, with their size and time."""

    def check_writable(self) -> None:
        """Raise StorageError unless objects can be written."""

    def free_bytes(self) -> int | None:
        """Free space in bytes, None where it is not limited."""


def checked_key(key: str) -> str:
    """The key itself; raises ValueError for one that could leave the root."""
    if not {"", ".", ".."}.isdisjoint(key.split("/")) or "\\" in key or "\0" in key:
        raise ValueError(f"{key!r} is not an object key.")
    return key


def checked_range(start: int, length: int) -> None:
    """Raise ValueError for what is not a range of at least one byte."""
    if start < 0 or length < 1:
        raise ValueError(f"{length} bytes from {start} on are not a range of an object.")
