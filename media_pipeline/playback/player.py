"""From a request to an open recording and its reply: the archive first, then the source. Blocking; no ASGI.

Everything here runs in threads: `at_once` in few, as it never waits for anything but the store, `patiently` in many.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

from media_pipeline.genesys.source import ListedRecording
from media_pipeline.playback.archived import Archived, ArchivedMedia, StaleError
from media_pipeline.playback.catalogue import Catalogue, Entry
from media_pipeline.playback.conditions import Validators
from media_pipeline.playback.naming import disposition, safe_type
from media_pipeline.playback.plays import Plays, Sitting
from media_pipeline.playback.redacted import RedactedMedia, Redactions
from media_pipeline.playback.refusals import Refusal, refused
from media_pipeline.playback.reply import Facts, Piece, Reply, reply_to
from media_pipeline.playback.requests import Request
from media_pipeline.playback.upstream import ChangedError, Upstream, UpstreamMedia
from media_pipeline.storage.base import StorageError
from media_pipeline.storage.ranges import MissingError, UnreadableError
from media_pipeline.transfer.outcome import EMPTY, STORED


class Media(Protocol):
    """An open recording, archived or not."""

    def pieces(self, span_start: int, span_stop: int, /) -> Iterator[bytes]:
        """Its bytes of a span, each piece fetched when it is asked for."""

    def abort(self) -> None:
        """From another thread: let whoever waits for a piece go on, to end."""

    def close(self) -> None:
        """Let go of it."""


class Playing:
    """A reply under way: its first piece is here, so that what can fail has not failed."""

    def __init__(self, reply: Reply, media: Media, plays: Plays) -> None:
        self.reply = reply
        self.first: bytes | None = None
        """The body's first piece, None where there is no body."""
        self.media_bytes = 0
        """Of what was handed out, those of the recording."""
        self._media, self._plays = media, plays
        self._sitting: Sitting | None = None
        self._rest = self._body(reply.pieces)
        self._lock = threading.Lock()
        self._closed = False

    def begin(self, sitting: Callable[[], Sitting]) -> None:
        """Take the first piece, then write down that it is played."""
        self.first = next(self._rest)
        if isinstance(self.reply.pieces[0], bytes):
            self.first += next(self._rest)
        self._sitting = sitting()

    def next(self) -> bytes | None:
        """The next piece, None at the end or after `close`; raises what `pieces` raises."""
        with self._lock:
            return None if self._closed else next(self._rest, None)

    def abort(self) -> None:
        """End a `next` that waits in another thread."""
        self._media.abort()

    def close(self) -> None:
        """Let go of all, and write down what was played; waits for a `next` under way."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._rest.close()
            self._media.close()
        if self._sitting is not None:
            self._plays.served(self._sitting, self.media_bytes)

    def _body(self, pieces: Sequence[Piece]) -> Generator[bytes, None, None]:
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            for data in self._media.pieces(*piece):
                self.media_bytes += len(data)
                yield data


class Player:
    """Finds recordings and opens them; safe to use from threads."""

    def __init__(
        self, catalogue: Catalogue, archived: Archived, redactions: Redactions, upstream: Upstream, plays: Plays
    ) -> None:
        self._catalogue, self._archived, self._redactions = catalogue, archived, redactions
        self._upstream, self._plays = upstream, plays

    def at_once(self, request: Request) -> Playing | None:
        """What the archive has as far as the catalogue knows; None when it takes another look. Raises Refusal."""
        try:
            entry = self._catalogue.find(request.recording_id, request.file_index, request.day)
            return self._archive(request, entry) if entry is not None and entry.status == STORED else None
        except (StaleError, UnreadableError):
            return None
        except StorageError:
            raise refused("archive_unavailable") from None

    def patiently(self, request: Request) -> Playing:
        """The archive by tables as they are now, else the source; raises Refusal."""
        problem: Refusal | None = None
        entry: Entry | None = None
        try:
            self._catalogue.refresh()
            entry = self._catalogue.find(request.recording_id, request.file_index, request.day)
            if entry is not None and entry.status == STORED:
                return self._archive(request, entry)
        except TimeoutError:
            raise refused("being_indexed") from None
        except StorageError:
            raise refused("archive_unavailable") from None
        except (StaleError, MissingError):
            pass
        except UnreadableError:
            problem = refused("damaged")
        if entry is not None and entry.status == EMPTY:
            raise refused("no_file")
        if entry is None and self._is_known_otherwise(request):
            raise refused("not_found")
        if request.redacted:  # of what is not archived, nobody knows the words
            raise problem or refused("not_found" if entry is None else "not_redactable")
        try:
            return self._source(request, _listed(request, entry), entry)
        except Refusal as refusal:
            if problem is not None and refusal.status >= 400 and refusal.status not in (412, 416):
                raise problem from None
            raise

    def can_redact(self, entry: Entry) -> bool:
        """Whether it can be played with silence where its transcript is redacted."""
        if entry.status != STORED:
            return False
        try:
            media = self._archived.open(entry)
        except (StaleError, UnreadableError, StorageError):
            return False
        try:
            self._redactions.applied(media, entry)
        except (Refusal, UnreadableError, StorageError):
            return False
        finally:
            media.close()
        return True

    def close(self) -> None:
        """Close connections, and write down what is open."""
        self._upstream.close()
        self._plays.close()
        self._catalogue.close()

    def _is_known_otherwise(self, request: Request) -> bool:
        """Whether the archive knows the recording, but not this file of it, or not on this day."""
        try:
            return self._catalogue.knows(request.recording_id)
        except StorageError:
            raise refused("archive_unavailable") from None

    def _archive(self, request: Request, entry: Entry) -> Playing:
        media, tag = self._opened(request, entry)
        content_type = safe_type(entry.content_type, entry.format)
        facts = Facts(
            size=media.size,
            validators=Validators(f'"{tag}"', media.modified),
            content_type=content_type,
            disposition=disposition(entry.file_name, entry.recording_id, content_type, download=request.download),
            ranged=media.ranged,
            immutable=tag == entry.sha256 and not request.redacted,  # a transcript may be redacted anew
        )
        return self._begun(request, media, facts)

    def _opened(self, request: Request, entry: Entry) -> tuple[ArchivedMedia | RedactedMedia, str | None]:
        """What they may hear of it, and the hash that stands for it."""
        original = self._archived.open(entry)
        if not request.redacted:
            return original, entry.sha256
        try:
            media = self._redactions.applied(original, entry)
        except BaseException:
            original.close()
            raise
        return media, media.tag if isinstance(media, RedactedMedia) else entry.sha256

    def _source(self, request: Request, listed: ListedRecording, entry: Entry | None) -> Playing:
        anew = bool(request.conditions) or request.method == "HEAD"
        for last in (False, True):
            media = self._upstream.open(listed, anew=anew or last)
            known = media.known
            content_type = safe_type(known.content_type, None)
            name = known.media.file_name or (entry.file_name if entry else None)
            facts = Facts(
                size=known.size,
                validators=known.validators,
                content_type=content_type,
                disposition=disposition(name, listed.recording_id, content_type, download=request.download),
                ranged=known.ranged,
                immutable=False,
            )
            try:
                return self._begun(request, media, facts)
            except ChangedError:
                continue
        raise refused("not_media")

    def _begun(self, request: Request, media: Media, facts: Facts) -> Playing:
        try:
            playing = Playing(reply_to(request.method, request.conditions, facts), media, self._plays)
            if playing.reply.pieces:
                playing.begin(
                    lambda: self._plays.begin(
                        subject=request.subject,
                        recording_id=request.recording_id,
                        file_index=request.file_index,
                        by=request.by,
                        source=_source_of(media),
                    )
                )
            return playing
        except BaseException:
            media.close()
            raise


def _source_of(media: Media) -> str:
    """As the log has it."""
    if isinstance(media, UpstreamMedia):
        return "upstream"
    return "archive_redacted" if isinstance(media, RedactedMedia) else "archive"


def _listed(request: Request, entry: Entry | None) -> ListedRecording:
    """What the source needs to find it."""
    return ListedRecording(
        recording_id=request.recording_id,
        conversation_id=None if entry is None else entry.conversation_id,
        file_index=request.file_index,
        media_type=None,
        format=None,
        started_at=None,
        duration_seconds=None,
        file_state="available",
    )
