"""A recording that is not archived, played from its source: ranges asked for one by one, each reply proved.

A link is asked for once and kept in memory while it works; when it is refused, a fresh one is asked for, once and
without a word. What the source says of itself (tag, date, size) is taken over only in forms that are valid.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from media_pipeline.genesys.errors import Undeliverable
from media_pipeline.genesys.pacing import CallStats, Patience, TryAgain
from media_pipeline.genesys.source import ListedRecording, MediaFile, RecordingSource
from media_pipeline.playback.conditions import ENTITY_TAG, Validators, http_date
from media_pipeline.playback.ranges import Span
from media_pipeline.playback.refusals import refused
from media_pipeline.playback.source_failures import FAILURES, told
from media_pipeline.transfer.exchange import Broken
from media_pipeline.transfer.http import OPERATION, MediaHttp, Reply
from media_pipeline.transfer.outcome import Ending
from media_pipeline.transfer.verdict import FreshLinkNeeded, is_document, judged, refused_status, unsatisfied

LINK_SECONDS = 600.0
"""A link is used no longer than this; a presigned one may die before."""
LINKS = 2_000
MAX_TAG_CHARACTERS = 200
RESUMES = 3
"""How often a body that breaks off is gone on with, each time with some progress."""
PATIENCE = Patience(first_wait_seconds=0.3, deadline_seconds=5.0, retries=1)
"""A listener waits: one retry of a request that failed, and that soon."""
_VISIBLE = re.compile(r"[\x21-\x7e]*\Z")


class ChangedError(Exception):
    """The source has another version of the file than it had."""


@dataclass(frozen=True, slots=True)
class Known:
    """A link that works, and what its host said of the file; sizes in bytes. The link is a secret."""

    media: MediaFile
    size: int
    validators: Validators
    content_type: str | None
    ranged: bool
    asked: float


class UpstreamMedia:
    """One listener's view of one file at the source; pieces may be asked for from one thread at a time."""

    def __init__(self, upstream: Upstream, listed: ListedRecording, known: Known) -> None:
        self._upstream, self._listed, self.known = upstream, listed, known
        self._reply: Reply | None = None
        self._aborted = False

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The file's bytes of a span as they come; raises Refusal, ChangedError, and Broken for what broke off.

        Of a whole file with a stated MD5 the last piece is given out only if that holds.
        """
        md5 = self.known.media.md5 if (start, stop) == (0, self.known.size) else None
        digest = hashlib.md5(usedforsecurity=False) if md5 else None
        at, resumes, renewed = start, 0, False
        while at < stop:
            before, last = at, b""
            try:
                for piece in self._part(at, stop):
                    at += len(piece)
                    if digest is not None:
                        digest.update(piece)
                    if at < stop:
                        yield piece
                    else:
                        last = piece  # given out when the reply is done with, so that its connection is kept
            except FreshLinkNeeded as needed:
                if renewed or self._aborted:
                    raise told(needed) from None
                renewed = True
                self._renew()
                continue
            except (TryAgain, Ending) as error:
                raise told(error) from None
            except Broken as broken:
                resumes += 1
                if self._aborted or at == before or resumes > RESUMES or self.known.validators.etag is None:
                    raise told(broken) from None
                continue
            if at == before:
                raise refused("not_media")
            if digest is not None and at == stop and digest.hexdigest() != md5:
                self._upstream.forget(self._listed)
                raise refused("not_media")
            if last:
                yield last

    def abort(self) -> None:
        """From another thread: let the one that waits here go on, to end."""
        self._aborted = True
        reply = self._reply
        if reply is not None:
            reply.interrupt()

    def close(self) -> None:
        """Nothing is open between pieces."""

    def _renew(self) -> None:
        """A fresh link to the same version."""
        before = self.known
        try:
            self.known = self._upstream.known(self._listed, instead_of=before)
        except FAILURES as error:
            raise told(error) from None
        if (self.known.size, self.known.validators) != (before.size, before.validators):
            raise ChangedError

    def _part(self, start: int, stop: int) -> Iterator[bytes]:
        with self._upstream.asked(self.known.media, Span(start, stop), self.known.validators.etag) as reply:
            self._reply = reply
            if self._aborted:
                return
            try:
                yield from self._taken(reply, start, stop)
            finally:
                self._reply = None

    def _taken(self, reply: Reply, start: int, stop: int) -> Iterator[bytes]:
        known = self.known
        if reply.status == 416 or (reply.status == 200 and start):
            self._upstream.forget(self._listed)
            raise ChangedError
        if is_document(reply.headers, reply.head() if start == 0 else b""):
            raise FreshLinkNeeded(Ending("not_media"))
        if _validators(reply.headers).etag != known.validators.etag:
            self._upstream.forget(self._listed)
            raise ChangedError
        body = judged(reply.status, reply.headers, offset=start, expected=known.size)
        left = min(stop, known.size if body.end is None else body.end) - start
        for piece in reply.pieces():
            piece = piece[:left]
            left -= len(piece)
            yield bytes(piece)
            if not left:
                return
        raise Broken("ShortBody")


class Upstream:
    """Opens recordings at their source; safe to use from threads."""

    def __init__(self, source: Callable[[], RecordingSource], http: MediaHttp, stats: CallStats) -> None:
        """`source` connects when it is first needed; raises ConfigurationError where there is none."""
        self._connect, self._http, self._stats = source, http, stats
        self._source: RecordingSource | None = None
        self._known: OrderedDict[tuple[str, int], Known] = OrderedDict()
        self._asking: dict[tuple[str, int], tuple[threading.Lock, int]] = {}
        self._lock = threading.Lock()
        self._connecting = threading.Lock()

    def open(self, listed: ListedRecording, *, anew: bool) -> UpstreamMedia:
        """A file at its source; `anew` asks its host again what version it has. Raises Refusal."""
        try:
            return UpstreamMedia(self, listed, self.known(listed, anew=anew))
        except Undeliverable as error:  # to a source that knows recordings by their conversation, no id alone is known
            raise told(error) if listed.conversation_id else refused("not_found") from None
        except FAILURES as error:
            raise told(error) from None

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def forget(self, listed: ListedRecording) -> None:
        """What is known of a file does not hold any more."""
        with self._lock:
            self._known.pop((listed.recording_id, listed.file_index), None)

    def known(self, listed: ListedRecording, *, anew: bool = False, instead_of: Known | None = None) -> Known:
        """A link that works and what it leads to, another one than `instead_of`; `anew` asks its host again.

        Of those who want the same at the same time one asks, and the others take what it got.
        """
        name = (listed.recording_id, listed.file_index)
        before = self._known_of(name, instead_of)
        if before is not None and not anew:
            return before
        with self._alone(name):
            meanwhile = self._known_of(name, instead_of)
            if meanwhile is not None and meanwhile is not before:
                return meanwhile
            fresh = instead_of is not None
            if before is not None:
                try:
                    return self._keep(name, self._examined(before.media, before.asked))
                except FreshLinkNeeded:
                    fresh = True  # the one that follows is the fresh one
            try:
                return self._linked(name, listed)
            except FreshLinkNeeded:
                if fresh:
                    raise
                return self._linked(name, listed)

    def _known_of(self, name: tuple[str, int], instead_of: Known | None) -> Known | None:
        with self._lock:
            known = self._known.get(name)
        is_usable = known is not None and known is not instead_of and time.monotonic() - known.asked < LINK_SECONDS
        return known if is_usable else None

    @contextmanager
    def _alone(self, name: tuple[str, int]) -> Iterator[None]:
        with self._lock:
            asking, waiting = self._asking.get(name, (threading.Lock(), 0))
            self._asking[name] = asking, waiting + 1
        try:
            with asking:
                yield
        finally:
            with self._lock:
                asking, waiting = self._asking.pop(name)
                if waiting > 1:
                    self._asking[name] = asking, waiting - 1

    def _linked(self, name: tuple[str, int], listed: ListedRecording) -> Known:
        return self._keep(name, self._examined(self._resolved(listed), time.monotonic()))

    @contextmanager
    def asked(self, media: MediaFile, span: Span, etag: str | None) -> Iterator[Reply]:
        """A reply to a range whose status is one that carries bytes, or 416."""
        if media.link is None:
            raise Ending("no_file")
        strong = etag if etag and not etag.startswith("W/") else None
        length = span.stop - span.start
        with self._http.get(media.link, offset=span.start, etag=strong, length=length) as reply:
            if error := refused_status(reply.status, reply.headers):
                raise error
            yield reply

    def _keep(self, name: tuple[str, int], known: Known) -> Known:
        with self._lock:
            self._known[name] = known
            self._known.move_to_end(name)
            while len(self._known) > LINKS:
                self._known.popitem(last=False)
        return known

    def _resolved(self, listed: ListedRecording) -> MediaFile:
        with self._connecting:
            if self._source is None:
                self._source = self._connect()
        media = self._source.resolve(listed)
        if media.link is None:
            raise Ending("no_file")
        if media.size_bytes == 0:
            raise Ending("zero_bytes")
        return media

    def _examined(self, media: MediaFile, asked: float) -> Known:
        """Ask for the first byte: size, version, and whether ranges are obeyed."""
        return PATIENCE.run(lambda: self._first_byte(media, asked), OPERATION, self._stats)

    def _first_byte(self, media: MediaFile, asked: float) -> Known:
        try:
            with self.asked(media, Span(0, 1), None) as reply:
                if reply.status == 416:
                    unsatisfied(reply.headers, offset=0, expected=media.size_bytes)
                    raise Ending("bad_range")
                if is_document(reply.headers, b""):
                    raise FreshLinkNeeded(Ending("not_media"))
                body = judged(reply.status, reply.headers, offset=0, expected=media.size_bytes)
                if body.total is None:
                    raise Ending("unverifiable")
                if body.total == 0:
                    raise Ending("zero_bytes")
                return Known(
                    media=media,
                    size=body.total,
                    validators=_validators(reply.headers),
                    content_type=media.content_type or reply.headers.get("Content-Type"),
                    ranged=reply.status == 206,
                    asked=asked,
                )
        except Broken as broken:
            if "Timeout" in str(broken):
                raise
            raise TryAgain(broken) from None


def _validators(headers: Mapping[str, str]) -> Validators:
    """Tag and date, where they are what the RFC calls so."""
    etag = headers.get("ETag", "").strip()
    if len(etag) > MAX_TAG_CHARACTERS or not _VISIBLE.match(etag) or not ENTITY_TAG.match(etag):
        etag = ""
    return Validators(etag or None, http_date(headers.get("Last-Modified", "")))
