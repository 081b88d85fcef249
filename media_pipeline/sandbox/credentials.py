"""Bearer tokens and presigned links: both are signed statements that expire, checked without a store.

Nothing here knows HTTP: `operations` and `files` turn a refusal into its reply.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qs, quote, urlencode

from media_pipeline.sandbox.clock import Clock

Refusal = Literal["SignatureDoesNotMatch", "Expired"]

AMZ_DATE = "%Y%m%dT%H%M%SZ"
FILES_PATH = "/_files/"


class Signer:
    """Issues and checks tokens and links with a key made from the org's seed, so that they outlive a restart."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self._key = hashlib.blake2b(f"sandbox signer {seed}".encode(), digest_size=32).digest()
        self._clock = clock

    def token(self, seconds: int) -> str:
        """A bearer token that lives this long."""
        claims = f"{int((self._clock.seconds() + seconds) * 1_000)}.{secrets.token_hex(4)}"
        return base64.urlsafe_b64encode(f"{claims}.{self._sign('token', claims)[:32]}".encode()).decode().rstrip("=")

    def accepts(self, token: str) -> bool:
        """Whether this token was issued here and has not expired."""
        try:
            text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        except (binascii.Error, ValueError):
            return False
        claims, _, signature = text.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("token", claims)[:32].encode()):
            return False
        return int(claims.partition(".")[0]) > self._clock.seconds() * 1_000

    def link(self, base_url: str, file_id: str, seconds: int) -> str:
        """A URL to a file, in the words of an S3 presigned one, that lives this long."""
        now = self._clock.now()
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"ASIASANDBOX/{now:%Y%m%d}/us-east-1/s3/aws4_request",
            "X-Amz-Date": now.strftime(AMZ_DATE),
            "X-Amz-Expires": str(seconds),
            "X-Amz-Security-Token": secrets.token_hex(8),  # so that two links of one second differ, as S3's do
            "X-Amz-SignedHeaders": "host",
        }
        query["X-Amz-Signature"] = self._sign("link", file_id, *query.values())
        return f"{base_url}{FILES_PATH}{quote(file_id, safe='')}?{urlencode(query)}"

    def refuses(self, file_id: str, query: Mapping[str, str]) -> Refusal | None:
        """Why a link does not open its file; None when it does."""
        values = [value for name, value in query.items() if name != "X-Amz-Signature"]
        expected = self._sign("link", file_id, *values)
        if not hmac.compare_digest(query.get("X-Amz-Signature", "").encode(), expected.encode()):
            return "SignatureDoesNotMatch"
        return "Expired" if self._clock.now() >= link_end(query) else None

    def _sign(self, *parts: str) -> str:
        return hmac.new(self._key, "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def link_end(query: Mapping[str, str]) -> dt.datetime:
    """When a link that bears a valid signature expires, UTC."""
    issued = dt.datetime.strptime(query["X-Amz-Date"], AMZ_DATE).replace(tzinfo=dt.UTC)
    return issued + dt.timedelta(seconds=int(query["X-Amz-Expires"]))


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """Client id and secret of an HTTP Basic header; None when it is not one."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return client_id, secret


def single_values(query: str) -> dict[str, str]:
    """A query string as name to value, the last one winning, blanks kept."""
    return {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
