"""Signatures of webhooks: who holds the key can tell that a message is ours, whole, and recent.

The scheme is Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence

from media_pipeline.genesys.errors import ConfigurationError

PREFIX = "whsec_"
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64
MIN_TEXT_BYTES = 16
"""Of a key without the prefix, which is used as it is written: other systems hand out such."""
ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"


def parse_keys(text: str) -> tuple[bytes, ...]:
    """The keys of MEDIA_WEBHOOK_KEY, the newest first; raises ConfigurationError naming the entry, never the key."""
    keys = []
    for number, entry in enumerate(re.split(r"[\s,]+", text.strip()) if text.strip() else [], 1):
        key, shortest = entry.encode(), MIN_TEXT_BYTES
        if entry.startswith(PREFIX):
            shortest = MIN_KEY_BYTES
            try:
                key = base64.b64decode(entry.removeprefix(PREFIX), validate=True)
            except (binascii.Error, ValueError):
                key = b""
        if not shortest <= len(key) <= MAX_KEY_BYTES:
            raise ConfigurationError(
                f"MEDIA_WEBHOOK_KEY: entry {number} is neither {PREFIX} with {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes "
                f"in base64 nor a text of {MIN_TEXT_BYTES} to {MAX_KEY_BYTES} bytes; make one with: "
                'echo "whsec_$(openssl rand -base64 32)".'
            )
        keys.append(key)
    return tuple(keys)


def signed_headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message, with one signature per key; without a key there is no signature."""
    headers = {ID_HEADER: message_id, TIMESTAMP_HEADER: str(timestamp)}
    if keys:
        content = f"{message_id}.{timestamp}.".encode() + body
        signatures = (base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys)
        headers[SIGNATURE_HEADER] = " ".join(f"v1,{signature}" for signature in signatures)
    return headers
