"""Objects that a killed run had published before it could say so: proved from their own bytes, not downloaded again."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from contextlib import suppress

from media_pipeline.genesys.source import MediaFile
from media_pipeline.storage.base import ObjectStore
from media_pipeline.transfer.outcome import Stored
from media_pipeline.transfer.sidecar import sidecar_key

_CHUNK_BYTES = 256 * 1024


def adopted(store: ObjectStore, key: str, media: MediaFile) -> Stored | None:
    """The object's facts when it restores to the file that the source describes now; None when nothing proves that.

    With the source's MD5 that is proof; else its size, together with the SHA-256 that the run wrote beside the object.
    """
    file = store.open(key)
    if file is None:
        return None
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    try:
        with file:
            stored_size = file.seek(0, 2)
            file.seek(0)
            with gzip.open(file) as source:
                while chunk := source.read(_CHUNK_BYTES):
                    md5.update(chunk)
                    sha256.update(chunk)
                    size += len(chunk)
    except (OSError, EOFError, zlib.error):
        return None
    if size == 0 or media.size_bytes not in (None, size):
        return None
    proved = media.md5 == md5.hexdigest() if media.md5 else media.size_bytes is not None and (
        _noted_sha256(store, key) == sha256.hexdigest()
    )  # fmt: skip
    if not proved:
        return None
    return Stored(
        media=media,
        source_size_bytes=size,
        stored_size_bytes=stored_size,
        md5=md5.hexdigest(),
        sha256=sha256.hexdigest(),
        integrity_basis="source_md5" if media.md5 else "length_and_range",
        content_type=media.content_type,
    )


def _noted_sha256(store: ObjectStore, key: str) -> str | None:
    file = store.open(sidecar_key(key))
    if file is not None:
        with file, suppress(ValueError):
            noted = json.load(file)
            return noted.get("sha256") if isinstance(noted, dict) else None
    return None
