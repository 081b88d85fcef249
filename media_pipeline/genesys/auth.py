"""Client-credentials tokens: fetched once, shared by threads, renewed early and on 401; they stay in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import httpx

EARLY_SECONDS = 60.0
EARLY_SHARE = 0.1
"""A token is renewed min(60 s, 10 % of its life) before it expires."""
MAX_RENEWALS = 3
"""A refused request is repeated with a new token once; again only if that one, too, was good before and was revoked."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and how long it lives from the moment it was issued."""

    value: str = field(repr=False)
    lifetime_seconds: float


class TokenCache:
    """Hands out a valid token; one thread fetches while the others wait."""

    def __init__(self, fetch: Callable[[], Token], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._renew_at = 0.0
        self._proved = False
        self.lifetime_seconds: float | None = None
        """Of the newest token; None before the first."""

    def current(self) -> str:
        """A token that is not about to expire."""
        with self._lock:
            if self._token is None or self._clock() >= self._renew_at:
                return self._renewed()
            return self._token

    def renew(self, stale: str) -> str:
        """A token other than the refused one; threads refused with the same token share one new one."""
        with self._lock:
            return self._renewed() if self._token in (None, stale) else str(self._token)

    def proved(self, token: str) -> None:
        """The token was accepted: should it be refused later, it was revoked since."""
        if token == self._token:
            self._proved = True

    def worth_renewing(self, refused: str) -> bool:
        """Whether a refused token may be replaced: not when it is new and was never accepted."""
        with self._lock:
            return refused != self._token or self._proved

    def _renewed(self) -> str:
        asked_at = self._clock()
        token = self._fetch()
        early = min(EARLY_SECONDS, EARLY_SHARE * token.lifetime_seconds)
        self._renew_at = asked_at + token.lifetime_seconds - early
        self._token = token.value
        self.lifetime_seconds = token.lifetime_seconds
        self._proved = False
        return token.value


class BearerAuth(httpx.Auth):
    """Adds the token to a request and, when it is refused with 401, tries again with a new one."""

    def __init__(self, tokens: TokenCache) -> None:
        self._tokens = tokens

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._tokens.current()
        for renewals_left in reversed(range(MAX_RENEWALS + 1)):
            request.headers["Authorization"] = f"Bearer {token}"
            response = yield request
            if response.status_code != httpx.codes.UNAUTHORIZED:
                self._tokens.proved(token)
                return
            if renewals_left == 0 or (renewals_left < MAX_RENEWALS and not self._tokens.worth_renewing(token)):
                return
            token = self._tokens.renew(token)
