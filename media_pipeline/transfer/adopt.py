"""Objects that a killed run had published before it could say so: proved from their own bytes, not downloaded again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from media_pipeline.genesys.source import MediaFile
from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.gzi import INDEX_SUFFIX, BlockIndex
from media_pipeline.storage.ranges import NotBlockedError, UnreadableError, rebuilt_index
from media_pipeline.storage.restore import restored
from media_pipeline.transfer.outcome import Stored
from media_pipeline.transfer.sidecar import sidecar_key


def adopted(store: ObjectStore, key: str, media: MediaFile) -> Stored | None:
    """The object's facts when it restores to the file that the source describes now; None when nothing proves that.

    With the source's MD5 that is proof; else the SHA-256 that the run kept with the object, or wrote beside it, and the
    size, if the source states one.
    """
    file = store.open(key)
    if file is None:
        return None
    try:
        with file:
            found = restored(file)
            index = _index_of(file)
    except UnreadableError:
        return None
    if found.source_size_bytes == 0 or media.size_bytes not in (None, found.source_size_bytes):
        return None
    proved = media.md5 == found.md5 if media.md5 else found.sha256 in _noted_sha256(store, key)
    if not proved:
        return None
    if index is not None:  # the run may have been killed before it was there, or whole
        store.put(key + INDEX_SUFFIX, index.encode(), durable=False)
    return Stored(
        media=media,
        source_size_bytes=found.source_size_bytes,
        stored_size_bytes=found.stored_size_bytes,
        md5=found.md5,
        sha256=found.sha256,
        integrity_basis="source_md5" if media.md5 else "length_and_range",
        content_type=media.content_type,
    )


def _index_of(file: IO[bytes]) -> BlockIndex | None:
    """The index that its blocks give; None for an ordinary gzip object of an earlier version."""

    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    try:
        return rebuilt_index(read)
    except NotBlockedError:
        return None


def _noted_sha256(store: ObjectStore, key: str) -> Iterator[str | None]:
    yield store.source_sha256(key)
    file = store.open(sidecar_key(key))
    if file is not None:
        with file, suppress(ValueError, RecursionError):
            noted = json.load(file)
            yield noted.get("sha256") if isinstance(noted, dict) else None
