"""A stored recording's copy in which stretches of time are silent: read, checked and written piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from media_pipeline.privacy.silence import CannotSilence, Span, silenced
from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.bgzf import BlockCompressor
from media_pipeline.storage.gzi import INDEX_SUFFIX
from media_pipeline.storage.ranges import UnreadableError
from media_pipeline.storage.restore import restored, source_pieces

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Copy:
    """The silenced object: bytes of source, which are as many as the original's, and their SHA-256 in lower hex."""

    key: str
    source_size_bytes: int
    sha256: str


def write_silenced(store: ObjectStore, audio: Row, key: str, spans: Sequence[Span]) -> Copy:
    """Write a copy of a stored row's object under another key, as blocked gzip with its index; the original stays.

    Raises CannotSilence for what is not uncompressed WAV, UnreadableError when the object is not what its row says;
    then nothing is under the key that was not there before.
    """
    file = store.open(audio["object_key"])
    if file is None:
        raise UnreadableError("The object is not there any more: run `media-pipeline verify` for its day.")
    blocks, original, changed, size = BlockCompressor(), hashlib.sha256(), hashlib.sha256(), 0
    with file, store.writer(key) as sink:
        for before, now in silenced(source_pieces(file), spans):
            original.update(before)
            changed.update(now)
            size += len(now)
            for block in blocks.compress(now):
                sink.write(block)
        if original.hexdigest() != audio["sha256"]:
            raise UnreadableError("The object is not what its row says: run `media-pipeline verify` for its day.")
        rest, index = blocks.finish()
        sink.write(rest)
        sink.commit(sha256=changed.hexdigest())
    store.put(key + INDEX_SUFFIX, index.encode())
    _read_back(store, key, changed.hexdigest())
    return Copy(key, size, changed.hexdigest())


def _read_back(store: ObjectStore, key: str, sha256: str) -> None:
    file = store.open(key)
    if file is not None:
        with file:
            if restored(file).sha256 == sha256:
                return
    store.remove(key)
    store.remove(key + INDEX_SUFFIX)
    raise UnreadableError("The copy did not read back as it was written, and was removed: check the store.")


__all__ = ["CannotSilence", "Copy", "Span", "write_silenced"]
