"""From a request's fields and the facts of a recording to status, headers and the spans to send. No I/O.

Source: RFC 9110, sections 13 to 15. Nothing the source of a recording said reaches a header unchecked.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate

from media_pipeline.playback.conditions import Conditions, Validators, judged, range_holds
from media_pipeline.playback.ranges import Span, Unsatisfiable, spans_of
from media_pipeline.playback.refusals import Refusal

IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATED = "private, no-cache"
"""Of what is not archived: it may be tomorrow, and then bears another tag."""
BOUNDARY_BYTES = 18

Headers = list[tuple[str, str]]
Piece = bytes | Span
"""Of a body: bytes as they are, or a span of the recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a recording's bytes: size in bytes, validators, and a type and disposition fit for a header.

    `ranged`: whether any byte can be had without those before it. `immutable`: whether the tag stands for the content.
    """

    size: int
    validators: Validators
    content_type: str
    disposition: str
    ranged: bool
    immutable: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What is to be sent; a HEAD's has no pieces."""

    status: int
    headers: Headers
    pieces: Sequence[Piece] = ()


def reply_to(method: str, asked: Conditions, facts: Facts) -> Reply:
    """The reply to a GET or HEAD; raises Refusal for 412 and 416."""
    outcome = judged(asked, facts.validators)
    if outcome == "not_modified":
        return Reply(304, _kept(facts) if facts.validators.etag else _validators(facts))
    if outcome == "failed":
        raise Refusal(412, "precondition_failed", _validators(facts))
    spans = None
    if method == "GET" and facts.ranged and len(asked.range) == 1 and range_holds(asked, facts.validators):
        try:
            spans = spans_of(asked.range[0], facts.size)
        except Unsatisfiable:
            unsatisfied = [("Content-Range", f"bytes */{facts.size}"), ("Accept-Ranges", "bytes")]
            raise Refusal(416, "range_not_satisfiable", unsatisfied) from None
    common = [
        *_validators(facts),
        ("Accept-Ranges", "bytes" if facts.ranged else "none"),
        ("Content-Disposition", facts.disposition),
    ]
    if spans is None:
        whole = [("Content-Type", facts.content_type), ("Content-Length", str(facts.size))]
        return Reply(200, common + whole, [Span(0, facts.size)] if method == "GET" else ())
    if len(spans) == 1:
        span = spans[0]
        part = [
            ("Content-Type", facts.content_type),
            ("Content-Length", str(span.stop - span.start)),
            ("Content-Range", _content_range(span, facts.size)),
        ]
        return Reply(206, common + part, spans)
    return _multipart(common, facts, spans)


def _multipart(common: Headers, facts: Facts, spans: Sequence[Span]) -> Reply:
    boundary = secrets.token_hex(BOUNDARY_BYTES)
    pieces: list[Piece] = []
    for number, span in enumerate(spans):
        head = "\r\n" if number else ""
        head += f"--{boundary}\r\nContent-Type: {facts.content_type}\r\n"
        head += f"Content-Range: {_content_range(span, facts.size)}\r\n\r\n"
        pieces += [head.encode("ascii"), span]
    pieces.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    length = sum(len(piece) if isinstance(piece, bytes) else piece.stop - piece.start for piece in pieces)
    parts = [("Content-Type", f"multipart/byteranges; boundary={boundary}"), ("Content-Length", str(length))]
    return Reply(206, common + parts, pieces)


def _content_range(span: Span, size: int) -> str:
    return f"bytes {span.start}-{span.stop - 1}/{size}"


def _kept(facts: Facts) -> Headers:
    """What a cache keeps beside a recording, of a reply that has an entity tag (section 15.4.5)."""
    kept = [("Cache-Control", IMMUTABLE if facts.immutable else REVALIDATED), ("Vary", "Authorization")]
    return kept + ([("ETag", facts.validators.etag)] if facts.validators.etag else [])


def _validators(facts: Facts) -> Headers:
    modified = facts.validators.modified
    return _kept(facts) + ([] if modified is None else [("Last-Modified", formatdate(modified, usegmt=True))])
