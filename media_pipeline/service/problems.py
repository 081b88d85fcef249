"""How the service says no: problem details (RFC 9457), one sentence each, nothing of its insides."""

from __future__ import annotations

import http
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
MEANINGS = {
    400: "The body is not multipart as it says.",
    401: "No token, or an unknown one.",
    403: "The token lacks this route's scope.",
    408: "The body came too slowly.",
    409: "The idempotency key was used for another message.",
    413: "The body is too large.",
    415: "The body or the file is of a type that is not taken.",
    422: "A field is missing, given twice or not as documented.",
    503: "The service cannot do this now; try again after Retry-After.",
}


class ProblemDetails(BaseModel):
    """Why a request was refused."""

    type: str = Field("about:blank", description="Kinds are told by the status.")
    title: str = Field(description="The status in words.")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What is wrong and what to do.")
    reason: str | None = Field(None, description="A word for programs, where one status has several reasons.")


class Problem(Exception):
    """A request that is refused with this status and sentence."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        reason: str | None = None,
        headers: Mapping[str, str] | None = None,
        challenges: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.reason = status, detail, reason
        self.headers, self.challenges = dict(headers or {}), challenges
        if status == 503:
            self.headers.setdefault("Retry-After", str(RETRY_SECONDS))

    def response(self) -> Response:
        """As it goes out."""
        details = ProblemDetails(
            type="about:blank",
            title=http.HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            reason=self.reason,
        )
        content = details.model_dump(exclude_none=True)
        response = JSONResponse(content, self.status, headers=self.headers, media_type=MEDIA_TYPE)
        for challenge in self.challenges:  # a line each: Chromium does not take lists apart
            response.headers.append("WWW-Authenticate", challenge)
        return response


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These refusals for a route's OpenAPI description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    found: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        found[status] = {"description": MEANINGS[status], "content": content}
        if status == 503:
            found[status]["headers"] = {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 0}}}
        if status == 401:
            found[status]["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return found


async def on_problem(_: Request, error: Exception) -> Response:
    """The response to a Problem."""
    assert isinstance(error, Problem)
    return error.response()


async def on_http_error(_: Request, error: Exception) -> Response:
    """The framework's own refusals (no such route, another method) as problems."""
    assert isinstance(error, HTTPException)
    sentences = {404: "There is nothing at this path.", 405: "This path does not take this method; see Allow."}
    detail = sentences.get(error.status_code, http.HTTPStatus(error.status_code).phrase)
    return Problem(error.status_code, detail, headers=error.headers).response()


async def on_invalid(_: Request, error: Exception) -> Response:
    """Parameters that are not as documented; their values are not repeated."""
    assert isinstance(error, RequestValidationError)
    named = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
    return Problem(422, f"{named}.", reason="parameter").response()


async def on_disconnect(_: Request, error: Exception) -> Response:
    """Nobody is there to read it; the metrics are."""
    return Response(status_code=400)
