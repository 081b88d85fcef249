"""From a link to a verified object: stream once, hash and compress on the way, prove, then publish.

A broken download goes on where it stopped, also in another process; nothing is published unless size and checksum hold.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from media_pipeline.genesys.pacing import CallStats, Patience, TryAgain
from media_pipeline.genesys.source import MediaFile
from media_pipeline.storage.base import ObjectStore
from media_pipeline.transfer.exchange import Broken
from media_pipeline.transfer.http import OPERATION, MediaHttp, Reply
from media_pipeline.transfer.outcome import Effort, Ending, Stored
from media_pipeline.transfer.sink import GzipSink
from media_pipeline.transfer.spool import Identity, Spool
from media_pipeline.transfer.verdict import (
    SAYS_WHEN,
    Body,
    FreshLinkNeeded,
    StartOver,
    is_document,
    is_encoded,
    judged,
    refused_status,
    strong_etag,
    unsatisfied,
)

PROGRESS_BYTES = 64 * 1024
"""A broken download that got this far is continued at once; with less, it counts as a failed attempt."""
SLOW_WINDOW_SECONDS = 30.0
SLOW_WINDOW_BYTES = 30 * 1024
FRESH_LINKS = {"forbidden": 2, "no_file": 1, "not_media": 1, "md5_mismatch": 1}
"""How often a fresh link is asked for without progress, by what would hold otherwise."""


class Abandoned(Exception):
    """The run was stopped while this download was under way."""


@dataclass(slots=True)
class _State:
    media: MediaFile
    sink: GzipSink
    effort: Effort
    media_format: str | None
    etag: str | None = None
    total: int | None = None
    content_type: str | None = None
    furthest: int = 0

    def resume(self) -> None:
        """Go on with what an earlier run left of this file."""
        identity = self.sink.resume(self.media.size_bytes, self.media.md5)
        if identity is not None:
            self.etag, self.total, self.content_type = identity.etag, identity.total, identity.content_type
            self.effort.bytes_resumed = self.furthest = self.sink.size

    def accept(self, body: Body, etag: str | None, content_type: str | None) -> None:
        """A reply carries this file, from the body's start on."""
        if body.start < self.sink.size:
            self.restart()
        self.etag, self.total, self.content_type = etag, body.total, content_type
        if self.sink.outlives_the_process:
            self.sink.identify(Identity(self.media.size_bytes, self.media.md5, etag, body.total, content_type))

    def progressed(self) -> bool:
        """Whether the file got well further than ever before; a file that is begun again and again does not."""
        if self.sink.size < self.furthest + PROGRESS_BYTES:
            return False
        self.furthest = self.sink.size
        return True

    def restart(self) -> None:
        self.sink.restart()
        self.etag = self.total = None


