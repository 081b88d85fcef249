"""A film from its link to a file of the spool, whole and proved as far as the source lets us; never an object.

A small sibling of `transfer.download`: plain bytes to a local file, given up beyond a size, begun anew by the next run.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from media_pipeline.genesys.errors import GenesysError, PermissionMissing
from media_pipeline.genesys.pacing import CallStats, Patience, TryAgain
from media_pipeline.genesys.source import MediaFile
from media_pipeline.interactions.thumbnail import NoThumbnail
from media_pipeline.transfer.download import SLOW_WINDOW_BYTES, SLOW_WINDOW_SECONDS
from media_pipeline.transfer.exchange import Broken
from media_pipeline.transfer.http import OPERATION, MediaHttp, Reply
from media_pipeline.transfer.outcome import Effort, Ending
from media_pipeline.transfer.verdict import (
    FreshLinkNeeded,
    StartOver,
    is_document,
    judged,
    refused_status,
    strong_etag,
    unsatisfied,
)

FRESH_LINKS = 1
"""How often a link that does not serve the film is renewed."""

Resolve = Callable[[], MediaFile]


@dataclass(slots=True)
class _State:
    file: IO[bytes]
    media: MediaFile
    effort: Effort
    size: int = 0
    etag: str | None = None
    total: int | None = None

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.size, self.etag, self.total = 0, None, None


@dataclass(frozen=True, slots=True)
class Films:
    """Fetches films of at most so many bytes; safe to use from threads."""

    http: MediaHttp
    patience: Patience
    stats: CallStats
    most_bytes: int

    def fetch(self, path: Path, resolve: Resolve, effort: Effort) -> None:
        """Write the film to a new private file; raises Ending, NoThumbnail(empty, too_large), permanent errors."""
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b") as file:
            state = _State(file, self._resolved(resolve), effort)
            for renewals_left in reversed(range(FRESH_LINKS + 1)):
                try:
                    self.patience.run(lambda: self._step(state), OPERATION, self.stats)
                    _prove(state)
                    return
                except FreshLinkNeeded as needed:
                    if not renewals_left:
                        raise needed.ending from None
                    state.restart()
                    state.media = self._resolved(resolve)

    def _resolved(self, resolve: Resolve) -> MediaFile:
        try:
            media = resolve()
        except GenesysError as error:
            if error.permanent and not isinstance(error, PermissionMissing):
                raise
            raise Ending(error.reason, str(error)) from None
        if media.link is None:
            raise Ending("no_file")
        if media.size_bytes == 0:
            raise NoThumbnail("empty")
        self._refuse_large(media.size_bytes)
        return media

    def _refuse_large(self, size: int | None) -> None:
        if size is not None and size > self.most_bytes:
            raise NoThumbnail("too_large")

    def _step(self, state: _State) -> None:
        assert state.media.link is not None
        state.effort.attempts += 1
        try:
            with self.http.get(state.media.link, offset=state.size, etag=state.etag) as reply:
                self._taken(reply, state)
        except StartOver:
            state.restart()
            raise
        except (Broken, TryAgain) as error:
            if state.etag is None:  # nothing would prove that the rest is the same film's
                state.restart()
            if isinstance(error, TryAgain):
                raise
            raise TryAgain(Ending("server_error", f"The connection broke ({error}).")) from None

    def _taken(self, reply: Reply, state: _State) -> None:
        if error := refused_status(reply.status, reply.headers):
            raise error
        expected = state.media.size_bytes if state.media.size_bytes is not None else state.total
        if reply.status == 416:
            try:
                unsatisfied(reply.headers, offset=state.size, expected=expected)
            except Ending:
                raise NoThumbnail("empty") from None
            return
        if is_document(reply.headers, reply.head()):
            raise FreshLinkNeeded(Ending("not_media"))
        etag = strong_etag(reply.headers)
        if reply.status == 206 and state.size and etag != state.etag:
            raise StartOver(Ending("bad_range", "The film changed while it was fetched."))
        body = judged(reply.status, reply.headers, offset=state.size, expected=expected)
        self._refuse_large(body.total)
        if body.start < state.size:
            state.restart()
        state.etag, state.total = etag, body.total
        self._streamed(reply, state)
        if state.total is not None and state.size != state.total:
            raise TryAgain(Ending("short_body"))

    def _streamed(self, reply: Reply, state: _State) -> None:
        mark, mark_size = time.monotonic(), state.size
        for piece in reply.pieces():
            state.effort.bytes_fetched += len(piece)
            state.size += len(piece)
            self._refuse_large(state.size)
            state.file.write(piece)
            if time.monotonic() - mark >= SLOW_WINDOW_SECONDS:
                if state.size - mark_size < SLOW_WINDOW_BYTES:
                    raise TryAgain(Ending("too_slow"))
                mark, mark_size = time.monotonic(), state.size


def _prove(state: _State) -> None:
    state.file.flush()
    if state.size == 0:
        raise NoThumbnail("empty")
    if state.media.md5 is not None:
        state.file.seek(0)
        if hashlib.file_digest(state.file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() != state.media.md5:  # type: ignore[arg-type]
            raise FreshLinkNeeded(Ending("md5_mismatch"))
