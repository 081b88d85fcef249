"""Whether our copy of something is there and is what we say it is: before the original goes, nothing less will do."""

from __future__ import annotations

import hashlib
from typing import IO

from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.ranges import UnreadableError
from media_pipeline.storage.restore import restored
from media_pipeline.tables.partition import Row

CHUNK_BYTES = 256 * 1024


class OnlyCopy(Exception):
    """Deleting would leave nothing that is known to be right; `reason` is for tables."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def verified(store: ObjectStore, row: Row) -> str | None:
    """SHA-256 of the bytes by reading our copy of them, None where no copy is kept. Raises OnlyCopy, StorageError."""
    key, expected = row["copy_key"], row["sha256"]
    if key is None or key == row["subject_id"]:
        if row["keeps_copy"]:
            raise OnlyCopy("no_copy", f"The policy {row['policy']} deletes only what we have a copy of; there is none.")
        return None
    found = sha256_of(store, key, gzip=bool(row["copy_gzip"]))
    if found is not None and found == expected:
        return found
    if not row["keeps_copy"]:
        return None
    if found is None:
        raise OnlyCopy("copy_missing", f"Our copy {key} is not there or cannot be read: restore it first.")
    raise OnlyCopy("copy_differs", f"Our copy {key} does not have the bytes it should have: restore it first.")


def sha256_of(store: ObjectStore, key: str, *, gzip: bool) -> str | None:
    """SHA-256 of an object's bytes, unpacked where it is compressed; None when it is missing or damaged."""
    file = store.open(key)
    if file is None:
        return None
    with file:
        if not gzip:
            return _digest(file)
        try:
            return restored(file).sha256
        except UnreadableError:
            return None


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
