"""What a reply to a ranged request means: pure functions over status, headers and first bytes. No I/O.

Source of the rules: RFC 9110, sections 14 and 15; never trust a reply that contradicts itself or the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from media_pipeline.genesys.pacing import TryAgain, retry_after_seconds
from media_pipeline.transfer.outcome import Ending

_SIZE = r"\d{1,18}"
"""Longer ones are no size of a file, and from 4,301 digits on Python refuses to read them."""
_CONTENT_RANGE = re.compile(rf"bytes ({_SIZE})-({_SIZE})/({_SIZE}|\*)\Z", re.IGNORECASE)
_LENGTH = re.compile(rf"{_SIZE}\Z")
_UNSATISFIED = re.compile(rf"bytes \*/({_SIZE})\Z", re.IGNORECASE)
SAYS_WHEN = (429, 503)
"""Replies whose text may say how long to wait, as Genesys Cloud's do."""
_STRONG_ETAG = re.compile(r'"[^"]+"\Z')
_DOCUMENT_TYPES = ("text/html", "text/xml", "application/xml", "application/xhtml+xml", "application/json")
_PLAIN_CODINGS = {"", "identity", "aws-chunked"}
"""The last is how an upload was framed; S3-compatible stores keep it as metadata of plain bytes."""
_TEXT_FORMATS = ("json", "html", "htm", "xml", "eml", "txt", "text", "csv")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UNPRINTED = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_DOCUMENT = re.compile(
    rb"\s*(?:\xef\xbb\xbf)?\s*(?:<\?xml|<!doctype|<!--|<[a-z][a-z0-9:._-]{0,99}(?:\s|/?>)|\{\s*[\"}]|\[\s*[{\"\]])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes `start` to `end` (exclusive) of a file of `total` bytes; None where the reply does not announce it."""

    start: int
    end: int | None
    total: int | None


class FreshLinkNeeded(Exception):
    """The link no longer serves the file; `ending` is what holds if a fresh one does not either."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


class StartOver(TryAgain):
    """What was received so far does not belong to the file any more."""


def refused_status(status: int, headers: Mapping[str, str], message: str = "") -> Exception | None:
    """The error that a status other than 200, 206 and 416 stands for; the reply's text may say how long to wait."""
    if status in (200, 206, 416):
        return None
    if status in (401, 403):
        return FreshLinkNeeded(Ending("forbidden", f"The download link was refused (HTTP {status}), also when fresh."))
    if status in (404, 410):
        return FreshLinkNeeded(Ending("no_file", f"The download link leads nowhere (HTTP {status}), also when fresh."))
    if status == 429:
        return TryAgain(Ending("rate_limited"), retry_after_seconds=retry_after_seconds(headers, message))
    if status >= 500 or status == 408:
        return TryAgain(Ending("server_error"), retry_after_seconds=retry_after_seconds(headers, message))
    return FreshLinkNeeded(Ending("not_media", f"The download link answered HTTP {status}."))


def is_document(headers: Mapping[str, str], head: bytes, media_format: str | None = None) -> bool:
    """Whether text, HTML, XML or JSON came instead of media, or the bytes are encoded.

    `head`: the file's first bytes; empty for a later part, whose bytes may look like anything. Chats and e-mails are
    documents: what they may look like is told by their format. Where a format is known, plain text has to look so too:
    some servers call each file text whose name they do not know.
    """
    if is_encoded(headers):
        return True
    if media_format in _TEXT_FORMATS:
        return media_format == "json" and head.lstrip().startswith(b"<")
    kinds = [kind.split(";")[0].strip().lower() for kind in headers.get("Content-Type", "").split(",")]
    if any(kind in _DOCUMENT_TYPES or kind.endswith(("+json", "+xml")) for kind in kinds):
        return True
    if media_format and head and "text/plain" in kinds and not _UNPRINTED.search(head):
        return True
    if head.startswith(_UTF16):
        head = head[2:].replace(b"\0", b"")
    return _DOCUMENT.match(head) is not None


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether the bytes are encoded although none of it was asked for, so that sizes and ranges mean nothing."""
    codings = {coding.strip().lower() for coding in headers.get("Content-Encoding", "").split(",")}
    return not codings <= _PLAIN_CODINGS


def judged(status: int, headers: Mapping[str, str], *, offset: int, expected: int | None) -> Body:
    """Which bytes a 200 or 206 carries; raises TryAgain when that is not what was asked for."""
    length = _length(headers)
    if status == 200:  # the whole file, whatever was asked: never appended
        body = Body(0, length, expected if length is None else length)
    else:
        if headers.get("Content-Type", "").strip().lower().startswith("multipart/"):  # RFC 9110, 15.3.7.2
            raise TryAgain(Ending("bad_range", "A partial reply came in parts, although one was asked for."))
        found = _CONTENT_RANGE.match(headers.get("Content-Range", "").strip())
        if found is None:
            raise TryAgain(Ending("bad_range", "A partial reply did not say which part it is."))
        start, end = int(found[1]), int(found[2]) + 1
        total = expected if found[3] == "*" else int(found[3])
        if start != offset or end <= start or (total is not None and end > total):
            raise TryAgain(Ending("bad_range", "A partial reply was not the part asked for."))
        if length is not None and length > end - start:
            raise TryAgain(Ending("bad_range", "A partial reply was longer than the part it claims to be."))
        if total is None:
            raise TryAgain(Ending("bad_range", "A partial reply did not say how long the file is."))
        body = Body(start, end, total)
    if expected is not None and body.total is not None and body.total != expected:
        reason = "short_body" if body.total < expected else "bad_range"
        raise TryAgain(Ending(reason, "The download's size differs from the size the source states."))
    return body


def unsatisfied(headers: Mapping[str, str], *, offset: int, expected: int | None) -> None:
    """Judge a 416: returns when the file is whole already; raises Ending(zero_bytes) or StartOver."""
    found = _UNSATISFIED.match(headers.get("Content-Range", "").strip())
    total = int(found[1]) if found else None
    if total == 0 and offset == 0 and not expected:
        raise Ending("zero_bytes")
    if offset and total == offset and expected in (None, total):
        return
    raise StartOver(Ending("bad_range", "The range asked for lies outside the file."))


def strong_etag(headers: Mapping[str, str]) -> str | None:
    """The entity tag, unless it is weak: a weak one cannot vouch for bytes."""
    etag = headers.get("ETag", "").strip()
    return etag if _STRONG_ETAG.match(etag) else None


def _length(headers: Mapping[str, str]) -> int | None:
    value = headers.get("Content-Length", "").strip()
    return int(value) if _LENGTH.match(value) else None
