"""What a reply of Genesys Cloud means: JSON, or an error as a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import msgspec

from media_pipeline.genesys.errors import (
    AuthenticationError,
    Conflict,
    GenesysError,
    MalformedReply,
    NotFound,
    PermissionMissing,
    RateLimited,
    Refused,
    ServerError,
    StillPreparing,
)
from media_pipeline.genesys.pacing import TryAgain, retry_after_seconds
from media_pipeline.genesys.permissions import NONE_NEEDED, named_in
from media_pipeline.genesys.redaction import redact

_ERROR_CHARACTERS = 4_000
"""Read of a refusal to find the permissions it names."""


class Replies:
    """Judges replies; `secret` never gets into a sentence."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def judged(
        self, response: httpx.Response, operation: str, permission: str, accepted: tuple[int, ...] = (200,)
    ) -> httpx.Response:
        """The reply itself if its status is accepted; raises GenesysError, TryAgain with what may pass.

        `permission`: what a 403 most likely lacks, if it does not say so itself.
        """
        status = response.status_code
        if status in accepted:
            return response
        what = f"'{operation}' (HTTP {status}{self.said(response)})"
        if status == httpx.codes.UNAUTHORIZED:
            raise AuthenticationError(
                f"Genesys Cloud refused a fresh token for {what}. Check that the OAuth client is active in this org."
            )
        if status == httpx.codes.FORBIDDEN:
            named = named_in(response.text[:_ERROR_CHARACTERS]) or permission
            advice = f"Give one of its roles the permission {named} for the division of the recording."
            if named == NONE_NEEDED:
                advice = "Which permission that takes is not published; see the client's roles and divisions."
            raise PermissionMissing(f"The OAuth client may not call {what}. {advice}")
        if status == httpx.codes.NOT_FOUND:
            raise NotFound(
                f"Genesys Cloud does not know what {what} asked for; check the id, the base URL and the dialect."
            )
        if status == httpx.codes.ACCEPTED:
            raise TryAgain(
                StillPreparing(f"Genesys Cloud was still preparing its answer to {what}; run the day again later."),
                retry_after_seconds=retry_after_seconds(response.headers),
            )
        if status == httpx.codes.TOO_MANY_REQUESTS:
            error: GenesysError = RateLimited(
                f"Genesys Cloud kept limiting {what}. Lower GENESYS_REQUESTS_PER_MINUTE or run at another time."
            )
            raise TryAgain(error, retry_after_seconds=retry_after_seconds(response.headers, message_of(response)))
        if status >= 500 or status == httpx.codes.REQUEST_TIMEOUT:
            error = ServerError(f"Genesys Cloud kept failing on {what}. Run the day again later.")
            raise TryAgain(error, retry_after_seconds=retry_after_seconds(response.headers))
        sentence = f"Genesys Cloud answered {what}, which this call does not expect."
        if status in (httpx.codes.CONFLICT, httpx.codes.PRECONDITION_FAILED):
            raise Conflict(sentence)
        raise Refused(sentence, status) if 400 <= status < 500 else MalformedReply(sentence)

    def parsed(self, response: httpx.Response, decode: Callable[[bytes], Any] = msgspec.json.decode) -> Any:
        """The reply's JSON; raises TryAgain, as a proxy's page may pass."""
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return decode(response.content)
        try:
            return response.json()  # takes what msgspec refuses: half surrogate pairs, NaN, other encodings
        except ValueError:
            kind = response.headers.get("Content-Type", "no content type").split(";")[0]
            raise TryAgain(
                MalformedReply(
                    f"Genesys Cloud answered '{response.request.extensions['operation']}' with {self.clean(kind)} "
                    "instead of JSON; is a proxy or login page in between?"
                )
            ) from None

    def said(self, response: httpx.Response) -> str:
        """The error's own words, to be put behind a status."""
        sent = response.request.headers.get("Authorization", "").partition(" ")[2]  # it may be repeated in the refusal
        message = redact(message_of(response), (sent, self._secret))
        return f": {message}" if message else ""

    def clean(self, text: str) -> str:
        """Text without secrets."""
        return redact(text, (self._secret,))


def object_of(body: Any, operation: str) -> dict[str, Any]:
    """JSON that has to be an object; raises MalformedReply."""
    if not isinstance(body, dict):
        raise MalformedReply(f"Genesys Cloud answered '{operation}' with JSON that is not an object.")
    return body


def message_of(response: httpx.Response) -> str:
    """What an error says of itself, in the fields that Genesys and OAuth use; empty if nothing."""
    try:
        body = response.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    return str(body.get("message") or body.get("error_description") or body.get("description") or "")
