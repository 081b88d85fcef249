"""Who may call the service: MEDIA_SERVICE_TOKENS, entries `name:scope+scope:sha256=<hex>` separated by commas.

In the place of the hash a token itself may stand, of 32 characters or more. Tokens are kept as hashes only, compared in
constant time, and never repeated in a sentence; names are what logs and audit lines carry.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from media_pipeline.genesys.errors import ConfigurationError

VOICE_MESSAGES, CLEANUP, MONITOR, DOCS = "voice-messages", "cleanup", "monitor", "docs"
LISTEN, DOWNLOAD = "listen", "download"
REDACTED: Final = "listen-redacted"
SCOPES = {
    VOICE_MESSAGES: "hand in voice messages",
    CLEANUP: "purge local leftovers",
    MONITOR: "readiness and metrics",
    DOCS: "this documentation",
    REDACTED: "search and play any recording, silent where its transcript is redacted",
    LISTEN: "search and play any recording as it is",
    DOWNLOAD: "be offered the original on its page, with listen",
}
MIN_TOKEN_CHARACTERS = 32
"""16 random bytes in hex."""
_NEW_TOKEN_BYTES = 32
_HASH = "sha256="
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*\Z")
"""What may follow `Bearer ` (RFC 6750)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token a request carries."""

    name: str
    scopes: frozenset[str]


class Tokens:
    """All callers that are known."""

    def __init__(self, entries: Iterable[tuple[Caller, bytes]]) -> None:
        self._entries = tuple(entries)

    def __len__(self) -> int:
        return len(self._entries)

    @classmethod
    def parse(cls, text: str) -> Tokens:
        """The callers of MEDIA_SERVICE_TOKENS; raises ConfigurationError naming the entry by its number."""
        entries = [
            _entry(f"MEDIA_SERVICE_TOKENS, entry {number}", part)
            for number, part in enumerate(text.split(","), start=1)
            if part.strip()
        ]
        for what, values in (("name", [caller.name for caller, _ in entries]), ("token", [d for _, d in entries])):
            if len({*values}) < len(values):
                raise ConfigurationError(f"MEDIA_SERVICE_TOKENS has a {what} twice: give each caller its own.")
        return cls(entries)

    def caller(self, token: str) -> Caller | None:
        """Whose token this is; takes equally long for every token."""
        digest = _digest(token)
        found = None
        for caller, known in self._entries:
            if hmac.compare_digest(digest, known):
                found = caller
        return found


def new_token(name: str, scopes: Iterable[str]) -> tuple[str, str]:
    """A fresh token and its entry for MEDIA_SERVICE_TOKENS; raises ConfigurationError for a bad name or scope."""
    if not _NAME.match(name):
        raise ConfigurationError(f"{name!r} is no name for a token: use letters, digits, '.', '_' and '-'.")
    token = secrets.token_urlsafe(_NEW_TOKEN_BYTES)
    entry = f"{name}:{'+'.join(dict.fromkeys(scopes))}:{_HASH}{_digest(token).hex()}"
    _entry("The new token", entry)
    return token, entry


def _entry(where: str, text: str) -> tuple[Caller, bytes]:
    name, _, rest = text.strip().partition(":")
    scopes, separator, secret = rest.partition(":")
    if not separator or not _NAME.match(name):
        raise ConfigurationError(
            f"{where}, is not name:scope+scope:sha256=<hash> with a name of letters, digits, '.', '_' and '-'; "
            "`media-pipeline token new` prints one."
        )
    given = frozenset(filter(None, scopes.split("+")))
    if not given or not given <= SCOPES.keys():
        raise ConfigurationError(f"{where} ({name}): scopes are {', '.join(SCOPES)}, joined by '+'; correct them.")
    return Caller(name, given), _known(f"{where} ({name})", secret)


def _known(where: str, secret: str) -> bytes:
    if secret.startswith(_HASH):
        digest = secret.removeprefix(_HASH)
        if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            raise ConfigurationError(f"{where}: behind {_HASH} belong 64 hex digits; make the token anew.")
        return bytes.fromhex(digest)
    if len(secret) < MIN_TOKEN_CHARACTERS or not _TOKEN.match(secret):
        raise ConfigurationError(
            f"{where}: a token has {MIN_TOKEN_CHARACTERS} characters or more of A-Z a-z 0-9 . _ ~ + / -; "
            "`media-pipeline token new` makes one."
        )
    return _digest(secret)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
