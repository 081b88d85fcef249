"""The first 64 KB of a media file: from the archive where it is stored, else by one ranged GET of its link."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from media_pipeline.genesys.errors import GenesysError, PermissionMissing
from media_pipeline.genesys.pacing import CallStats, Patience, TryAgain
from media_pipeline.interactions.content import HEAD_BYTES
from media_pipeline.storage.base import ObjectStore
from media_pipeline.transfer.exchange import Broken
from media_pipeline.transfer.http import OPERATION, MediaHttp, Reply
from media_pipeline.transfer.outcome import Ending
from media_pipeline.transfer.verdict import FreshLinkNeeded, judged, refused_status, unsatisfied

OBJECT_BYTES = HEAD_BYTES + 16 * 1024
"""So much of a gzip object holds 64 KB of its source, also where gzip made it longer."""
GZIP_WINDOW = 31
"""zlib's window bits for a gzip stream."""

Renew = Callable[[], str | None]
"""Gives a fresh link, None when there is none; raises GenesysError."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first bytes of a file; `whole`: they are all of it."""

    data: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class Beginnings:
    """Reads beginnings; safe to use from threads."""

    store: ObjectStore
    http: MediaHttp
    patience: Patience
    stats: CallStats

    def of_object(self, key: str, source_size_bytes: int) -> Beginning | None:
        """The source's first bytes out of a gzip object; None when there is no such object or it cannot be read."""
        packed = self.store.read_range(key, 0, OBJECT_BYTES)
        data = b""
        try:
            while packed and len(data) < HEAD_BYTES:  # a blocked object is many gzip members
                member = zlib.decompressobj(GZIP_WINDOW)
                data += member.decompress(packed, HEAD_BYTES - len(data))
                packed = member.unused_data
        except zlib.error:
            return None
        return Beginning(data, source_size_bytes <= len(data)) if packed is not None else None

    def of_link(self, link: str | None, renew: Renew) -> Beginning:
        """The first bytes behind a link, with a fresh one if that is refused; raises Ending."""
        for fresh in (False, True):
            try:
                target = fresh_link(renew) if fresh or link is None else link
                return self.patience.run(lambda link=target: self._asked(link), OPERATION, self.stats)  # type: ignore[misc]
            except FreshLinkNeeded as needed:
                ending = needed.ending
        raise ending

    def _asked(self, link: str) -> Beginning:
        try:
            with self.http.get(link, offset=0, length=HEAD_BYTES, etag=None) as reply:
                return _taken(reply)
        except Broken as broken:
            raise TryAgain(Ending("server_error", f"The connection broke ({broken}).")) from None


def fresh_link(renew: Renew) -> str:
    """A fresh link; raises Ending with the source's reason where there is none."""
    try:
        link = renew()
    except GenesysError as error:
        if error.permanent and not isinstance(error, PermissionMissing):
            raise
        raise Ending(error.reason, str(error)) from None
    if link is None:
        raise Ending("no_file")
    return link


def _taken(reply: Reply) -> Beginning:
    if error := refused_status(reply.status, reply.headers):
        raise error
    if reply.status == 416:
        try:
            unsatisfied(reply.headers, offset=0, expected=None)
        except Ending:
            return Beginning(b"", whole=True)
    body = judged(reply.status, reply.headers, offset=0, expected=None)
    data = bytearray()
    for piece in reply.pieces():
        data += piece[: HEAD_BYTES - len(data)]
        if len(data) >= HEAD_BYTES:
            break
    announced = body.end if body.end is not None else body.total
    if announced is not None and len(data) < min(announced, HEAD_BYTES):
        raise TryAgain(Ending("short_body"))
    return Beginning(bytes(data), whole=body.total is not None and body.total <= len(data))
