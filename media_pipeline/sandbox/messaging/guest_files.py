"""Guest files as clients fetch them: with a bearer token (guides), or by presigned link (published API)."""

from __future__ import annotations

import dataclasses
from email.utils import format_datetime
from typing import TYPE_CHECKING

from media_pipeline.sandbox.messaging.model import GuestFile
from media_pipeline.sandbox.ranges import FileRequest, answer
from media_pipeline.sandbox.wire import Reply, Request, refusal, s3_error

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

SUFFIX = ".attachment"
"""Names of links to guest files end with it."""


def download(state: State, request: Request, file_id: str) -> Reply:
    """`GET /api/v2/media/download/{file_id}`: the bytes or a range of them; 404 when the file's 24 hours are over."""
    file = state.messaging.file(file_id)
    if file is None or file.is_gone(state.clock.now()):
        return refusal("guest_file", 404, "not.found", "There is no guest file with this id (any more).")
    found = _bytes(request, file)
    if found.status == 416:
        message = "The requested range is not satisfiable."
        return refusal("guest_file", 416, "invalid.range", message, headers=dict(found.headers))
    return found


def linked(state: State, request: Request, file_id: str) -> Reply:
    """`GET` or `HEAD` of a link to a guest file."""
    file = state.messaging.file(file_id)
    if file is None or file.is_gone(state.clock.now()):
        return s3_error(404, "NoSuchKey", "The specified key does not exist.")
    return _bytes(request, file)


def _bytes(request: Request, file: GuestFile) -> Reply:
    asked = FileRequest(request.headers.get("range"), request.headers.get("if-range"), f'"{file.id}"')
    headers = {"Last-Modified": format_datetime(file.sent.replace(microsecond=0), usegmt=True)}
    found = answer(asked, file.body, file.declared_type, headers)
    return dataclasses.replace(found, chunked=file.chunked and found.status == 200)
