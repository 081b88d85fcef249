"""What the project needs of a place to keep objects; keys are relative, with forward slashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, NamedTuple, Protocol

SMALL_BYTES = 1024 * 1024
"""The most that `get_small` reads unless told otherwise, and that `put_if` is meant for: both hold it in memory."""


class StorageError(Exception):
    """The place for objects cannot be used: says which, why and what to do; trying again at once will not help."""


class StorageUnavailable(StorageError):
    """The place did not answer, or was too busy, for as long as a request is retried: later may well help."""


class SwapsUnsupported(StorageError):
    """The place cannot promise that of several conditional writes one wins."""


class Stat(NamedTuple):
    """Size in bytes, and when the object was last written in seconds since 1970 by the store's own clock."""

    size: int
    modified: float


class Small(NamedTuple):
    """A small object, and a tag that another content does not have; equal bytes may have equal tags."""

    data: bytes
    tag: str


class Version(Protocol):
    """One version of an object, open for reading: what replaces the object meanwhile is never mixed in.

    `stat`: its size and time. Closing it twice is fine.
    """

    stat: Stat

    def read_range(self, start: int, length: int) -> bytes | None:
        """The bytes [start, start + length), fewer only at the object's end; None when this version is gone."""

    def close(self) -> None:
        """Let go of it."""


class ObjectWriter(Protocol):
    """An object that appears under its key on commit, whole, or never."""

    def write(self, data: bytes) -> int:
        """Append bytes."""

    def commit(self, *, sha256: str | None = None) -> int:
        """Publish what was written, durably, replacing an older object; returns its size in bytes.

        `sha256` as for `ObjectStore.publish`.
        """


class ObjectStore(Protocol):
    """Objects on a local disk or in a bucket; all calls raise StorageError when the place itself is at fault."""

    url: str

    def writer(self, key: str) -> AbstractContextManager[ObjectWriter]:
        """A new object; leaving the context without commit leaves nothing behind."""

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Publish a small object; what is not durable may be torn by a kill or a power cut, and its readers notice."""

    def put_pieces(self, key: str, pieces: Sequence[bytes], *, sha256: str | None = None, soon: bool = False) -> int:
        """Publish an object that is in memory as pieces, at most 1,000, durably, replacing an older one; its size.

        `sha256` and `soon` as for `publish`.
        """

    def publish(self, path: Path, key: str, *, sha256: str | None = None, soon: bool = False) -> int:
        """Make a finished local file an object, durably, replacing an older one; returns its size in bytes.

        The file is gone when this returns, and still there when it raises; a process killed in between may leave the
        file beside its object. `sha256` is that of the *source* in hex, kept with the object where the place can.
        With `soon`, a power cut (no kill) may take the object away whole until `flush` or, with others following, for a
        second.
        """

    def flush(self) -> None:
        """Return when everything published so far is durable."""

    def publish_new(self, path: Path, key: str, *, sha256: str | None = None) -> bool:
        """The same unless the key is taken; False, and the file stays, when it is. At most 5 GB."""

    def get_small(self, key: str, most_bytes: int = SMALL_BYTES) -> Small | None:
        """A whole small object and its tag, None when there is no such object; ValueError may refuse a larger one."""

    def source_sha256(self, key: str) -> str | None:
        """What `publish` kept with the object; None where it kept nothing, or the object is gone."""

    def put_if(self, key: str, data: bytes, tag: str | None) -> str | None:
        """Replace a small object that still has this tag (None: that does not exist); the new tag, None when it lost.

        Of any number of processes that try with the same tag and different data exactly one wins. Raises
        SwapsUnsupported where the place cannot promise that.
        """

    def open(self, key: str) -> IO[bytes] | None:
        """A seekable reader, None when there is no such object."""

    def read_range(self, key: str, start: int, length: int) -> bytes | None:
        """The bytes [start, start + length), fewer only at the object's end; None when there is no such object.

        Raises ValueError unless start >= 0 and length >= 1.
        """

    def version(self, key: str) -> Version | None:
        """The object as it is now, to be closed; None when there is no such object."""

    def sizes(self, prefix: str, suffix: str = "") -> dict[str, int]:
        """Keys below a prefix that ends in `/`, with their sizes in bytes; `suffix` picks those that end so."""

    def stats(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        """Keys below a prefix that ends in `/`, in any order, with their size and time."""

    def tags(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Keys below a prefix that ends in `/`, in any order, with a tag that other bytes under the key do not have.

        Equal bytes may have different tags. Nothing is read for it.
        """

    def remove(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""

    def check_writable(self) -> None:
        """Raise StorageError unless objects can be written; removes what killed runs left unfinished."""

    def drop_unfinished(self, prefix: str) -> None:
        """Remove what killed runs left unfinished, however young, below a prefix that the caller alone works on."""

    def free_bytes(self) -> int | None:
        """Free space in bytes, None where it is not limited."""


def root_name(url: str) -> str:
    """A short name of a place, for its folder in a spool that serves several places."""
    return hashlib.blake2b(url.encode(), digest_size=6).hexdigest()


def checked_key(key: str) -> str:
    """The key itself; raises ValueError for one that could leave the root."""
    if not {"", ".", ".."}.isdisjoint(key.split("/")) or "\\" in key or "\0" in key:
        raise ValueError(f"{key!r} is not an object key.")
    return key


def checked_range(start: int, length: int) -> None:
    """Raise ValueError for what is not a range of at least one byte."""
    if start < 0 or length < 1:
        raise ValueError(f"{length} bytes from {start} on are not a range of an object.")
