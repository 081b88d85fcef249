"""What a request asks for, and who asks: from an ASGI scope to plain values. Raises Refusal."""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

from media_pipeline.playback.conditions import Conditions
from media_pipeline.playback.links import LinkKeys
from media_pipeline.playback.refusals import refused

LISTEN, REDACTED = "listen", "listen-redacted"
"""Scopes of a token that may play any recording: as it is, or with silence where its transcript is redacted."""
MAX_ID_CHARACTERS = 512
_FILE = re.compile(r"\d{1,4}\Z", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_PARAMETERS = ("file", "date", "link", "download")


class Caller(Protocol):
    """Whose token a request carries."""

    @property
    def name(self) -> str:
        """What logs call them."""

    @property
    def scopes(self) -> frozenset[str]:
        """What the token may do."""


@dataclass(frozen=True, slots=True)
class Request:
    """One GET or HEAD of a file of a recording; `by`: what let it in, `token` or `link`. `redacted`: with silence."""

    method: str
    recording_id: str
    file_index: int
    day: dt.date | None
    download: bool
    conditions: Conditions
    subject: str
    by: str
    redacted: bool

    @property
    def listener(self) -> str:
        """The subject, told from one of the same name that came in otherwise."""
        return f"{self.by}:{self.subject}"


def understood(
    scope: Any, recording_id: str, callers: Callable[[str], Caller | None], keys: LinkKeys | None
) -> Request:
    """The request in this scope; raises Refusal when it is not understood or nobody may make it."""
    headers = _headers(scope["headers"])
    nameless = not headers.get("authorization")
    if nameless and b"link=" not in scope["query_string"]:  # before anything else is said
        raise refused("no_credentials")
    query = _query(scope["query_string"])
    if nameless and "link" not in query:
        raise refused("no_credentials")
    day, file_text, download = query.get("date"), query.get("file", "0"), query.get("download", "0")
    if not _FILE.match(file_text) or (day is not None and not _DAY.match(day)) or download not in ("0", "1"):
        raise refused("bad_request")
    try:
        wanted = None if day is None else dt.date.fromisoformat(day)
    except ValueError:
        raise refused("bad_request") from None
    asked = (recording_id, int(file_text))
    who = admitted(headers.get("authorization", ()), query.get("link"), asked, download == "1", callers, keys)
    if len(recording_id) > MAX_ID_CHARACTERS:
        raise refused("not_found")
    conditions = Conditions(
        if_match=headers.get("if-match", ()),
        if_none_match=headers.get("if-none-match", ()),
        if_modified_since=headers.get("if-modified-since", ()),
        if_unmodified_since=headers.get("if-unmodified-since", ()),
        if_range=headers.get("if-range", ()),
        range=headers.get("range", ()),
    )
    return Request(scope["method"], *asked, wanted, download == "1", conditions, who.subject, who.by, who.redacted)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who may play it, by what (see Request), and with which scope."""

    subject: str
    by: str
    scope: str
    expires: int | None = None

    @property
    def redacted(self) -> bool:
        """Whether they hear silence where the transcript is redacted."""
        return self.scope == REDACTED


def token_in(authorization: str) -> str:
    """The token of an Authorization field: Bearer's, or as a browser sends it, Basic's password; empty for neither."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def admitted(
    authorization: Sequence[str],
    link: str | None,
    asked: tuple[str, int],
    download: bool,
    callers: Callable[[str], Caller | None],
    keys: LinkKeys | None,
) -> Admitted:
    """Who it is. Where there are both a token and a link, both must hold and be one's own; raises Refusal.

    A browser that has shown a page to a token sends it along as Basic's password: fine for what only reads.
    """
    caller = None
    if authorization:
        token = token_in(authorization[0]) if len(authorization) == 1 else ""
        caller = callers(token) if token else None
        if caller is None:
            raise refused("unknown_token")
        if link is None:
            scope = next((each for each in (LISTEN, REDACTED) if each in caller.scopes), None)
            if scope is None or (download and scope == REDACTED):
                raise refused("missing_scope")
            return Admitted(caller.name, "token", scope)
    if link is None:
        raise refused("no_credentials")
    if keys is None:
        raise refused("link_forged")
    claims = keys.verified(link)
    if (claims.recording_id, claims.file_index) != asked:
        raise refused("link_for_other")
    if caller is not None and caller.name != claims.subject:
        raise refused("link_of_other")
    if download and claims.scope != "download":
        raise refused("no_download")
    return Admitted(claims.subject, "link", claims.scope, claims.expires)


def _headers(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, tuple[str, ...]]:
    """All lines of each field; blank ones are as good as absent."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in fields:
        text = value.decode("latin-1").strip(" \t")
        if text:
            key = name.decode("latin-1").lower()
            found[key] = (*found.get(key, ()), text)
    return found


def _query(text: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise refused("bad_request") from None
    known = [(name, value) for name, value in pairs if name in _PARAMETERS and value]  # an empty one says nothing
    found = dict(known)
    if len(found) < len(known):
        raise refused("bad_request")
    return found
