"""Short-lived links to one file of one recording for one listener, signed with HMAC-SHA256. Knows no HTTP.

A link's token is `<claims>.<signature>`, both base64url without padding; the claims are canonical JSON. Equal claims
have equal tokens, and what is not written exactly as we would write it is refused, so that no cache, log or list of
blocked links sees two spellings of one link.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.playback.refusals import refused

Scope = Literal["listen-redacted", "listen", "download"]
SCOPES: tuple[Scope, ...] = ("listen-redacted", "listen", "download")
"""Each includes those before it; with the first, what is redacted in the transcript is silent."""
MIN_KEY_CHARACTERS = 32
MAX_SECONDS = 7 * 24 * 3600
MAX_SUBJECT_CHARACTERS = 128
MAX_TOKEN_CHARACTERS = 4096
_DOMAIN = b"media-pipeline playback link 1\0"
"""So that a signature made with the same key for another purpose is none for a link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a link allows: one file of one recording, to one subject, until `expires` (seconds since 1970)."""

    recording_id: str
    file_index: int
    subject: str
    expires: int
    scope: Scope


class LinkKeys:
    """The keys of MEDIA_LINK_KEY: the first signs, all verify, so that a key is changed without a broken link."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ConfigurationError(
                "MEDIA_LINK_KEY is not set: links to recordings are signed with it. Give it 32 random characters or "
                "more, such as those of `openssl rand -hex 32`."
            )
        self._keys = tuple(keys)

    @classmethod
    def parse(cls, text: str) -> LinkKeys:
        """Keys separated by commas; raises ConfigurationError."""
        keys = [part.strip() for part in text.split(",") if part.strip()]
        for number, key in enumerate(keys, start=1):
            if len(key) < MIN_KEY_CHARACTERS:
                raise ConfigurationError(
                    f"Key {number} of MEDIA_LINK_KEY has fewer than {MIN_KEY_CHARACTERS} characters: who guesses it "
                    "listens to everything. Take those of `openssl rand -hex 32`."
                )
        return cls([key.encode() for key in keys])

    def sign(self, claims: Claims) -> str:
        """The token; raises ValueError for claims that no link can carry."""
        _check(claims)
        text = _encoded(_json(claims))
        return f"{text}.{_encoded(self._signature(self._keys[0], text))}"

    def verified(self, token: str, *, now: float | None = None) -> Claims:
        """The claims of a token that holds; raises Refusal (link_forged, link_expired)."""
        text, _, signature = token.partition(".")
        given = _decoded(signature) if len(token) <= MAX_TOKEN_CHARACTERS else None
        holds = False
        for key in self._keys:  # all of them, whichever it is
            holds |= hmac.compare_digest(self._signature(key, text), given or b"")
        if not holds or f"{text}.{_encoded(given or b'')}" != token:
            raise refused("link_forged")
        claims = _claims(_decoded(text) or b"")
        if claims is None or _encoded(_json(claims)) != text:
            raise refused("link_forged")
        if (time.time() if now is None else now) >= claims.expires:
            raise refused("link_expired")
        return claims

    def _signature(self, key: bytes, text: str) -> bytes:
        return hmac.digest(key, _DOMAIN + text.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _check(claims: Claims) -> None:
    if not 0 < len(claims.subject) <= MAX_SUBJECT_CHARACTERS or not claims.subject.isprintable():
        raise ValueError(f"A subject is 1 to {MAX_SUBJECT_CHARACTERS} printable characters: who is going to listen.")
    if not claims.recording_id or claims.file_index < 0 or claims.scope not in SCOPES:
        raise ValueError(
            "A link needs a recording, a file number from 0 on and a scope: listen-redacted, listen or download."
        )
    if len(_json(claims)) > MAX_TOKEN_CHARACTERS // 2:
        raise ValueError("The recording's id is too long for a link.")


def _json(claims: Claims) -> bytes:
    facts = {
        "e": claims.expires,
        "f": claims.file_index,
        "p": claims.scope,
        "r": claims.recording_id,
        "s": claims.subject,
    }
    return json.dumps(facts, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode()


def _claims(data: bytes) -> Claims | None:
    try:
        facts = json.loads(data)
        claims = Claims(
            recording_id=facts["r"],
            file_index=facts["f"],
            subject=facts["s"],
            expires=facts["e"],
            scope=facts["p"],
        )
        texts = (claims.recording_id, claims.subject)
        numbers = (claims.file_index, claims.expires)
        if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
            return None
        _check(claims)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return claims


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
