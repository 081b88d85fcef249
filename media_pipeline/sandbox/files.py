"""The presigned links: what S3 would answer, with the faults of a file in their place. Issuing links: `operations`."""

from __future__ import annotations

import dataclasses
import datetime as dt
from email.utils import format_datetime

from media_pipeline.sandbox.credentials import AMZ_DATE, link_end, single_values
from media_pipeline.sandbox.faults import Call
from media_pipeline.sandbox.org import Recording
from media_pipeline.sandbox.platform import facts
from media_pipeline.sandbox.ranges import FileRequest, answer
from media_pipeline.sandbox.state import State
from media_pipeline.sandbox.video import ORDINARY
from media_pipeline.sandbox.wire import Reply, Request, s3_error

TWO_MECHANISMS = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
    "or the Authorization header should be specified"
)
STORED_AFTER = dt.timedelta(minutes=10)
"""A file is stored a while after its recording began: Last-Modified."""


def refused(state: State, request: Request) -> Reply | None:
    """What S3 says to a link it does not honour; None when it does."""
    if "authorization" in request.headers:
        details = {"ArgumentName": "Authorization", "ArgumentValue": "(not repeated)"}
        return s3_error(400, "InvalidArgument", TWO_MECHANISMS, details=details)
    query = single_values(request.query)
    reason = state.signer.refuses(request.segments[-1], query)
    if reason == "Expired":
        details = {
            "X-Amz-Expires": query["X-Amz-Expires"],
            "Expires": link_end(query).strftime(AMZ_DATE),
            "ServerTime": state.clock.now().strftime(AMZ_DATE),
        }
        return s3_error(403, "AccessDenied", "Request has expired", details=details)
    if reason is not None:
        return s3_error(403, reason, "The request signature we calculated does not match the signature you provided.")
    return None


def file(state: State, request: Request, recording: Recording, call: Call) -> Reply:
    """`GET` or `HEAD` of a link: the bytes, or the range of them that was asked for."""
    through = state.rules.through
    body = state.media.body(_part(request.segments[-1], recording), through(("variant",), call, ORDINARY))
    if body is None or facts.is_deleted(state, recording):
        return s3_error(404, "NoSuchKey", "The specified key does not exist.")
    asked = FileRequest(request.headers.get("range"), request.headers.get("if-range"), f'"{body.md5}"')
    if request.method == "GET":
        asked = through(("etag", "range"), call, asked)
    modified = (recording.created + STORED_AFTER).replace(microsecond=0)
    headers = {"Last-Modified": format_datetime(modified, usegmt=True)}
    found = answer(asked, body, recording.content_type, headers)
    if request.method == "HEAD" and found.status == 416:
        return dataclasses.replace(found, length=0)
    return through(("content_range", "length", "bytes"), call, found) if request.method == "GET" else found


def _part(name: str, recording: Recording) -> Recording:
    """The file of a recording that a name means: `<id>` the first, `<id>.1` the second."""
    return facts.second_part(recording) if name == facts.file_name(recording, 1) else recording
