"""Proves one stored object against its row: its bytes, the index and the sidecar beside it. Reads, never writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Literal

from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.gzi import INDEX_SUFFIX, BlockIndex
from media_pipeline.storage.ranges import NotBlockedError, UnreadableError, rebuilt_index
from media_pipeline.storage.restore import Restored, restored
from media_pipeline.tables.partition import Row
from media_pipeline.transfer.sidecar import sidecar_key

Kind = Literal[
    "missing",
    "changed",
    "unreadable",
    "mismatch",
    "index_wrong",
    "sidecar_wrong",
    "orphan",
    "index_missing",
    "unfinished",
    "never_exported",
]
LOSSES: frozenset[Kind] = frozenset({"missing", "changed", "unreadable", "mismatch", "index_wrong", "sidecar_wrong"})
"""Something that the tables promise is not so; the other kinds are to be known and cost no media."""
COLUMNS = ["recording_id", "file_index", "status", "object_key", "source_size_bytes", "stored_size_bytes", "md5"]
COLUMNS += ["sha256"]
"""Of recording_audio: what a check needs."""
MAX_SIDECAR_BYTES = 64 * 1024 * 1024
"""Transcripts of a day of speech stay far below it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as the tables say; `sentence` is for a person and free of secrets."""

    kind: Kind
    key: str
    recording_id: str | None
    sentence: str

    @property
    def is_loss(self) -> bool:
        """Whether something promised is not so."""
        return self.kind in LOSSES


@dataclass(slots=True)
class ObjectCheck:
    """What one object's check read and found."""

    bytes_read: int = 0
    findings: list[Finding] = field(default_factory=list)


def check_object(store: ObjectStore, row: Row) -> ObjectCheck:
    """Re-read a stored row's object and what lies beside it; raises StorageError when the store itself fails."""
    check, key = ObjectCheck(), row["object_key"] or ""

    def tell(kind: Kind, about: str, sentence: str) -> None:
        check.findings.append(Finding(kind, about, row["recording_id"], sentence))

    try:
        file = store.open(key)
    except ValueError:
        tell("mismatch", key, "The row's object_key is no key of this archive.")
        return check
    except OSError as error:
        tell("unreadable", key, f"The object cannot be opened: {error.strerror or type(error).__name__}.")
        return check
    if file is None:
        tell("missing", key, "The row says stored, and there is no such object.")
        return check
    with file:
        for kind, about, sentence in _about_object(store, key, row, file, check):
            tell(kind, about, sentence)
    for sentence in _about_sidecar(store, row, check):
        tell("sidecar_wrong", sidecar_key(key), sentence)
    return check


def _about_object(
    store: ObjectStore, key: str, row: Row, file: IO[bytes], check: ObjectCheck
) -> Iterator[tuple[Kind, str, str]]:
    size = file.seek(0, 2)
    if size != row["stored_size_bytes"]:  # not read: nothing could make it right
        yield "changed", key, f"The object has {size:,} bytes, and the row says {row['stored_size_bytes'] or 0:,}."
        return
    check.bytes_read += size
    try:
        found = restored(file)
    except UnreadableError as error:
        yield "unreadable", key, str(error)
        return
    if differing := _differing(found, row):
        yield "changed", key, f"The object restores to other bytes: {differing} not as the row says."
        return
    yield from _about_index(store, key, file, check)


def _differing(found: Restored, row: Row) -> str:
    names = [name for name in ("source_size_bytes", "md5", "sha256") if getattr(found, name) != row[name]]
    return ", ".join(names) + (" is" if len(names) == 1 else " are") if names else ""


def _about_index(store: ObjectStore, key: str, file: IO[bytes], check: ObjectCheck) -> Iterator[tuple[Kind, str, str]]:
    """An ordinary gzip object has no index; a blocked one has exactly the one its blocks give."""

    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    index_key = key + INDEX_SUFFIX
    try:
        right = rebuilt_index(read).encode()
    except NotBlockedError:
        if _read_whole(store, index_key, 0) is not None:
            yield "index_wrong", index_key, "An index lies beside an ordinary gzip object, which has no blocks."
        return
    except UnreadableError as error:
        yield "unreadable", key, f"Its bytes are right, but not in blocks that can be read by range: {error}"
        return
    present = _read_whole(store, index_key, len(right))
    if present is None:
        yield "index_missing", index_key, "The blocked object has no index: it is readable from its start only."
        return
    check.bytes_read += len(present)
    if present != right:
        yield "index_wrong", index_key, _why_wrong(present)


def _why_wrong(index: bytes) -> str:
    try:
        BlockIndex.decode(index)
    except ValueError as error:
        return f"The index cannot be used. {error}"
    return "The index does not fit the object: its blocks begin elsewhere."


def _about_sidecar(store: ObjectStore, row: Row, check: ObjectCheck) -> Iterator[str]:
    data = _read_whole(store, sidecar_key(row["object_key"]), MAX_SIDECAR_BYTES)
    if data is None:
        return
    check.bytes_read += len(data)
    try:
        noted = json.loads(data)
    except (ValueError, RecursionError):
        noted = None
    if not isinstance(noted, dict):
        yield "The sidecar is no JSON object that says whose it is."
        return
    for name in ("recording_id", "object_key", "sha256"):
        if noted.get(name) != row[name]:
            yield f"The sidecar's {name} is not the row's."


def _read_whole(store: ObjectStore, key: str, expected: int) -> bytes | None:
    """A small file beside an object, one byte more than expected at most; None when there is none."""
    try:
        file = store.open(key)
        if file is None:
            return None
        with file:
            return file.read(expected + 1)
    except OSError:
        return b""  # there, and it cannot be read: contradicts whatever is compared with it
