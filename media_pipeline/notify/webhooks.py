"""Webhooks: JSON posted to the URLs of MEDIA_WEBHOOKS, signed; the one place that posts.

A URL may itself be a secret, so only its host is ever shown.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.genesys.pacing import retry_after_seconds
from media_pipeline.notify.signing import parse_keys, signed_headers

TIMEOUT_SECONDS = 10.0
"""For one message in all, so that a receiver that answers drop by drop cannot hold a tick."""
NOW_SECONDS = 5.0
"""The same for who waits: sensors that tell people do so one receiver after the other."""
GONE = httpx.codes.GONE
_FINGERPRINT_BYTES = 4

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver, and the keys its messages are signed with."""

    url: str = field(repr=False)
    keys: Sequence[bytes] = field(default=(), repr=False)

    @property
    def host(self) -> str:
        """What may be shown of it."""
        return urlsplit(self.url).hostname or ""

    @property
    def fingerprint(self) -> str:
        """A name that tells receivers apart without showing the URL."""
        return hashlib.blake2b(self.url.encode(), digest_size=_FINGERPRINT_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of posting: no problem when the receiver took it with a 2xx; `gone` when it wants no more (410)."""

    problem: str | None = None
    retry_after_seconds: float | None = None
    gone: bool = False


def client() -> httpx.AsyncClient:
    """A client for receivers."""
    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, headers={"User-Agent": "media-pipeline"})


async def post(
    http: httpx.AsyncClient, webhook: Webhook, message_id: str, body: bytes, seconds: float = TIMEOUT_SECONDS
) -> Answer:
    """Send one message, signed now; never raises for what a receiver does, and reads no reply but its head."""
    headers = signed_headers(webhook.keys, message_id, int(time.time()), body) | {"Content-Type": "application/json"}
    try:
        async with (
            asyncio.timeout(seconds),
            http.stream("POST", webhook.url, content=body, headers=headers) as reply,
        ):
            if reply.is_success:
                return Answer()
            return Answer(
                f"the webhook at {webhook.host} answered {reply.status_code}",
                retry_after_seconds(reply.headers),
                reply.status_code == GONE,
            )
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:  # TimeoutError is an OSError
        return Answer(f"the webhook at {webhook.host} cannot be reached ({type(error).__name__})")


class _Resolvers(ThreadPoolExecutor):
    """Threads that look names up: one that hangs there is left behind, where asyncio would wait for it."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)


def run(sending: Coroutine[object, object, Result]) -> Result:
    """asyncio.run for what posts: it ends when its own time limits say so, whatever a name server does."""

    async def with_resolvers() -> Result:
        asyncio.get_running_loop().set_default_executor(_Resolvers(thread_name_prefix="resolver"))
        return await sending

    return asyncio.run(with_resolvers())


def post_now(webhook: Webhook, message_id: str, body: bytes) -> Answer:
    """The same for who has one message and waits for it."""

    async def once() -> Answer:
        async with client() as http:
            return await post(http, webhook, message_id, body, NOW_SECONDS)

    return run(once())


def parse_webhooks(text: str, keys: str = "") -> list[Webhook]:
    """The URLs of a comma-separated list; raises ConfigurationError naming the entry, never the URL or a key."""
    found, signing = [], parse_keys(keys)
    for number, url in enumerate((part.strip() for part in text.split(",") if part.strip()), 1):
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ConfigurationError(f"MEDIA_WEBHOOKS: entry {number} is not an http(s) URL; correct the variable.")
        found.append(Webhook(url, signing))
    return found
