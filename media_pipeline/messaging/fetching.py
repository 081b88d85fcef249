"""One guest's file from the source into a nameless temporary file: hashed and counted while it streams, cut when it is
too large. A process that is killed leaves nothing of it."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from media_pipeline.genesys.errors import NotFound
from media_pipeline.genesys.messaging_source import GuestFile, GuestReply, MessagingSource
from media_pipeline.genesys.pacing import CallStats, Patience, TryAgain
from media_pipeline.messaging.upload_policy import MAX_BYTES
from media_pipeline.storage.base import StorageError
from media_pipeline.transfer.exchange import Broken
from media_pipeline.transfer.http import MediaHttp
from media_pipeline.transfer.outcome import Ending
from media_pipeline.transfer.verdict import FreshLinkNeeded, is_document, judged, refused_status, unsatisfied

OPERATION = "guest_file"
IN_MEMORY_BYTES = 256 * 1024
DOWNLOAD_SECONDS = 60.0
"""One try of at most 10 MiB: whatever is slower than 175 KB/s is broken off and tried again."""
FETCHES = 2
"""Once more where what came is no file, does not have the source's hash or, without a hash, is less than was stated."""


class WrongHash(Exception):
    """The bytes differ from what the source says of them, twice."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Bytes in a file; cut when there are more of them than accepted: then `size` is more, and there is no hash."""

    file: IO[bytes]
    size: int
    sha256: str | None


class Fetcher:
    """Fetches guests' files; safe to use from threads."""

    def __init__(
        self, source: MessagingSource, http: MediaHttp, spool: Path, patience: Patience, stats: CallStats
    ) -> None:
        self._source, self._http, self._spool = source, http, spool
        self._patience, self._stats = patience, stats

    @contextmanager
    def fetched(
        self,
        conversation_id: str,
        message_id: str | None,
        file_id: str,
        claimed_sha256: str | None,
        stated_size: int | None = None,
    ) -> Iterator[Fetched]:
        """The file as long as the context lasts; raises GenesysError, Ending, WrongHash, StorageError.

        `stated_size` in bytes is the guest's word: it only decides whether less is fetched again, a reply that tore
        without saying its length.
        """
        with self._temporary() as file:
            yield self._fetch(file, conversation_id, message_id, file_id, claimed_sha256, stated_size or 0)

    def _fetch(
        self,
        file: IO[bytes],
        conversation_id: str,
        message_id: str | None,
        file_id: str,
        claimed: str | None,
        stated_size: int,
    ) -> Fetched:
        wrong: Exception = WrongHash()
        for left in reversed(range(FETCHES)):
            found = self._source.guest_file(conversation_id, message_id, file_id)
            try:
                size, sha256 = self._patience.run(lambda: self._once(file, found), OPERATION, self._stats)  # noqa: B023  called at once
            except FreshLinkNeeded as needed:
                wrong = needed.ending
                continue
            if size > MAX_BYTES:
                return Fetched(file, size, None)
            proof = found.sha256 or claimed
            if proof is None and size < stated_size and left:
                continue
            if proof in (None, sha256):
                return Fetched(file, size, sha256)
            wrong = WrongHash()
        if isinstance(wrong, Ending) and wrong.reason == "no_file":
            raise NotFound("The link to the file leads nowhere, also when fresh.")
        raise wrong

    def _once(self, file: IO[bytes], found: GuestFile) -> tuple[int, str]:
        """Size and hash of what one request brought; more than MAX_BYTES when there would be more."""
        until = time.monotonic() + DOWNLOAD_SECONDS
        file.seek(0)
        file.truncate()
        try:
            if isinstance(found.content, str):
                return self._by_link(file, found.content, until)
            with found.content(until) as reply:
                return self._taken(file, reply, until)
        except Broken as broken:
            raise TryAgain(Ending("short_body", f"The connection broke ({broken}).")) from None

    def _by_link(self, file: IO[bytes], link: str, until: float) -> tuple[int, str]:
        with self._http.get(link, offset=0, etag=None) as reply:
            if error := refused_status(reply.status, reply.headers):
                raise error
            if reply.status == 416:  # a range of nothing: the file is empty
                try:
                    unsatisfied(reply.headers, offset=0, expected=None)
                except Ending:
                    return 0, hashlib.sha256().hexdigest()
            announced = judged(reply.status, reply.headers, offset=0, expected=None).total
            size, sha256 = self._taken(file, GuestReply(reply.headers, map(bytes, reply.pieces())), until)
            if size <= MAX_BYTES and announced not in (None, size):
                raise TryAgain(Ending("short_body"))
            return size, sha256

    def _taken(self, file: IO[bytes], reply: GuestReply, until: float) -> tuple[int, str]:
        _refuse_document(reply.headers)
        size, digest = 0, hashlib.sha256()
        for piece in reply.pieces:
            size += len(piece)
            digest.update(piece)
            self._write(file, piece)
            if size > MAX_BYTES:
                break
            if time.monotonic() > until:
                raise TryAgain(Ending("too_slow"))
        return size, digest.hexdigest()

    def _write(self, file: IO[bytes], piece: bytes) -> None:
        try:
            file.write(piece)
        except OSError as error:
            raise _unusable(self._spool, error) from error

    def _temporary(self) -> IO[bytes]:
        try:
            self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, dir=str(self._spool))  # noqa: SIM115  the caller closes it
        except OSError as error:
            raise _unusable(self._spool, error) from error
        return cast("IO[bytes]", file)


def _refuse_document(headers: Mapping[str, str]) -> None:
    """A page of a proxy or a login is not the guest's file, whatever is in it: no such type is ever asked for."""
    if is_document(headers, b""):
        raise FreshLinkNeeded(Ending("not_media", "A document came instead of the file."))


def _unusable(spool: Path, error: OSError) -> StorageError:
    return StorageError(
        f"MEDIA_SPOOL cannot be written at {spool} ({error.strerror}): free space there or set it to a folder this "
        "user may write."
    )
