"""Client-credentials tokens: fetched once, shared by all threads, renewed early and once on 401. Tokens stay in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import httpx

EARLY_SECONDS = 60.0
EARLY_SHARE = 0.1
"""A token is renewed min(60 s, 10 % of its life) before it expires."""


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

    def _renewed(self) -> str:
        asked_at = self._clock()
        token = self._fetch()
        early = min(EARLY_SECONDS, EARLY_SHARE * token.lifetime_seconds)
        self._renew_at = asked_at + token.lifetime_seconds - early
        self._token = token.value
        return token.value


class BearerAuth(httpx.Auth):
    """Adds the token to a request and, when it is refused with 401, tries once more with a new one."""

    def __init__(self, tokens: TokenCache) -> None:
        self._tokens = tokens

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._tokens.current()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            request.headers["Authorization"] = f"Bearer {self._tokens.renew(token)}"
            yield request