class Downloader:
    """Downloads recordings into a store; safe to use from threads."""

    def __init__(
        self,
        http: MediaHttp,
        store: ObjectStore,
        spool: Spool,
        patience: Patience,
        stats: CallStats,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        """`guard` is called before an object gets its name; it raises where another run works there by now."""
        self._guard = guard
        self._http = http
        self._store = store
        self._spool = spool
        self._patience = patience
        self._stats = stats
        self._abandoned = threading.Event()

    def abandon(self) -> None:
        """Let downloads under way end soon, without a trace."""
        self._abandoned.set()

    def download(
        self,
        media: MediaFile,
        key: str,
        renew: Callable[[], MediaFile],
        effort: Effort,
        media_format: str | None = None,
    ) -> Stored:
        """Publish the media under the key; raises Ending, StorageError, and what `renew` raises.

        `media_format`: that of the listing, as what would be no recording may be just what a chat's file has to be.
        """
        renewed: Counter[str] = Counter()
        began_anew = False
        with GzipSink(self._store, key, self._spool, media.size_bytes) as sink:
            state = _State(media, sink, effort, media_format)
            state.resume()
            while True:
                try:
                    while not self._patience.run(lambda: self._step(state), OPERATION, self._stats):
                        renewed.clear()
                    return self._published(state)
                except Ending as ending:
                    if began_anew or ending.reason != "bad_range" or not sink.size:
                        raise
                    began_anew = True  # else what was kept would meet the same answer in the next run, and the next
                    state.restart()
                except FreshLinkNeeded as needed:
                    if state.progressed():
                        renewed.clear()
                    reason = needed.ending.reason
                    if renewed[reason] >= FRESH_LINKS[reason]:
                        if reason == "md5_mismatch":
                            state.restart()  # wrong bytes are not worth keeping for the next run
                        raise needed.ending from None
                    renewed[reason] += 1
                    self._renew(state, renew(), keep=reason == "forbidden")

    def _renew(self, state: _State, media: MediaFile, *, keep: bool) -> None:
        same = (media.size_bytes, media.md5) == (state.media.size_bytes, state.media.md5)
        state.media = media
        if not (keep and same):
            state.restart()
            state.sink.expect(media.size_bytes)

    def _step(self, state: _State) -> bool:
        """One request; True when the file is whole, False when it made progress, TryAgain when it did not."""
        if self._abandoned.is_set():
            raise Abandoned
        if state.media.link is None:
            raise Ending("no_file")
        if state.etag is None and state.media.md5 is None:
            state.restart()  # nothing can tell that a rest is of the same file (RFC 9110, 15.3.7.3)
        state.effort.attempts += 1
        try:
            with self._http.get(state.media.link, offset=state.sink.size, etag=state.etag) as reply:
                return self._taken(reply, state)
        except StartOver:
            state.restart()
            raise
        except Broken as broken:
            if state.progressed():
                return False
            got_some = state.sink.size > 0
            reason = "short_body" if got_some else "server_error"
            raise TryAgain(Ending(reason, f"The connection broke ({broken}).")) from None

    def _taken(self, reply: Reply, state: _State) -> bool:
        if error := refused_status(reply.status, reply.headers, _said(reply)):
            raise error
        etag = strong_etag(reply.headers)
        offset, expected = state.sink.size, state.media.size_bytes
        if expected is None and (reply.status != 200 or etag == state.etag):  # else it may be another file, whole
            expected = state.total
        if reply.status == 416:
            unsatisfied(reply.headers, offset=offset, expected=expected)
            return True
        if is_encoded(reply.headers):
            raise FreshLinkNeeded(
                Ending("not_media", "The download link answered with a Content-Encoding that was not asked for.")
            )
        beginning = b"" if reply.status == 206 and offset else reply.head()
        if is_document(reply.headers, beginning, state.media_format):
            raise FreshLinkNeeded(Ending("not_media", "The download link answered with a document."))
        if reply.status == 206 and offset and state.etag and etag != state.etag:
            if etag is not None or state.media.md5 is None:  # without a tag, only the checksum at the end can tell
                raise StartOver(Ending("bad_range", "The file changed while it was downloaded."))
            etag = state.etag
        body = judged(reply.status, reply.headers, offset=offset, expected=expected)
        if body.total is None and state.media.md5 is None:  # only a checksum can tell whether all came
            state.restart()
            raise Ending("unverifiable")
        state.accept(body, etag, reply.headers.get("Content-Type"))
        return self._streamed(reply, body, state)

    def _streamed(self, reply: Reply, body: Body, state: _State) -> bool:
        sink = state.sink
        end = body.total if body.end is None else body.end
        mark, mark_size = time.monotonic(), sink.size
        for piece in reply.pieces():
            if self._abandoned.is_set():
                raise Abandoned
            state.effort.bytes_fetched += len(piece)
            if end is not None and sink.size + len(piece) > end:
                raise StartOver(Ending("bad_range", "More bytes came than were announced."))
            sink.write(piece)
            now = time.monotonic()
            if now - mark >= SLOW_WINDOW_SECONDS:
                if sink.size - mark_size < SLOW_WINDOW_BYTES:
                    if state.progressed():
                        return False
                    raise TryAgain(Ending("too_slow"))
                mark, mark_size = now, sink.size
        return self._ended(body, state)

    def _ended(self, body: Body, state: _State) -> bool:
        size = state.sink.size
        if body.total is not None and size == body.total:
            return True
        if body.total is None:  # the checksum tells
            return True
        if size == body.end and size > state.furthest:  # all of a part that the server chose to keep short
            state.furthest = size
            return False
        if state.progressed():
            return False
        raise TryAgain(Ending("short_body"))

    def _published(self, state: _State) -> Stored:
        sink, media = state.sink, state.media
        if sink.size == 0:
            raise Ending("zero_bytes")
        md5, sha256 = sink.digests()
        if media.md5 is not None and media.md5 != md5:
            raise FreshLinkNeeded(Ending("md5_mismatch"))
        self._guard()
        return Stored(
            media=media,
            source_size_bytes=sink.size,
            stored_size_bytes=sink.publish(),
            md5=md5,
            sha256=sha256,
            integrity_basis="source_md5" if media.md5 is not None else "length_and_range",
            content_type=media.content_type or state.content_type,
        )


def _said(reply: Reply) -> str:
    """What a server that is busy says of itself."""
    with suppress(Broken):
        if reply.status in SAYS_WHEN:
            return reply.head().decode("latin-1")
    return ""
