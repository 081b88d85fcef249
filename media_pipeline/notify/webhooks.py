"""Webhooks: JSON posted to the URLs of MEDIA_WEBHOOKS. A URL may itself be a secret, so only its host is ever shown."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from media_pipeline.genesys.errors import ConfigurationError

TIMEOUT_SECONDS = 5.0
_FINGERPRINT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver."""

    url: str = field(repr=False)

    @property
    def host(self) -> str:
        """What may be shown of it."""
        return urlsplit(self.url).hostname or ""

    @property
    def fingerprint(self) -> str:
        """A name that tells receivers apart without showing the URL."""
        return hashlib.blake2b(self.url.encode(), digest_size=_FINGERPRINT_BYTES).hexdigest()

    def post(self, message: Mapping[str, object]) -> str | None:
        """Send one message; returns why it did not arrive, None when the receiver took it with a 2xx."""
        try:
            reply = httpx.post(self.url, json=message, timeout=TIMEOUT_SECONDS, follow_redirects=False)
        except httpx.HTTPError as error:
            return f"the webhook at {self.host} cannot be reached ({type(error).__name__})"
        return None if reply.is_success else f"the webhook at {self.host} answered {reply.status_code}"


def parse_webhooks(text: str) -> list[Webhook]:
    """The URLs of a comma-separated list; raises ConfigurationError naming the entry, never the URL."""
    found = []
    for number, url in enumerate((part.strip() for part in text.split(",") if part.strip()), 1):
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ConfigurationError(f"MEDIA_WEBHOOKS: entry {number} is not an http(s) URL; correct the variable.")
        found.append(Webhook(url))
    return found
