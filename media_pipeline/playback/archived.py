"""A stored recording as bytes at any offset: its object in one version, proved, and only the blocks that are needed."""

from __future__ import annotations

import gzip
import io
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from isal import igzip, isal_zlib

from media_pipeline.playback.catalogue import Entry
from media_pipeline.storage.base import ObjectStore, Stat, Version
from media_pipeline.storage.bgzf import BLOCK_BYTES
from media_pipeline.storage.gzi import INDEX_SUFFIX, BlockIndex
from media_pipeline.storage.ranges import (
    DamagedError,
    MissingError,
    NotBlockedError,
    UnreadableError,
    rebuilt_index,
    source_range,
    source_size,
)
from media_pipeline.storage.restore import restored

if TYPE_CHECKING:
    from typing_extensions import Buffer

FIRST_BLOCKS = 1
"""What the first byte waits for."""
PIECE_BLOCKS = 4
"""261 KB of source: what a listener holds of our memory, and what a request to S3 is made for."""
INDEX_CACHE_BYTES = 32 * 1024 * 1024
PROOFS = 10_000
_OFFSET_BYTES = 16
_INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)  # isal's stub calls it an instance


class StaleError(Exception):
    """The object is not the one that the table tells of (any more)."""


@dataclass(frozen=True, slots=True)
class _Known:
    index: BlockIndex | None
    """None for ordinary gzip, which has no blocks."""
    size: int


class ArchivedMedia:
    """One version of one object, open; pieces may be asked for from one thread at a time."""

    def __init__(self, version: Version, known: _Known) -> None:
        self._version = version
        self._index = known.index
        self.size = known.size
        self.ranged = known.index is not None
        self.modified = int(version.stat.modified)

    def pieces(self, span_start: int, span_stop: int) -> Iterator[bytes]:
        """The source's bytes of a span, each piece read when it is asked for; raises UnreadableError, StorageError."""
        if self._index is None:
            yield from self._from_start(span_start, span_stop)
            return
        at, blocks = span_start, FIRST_BLOCKS
        while at < span_stop:
            stop = min(span_stop, (at // BLOCK_BYTES + blocks) * BLOCK_BYTES)
            piece = b"".join(source_range(self._version.read_range, self._index, at, stop))
            if len(piece) != stop - at:
                raise DamagedError(f"The source ends at {at + len(piece)}, before its end.")
            yield piece
            at, blocks = stop, PIECE_BLOCKS

    def close(self) -> None:
        """Let go of the object."""
        self._version.close()

    def abort(self) -> None:
        """Nothing waits here."""

    def _from_start(self, start: int, stop: int) -> Iterator[bytes]:
        assert start == 0, "ordinary gzip is read from its start only"
        sent = 0
        with igzip.IGzipFile(fileobj=_opened(self._version), mode="rb") as source:  # type: ignore[no-untyped-call]
            try:
                while sent < stop and (piece := source.read(PIECE_BLOCKS * BLOCK_BYTES)):
                    sent += len(piece)
                    yield piece
            except (EOFError, gzip.BadGzipFile, zlib.error, _INFLATE_ERROR) as error:
                raise DamagedError(f"The object is damaged: {type(error).__name__}.") from None
        if sent != stop:
            raise DamagedError(f"The source ends at {sent}, before its end.")


class _File(io.RawIOBase):
    """A version as the file that a decompressor reads."""

    def __init__(self, version: Version) -> None:
        self._version = version
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self._version.stat.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        room = memoryview(buffer)
        data = self._version.read_range(self._at, len(room)) if len(room) else b""
        if data is None:
            raise MissingError("There is no such object (any more).")
        room[: len(data)] = data
        self._at += len(data)
        return len(data)


class Archived:
    """Opens stored recordings; safe to use from threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._indexes: OrderedDict[tuple[str, Stat], _Known] = OrderedDict()
        self._index_bytes = 0
        self._proved: OrderedDict[tuple[str, Stat, str], bool] = OrderedDict()

    def open(self, entry: Entry) -> ArchivedMedia:
        """The object of a stored file; raises MissingError, StaleError, UnreadableError, StorageError."""
        key = entry.object_key or ""
        version = self._store.version(key)
        if version is None:
            raise MissingError("There is no such object.")
        try:
            self._check_current(entry, key, version)
            return ArchivedMedia(version, self._known(key, version, entry))
        except BaseException:
            version.close()
            raise

    def _check_current(self, entry: Entry, key: str, version: Version) -> None:
        """A run writes the table after its objects: what was written later is proved by its bytes, once."""
        if version.stat.size != entry.stored_size_bytes or entry.sha256 is None:
            raise StaleError
        if version.stat.modified <= entry.table_modified:
            return
        proof = (key, version.stat, entry.sha256)
        with self._lock:
            proved = self._proved.get(proof)
        if proved is None:
            proved = _sha256(version) == entry.sha256
            with self._lock:
                self._proved[proof] = proved
                while len(self._proved) > PROOFS:
                    self._proved.popitem(last=False)
        if not proved:
            raise StaleError

    def _known(self, key: str, version: Version, entry: Entry) -> _Known:
        name = (key, version.stat)
        with self._lock:
            known = self._indexes.get(name)
            if known is not None:
                self._indexes.move_to_end(name)
                return known
        known = self._examined(key, version, entry)
        with self._lock:
            if name not in self._indexes:
                self._indexes[name] = known
                self._index_bytes += _weight(known)
            while self._index_bytes > INDEX_CACHE_BYTES and len(self._indexes) > 1:
                self._index_bytes -= _weight(self._indexes.popitem(last=False)[1])
        return known

    def _examined(self, key: str, version: Version, entry: Entry) -> _Known:
        """The index beside the object if it fits, else one made from the blocks, and the size they tell."""
        index = self._index_beside(key)
        if index is not None:
            try:
                if source_size(version.read_range, index) == entry.source_size_bytes:
                    return _Known(index, entry.source_size_bytes)
            except NotBlockedError:
                pass
            except DamagedError:
                pass  # it may be the index that is another object's
        size = entry.source_size_bytes
        if size is None:
            raise StaleError
        try:
            index = rebuilt_index(version.read_range)
        except NotBlockedError:
            return _Known(None, size)
        if source_size(version.read_range, index) != size:
            raise DamagedError("The object restores to another size than its table states.")
        return _Known(index, size)

    def _index_beside(self, key: str) -> BlockIndex | None:
        beside = self._store.version(key + INDEX_SUFFIX)
        if beside is None:
            return None
        try:
            data = beside.read_range(0, beside.stat.size) if beside.stat.size else b""
            return BlockIndex.decode(data or b"")
        except ValueError:
            return None
        finally:
            beside.close()


def _weight(known: _Known) -> int:
    return 1024 + (0 if known.index is None else len(known.index.object_offsets) * _OFFSET_BYTES)


def _sha256(version: Version) -> str | None:
    try:
        return restored(_opened(version)).sha256
    except UnreadableError:
        return None


def _opened(version: Version) -> IO[bytes]:
    return cast("IO[bytes]", io.BufferedReader(_File(version), PIECE_BLOCKS * BLOCK_BYTES))
