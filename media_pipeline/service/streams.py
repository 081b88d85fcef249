"""GET and HEAD /api/stream/{recording_id}: any byte range of a recording, for a signed link or a token.

What is served, and to whom, is the playback room's; here is its place among the routes.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from starlette.responses import Response

from media_pipeline.listening import PATH, Listening
from media_pipeline.playback.refusals import REASONS
from media_pipeline.service.access import Needs
from media_pipeline.service.context import Service
from media_pipeline.service.problems import MEDIA_TYPE
from media_pipeline.service.routing import Route
from media_pipeline.service.tokens import LISTEN, REDACTED, Caller

_needs = Needs(LISTEN, REDACTED)
"""Or a signed link to this very file: playback looks at both itself."""
CONTENT = {"audio/*": {"schema": {"type": "string", "format": "binary"}}}
_REFUSALS = (401, 403, 404, 412, 416, 422, 429, 502, 503, 504)


def add_routes(app: FastAPI) -> None:
    """Add this route to an app; raises ConfigurationError for MEDIA_LINK_KEY and where MEDIA_ROOT is no place."""
    service: Service = app.state.service
    listening = Listening(service.settings, service.store, service.journal, app.state.tokens.caller)
    service.closing.append(listening.close)
    app.state.listening = listening
    answers: dict[int | str, dict[str, Any]] = {
        200: {"description": "The whole recording.", "content": CONTENT},
        206: {
            "description": "The ranges asked for; several as multipart/byteranges.",
            "content": CONTENT,
        },
        304: {"description": "It is the version that is known."},
        **{status: _described(status) for status in _REFUSALS},
    }
    path = PATH + "{recording_id:path}"
    route = StreamRoute(path, get_stream, response_class=Response, responses=answers, tags=["playback"])
    route.app = listening.app  # past FastAPI's own way of answering, which takes a body in one piece
    app.router.routes.append(route)


class StreamRoute(Route):
    """The player's own."""


def get_stream(
    recording_id: str,
    caller: Annotated[Caller, Depends(_needs)],
    link: Annotated[str, Query(description="What `media-pipeline link` made, in place of a token.")] = "",
    file: Annotated[int, Query(ge=0, le=9999, description="Of a recording with several files.")] = 0,
    date: Annotated[dt.date | None, Query(description="Its day, where several have it; else the newest.")] = None,
    download: Annotated[int, Query(ge=0, le=1, description="1: to be kept as a file.")] = 0,
) -> Response:
    """Play a recording: Range, If-Range and the preconditions of RFC 9110 hold exactly.

    The verified archive is served; what is not archived is played from Genesys Cloud.
    """
    raise AssertionError("the route's app is the player's")


def _described(status: int) -> dict[str, Any]:
    words = ", ".join(word for word, (its, _) in REASONS.items() if its == status)
    shape = {"$ref": "#/components/schemas/ProblemDetails"}
    return {"description": f"{words}.", "content": {MEDIA_TYPE: {"schema": shape}}}
