"""Hashes and compresses a stream on its way into an object that appears only when told to.

The object is blocked gzip with its index beside it. What does not fit in one chunk goes through the spool, so that a
killed run's bytes are continued by the next one; blocks do not depend on how the network cut the stream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.bgzf import NOTHING_YET, BlockCompressor, Checkpoint
from media_pipeline.storage.gzi import INDEX_SUFFIX
from media_pipeline.storage.ranges import UnreadableError, source_range, torn_checkpoint
from media_pipeline.transfer.spool import Identity, Partial, Spool

IN_MEMORY_BYTES = 1024 * 1024
"""Sources up to this size never touch the spool: fetching so little twice is allowed, two more files a call are not."""


class GzipSink:
    """MD5, SHA-256 and blocked gzip of what is written; memory stays below two chunks."""

    def __init__(self, store: ObjectStore, key: str, spool: Spool, expected_bytes: int | None) -> None:
        self._store = store
        self._key = key
        self._spool = spool
        self._partial: Partial | None = None if _is_small(expected_bytes) else spool.partial(key)
        self._begin(NOTHING_YET)

    def __enter__(self) -> GzipSink:
        return self

    def __exit__(self, *_: object) -> None:
        if self._partial is not None:
            self._partial.close()

    @property
    def outlives_the_process(self) -> bool:
        """Whether a later run can go on with what is written."""
        return self._partial is not None

    def resume(self, size_bytes: int | None, md5: str | None) -> Identity | None:
        """Go on with an earlier run's bytes if they are of the file that the source describes; else start empty."""
        identity = self._partial.identity() if self._partial is not None else None
        if self._partial is None or self._partial.size == 0 or identity is None or not identity.holds(size_bytes, md5):
            self.restart()
            return None
        try:
            checkpoint = torn_checkpoint(self._partial.read)
            self._begin(checkpoint)
            for piece in source_range(self._partial.read, checkpoint.index(), 0, checkpoint.source_offset):
                self._hash(piece)
        except UnreadableError:
            self.restart()
            return None
        self._partial.cut(checkpoint.object_offset)
        return identity

    def restart(self) -> None:
        """Throw away all that was written and begin again."""
        if self._partial is not None:
            self._partial.cut(0)
        if self.size:
            self._begin(NOTHING_YET)

    def expect(self, size_bytes: int | None) -> None:
        """Make room for a source of another size, before the first of its bytes is written."""
        if self._partial is None and not _is_small(size_bytes):
            self._partial = self._spool.partial(self._key)
            self._partial.cut(0)

    def identify(self, identity: Identity) -> None:
        """Remember whose bytes these are, before the first is written."""
        if self.size == 0 and self._partial is not None:
            self._partial.identify(identity)

    def write(self, data: bytes | memoryview) -> None:
        """Take the next source bytes."""
        self.size += len(data)
        self._hash(data)
        if pieces := self._blocks.compress(data):
            self._keep(pieces)

    def digests(self) -> tuple[str, str]:
        """MD5 and SHA-256 in hex of all that was written."""
        return self._md5.hexdigest(), self._sha256.hexdigest()

    def publish(self) -> int:
        """Give the object its final name, durable with the store's next flush at the latest; its size in bytes."""
        rest, index = self._blocks.finish()
        self._keep([rest])
        sha256 = self._sha256.hexdigest()
        if self._partial is None:
            size = self._store.put_pieces(self._key, self._pieces, sha256=sha256, soon=True)
        else:
            size = self._store.publish(Path(self._partial.path), self._key, sha256=sha256, soon=True)
            self._partial.published()
        # After the object, and not synced: a reader that meets an older or a torn index notices, and rebuilds it.
        self._store.put(self._key + INDEX_SUFFIX, index.encode(), durable=False)
        return size

    def _begin(self, checkpoint: Checkpoint) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._blocks = BlockCompressor(checkpoint)
        self._pieces: list[bytes] = []
        self.size = checkpoint.source_offset

    def _hash(self, data: bytes | memoryview) -> None:
        self._md5.update(data)
        self._sha256.update(data)

    def _keep(self, pieces: Sequence[bytes]) -> None:
        if self._partial is None:
            self._pieces += pieces
        else:
            self._partial.write(pieces)


def _is_small(size_bytes: int | None) -> bool:
    return size_bytes is not None and size_bytes <= IN_MEMORY_BYTES
