"""Requests and replies as values: what came in, what goes out, and the error bodies of both worlds.

Genesys answers errors in JSON, S3 in XML. How a reply travels (slowly, cut short) is `delivery`'s.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import uuid
from collections.abc import Mapping
from typing import Literal, get_args
from urllib.parse import unquote
from xml.sax.saxutils import escape

from media_pipeline.sandbox.bodies import Body, Whole

GuideOperation = Literal[
    "token", "list", "quota", "media", "link", "transcript", "interaction_media", "interaction_metadata", "file"
]
PlatformOperation = Literal[
    "job_submit",
    "job_state",
    "job_results",
    "availability",
    "query",
    "batch_submit",
    "batch_state",
    "recordings",
    "recording",
    "metadata",
    "retention",
    "settings",
    "transcript_url",
    "usage",
    "limits",
    "protection",
    "token_check",
    "client",
    "conversation",
    "participant_attributes",
    "transcript_file",
]
GuideMessagingOperation = Literal[
    "events",
    "guest_file",
    "context",
    "attachment_upload",
    "message_send",
    "media_retention",
    "attachment_delete",
]
PlatformMessagingOperation = Literal[
    "message_conversation",
    "message_details",
    "message_media_upload",
    "message_media",
    "message_create",
    "recording_change",
    "attachment_file",
    "media_file",
    "media_put",
]
Operation = Literal[GuideOperation, PlatformOperation, GuideMessagingOperation, PlatformMessagingOperation]

S3_OPERATIONS: tuple[Operation, ...] = ("file", "transcript_file", "attachment_file", "media_file", "media_put")
"""What presigned links lead to: answered as S3 does, and no API call."""
OF_INTERACTIONS: tuple[Operation, ...] = ("interaction_media", "interaction_metadata")
"""Operations of the guides whose path names an interaction instead of a recording."""
OPERATIONS: tuple[Operation, ...] = (
    *get_args(GuideOperation),
    *get_args(PlatformOperation),
    *get_args(GuideMessagingOperation),
    *get_args(PlatformMessagingOperation),
)
API_OPERATIONS: tuple[Operation, ...] = tuple(each for each in OPERATIONS if each not in ("token", *S3_OPERATIONS))

S3_CODES = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchKey", 429: "SlowDown", 500: "InternalError"}


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; path segments are percent-decoded one by one, so an id may hold a slash."""

    method: str
    segments: tuple[str, ...]
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""

    @property
    def base_url(self) -> str:
        """Where the client reached us."""
        return f"http://{self.headers.get('host', '127.0.0.1')}"


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply: `length` bytes of the body from `start`; `flipped` inverts the middle one."""

    status: int
    content_type: str
    body: Body
    start: int
    length: int
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    flipped: bool = False
    chunked: bool = False
    """Sent without Content-Length."""


def segments_of(raw_path: bytes) -> tuple[str, ...]:
    """Path segments as the client meant them; `%2F` and `%2E%2E` stay inside their segment."""
    return tuple(unquote(segment) for segment in raw_path.decode("latin-1").lstrip("/").split("/"))


def reply(status: int, content_type: str, data: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply with these bytes."""
    return Reply(status, content_type, Whole(data), 0, len(data), headers or {})


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply with this value as JSON."""
    return reply(status, "application/json", json.dumps(value, separators=(",", ":")).encode(), headers)


def html_reply(page: str, status: int = 200) -> Reply:
    """A reply with this page."""
    return reply(status, "text/html; charset=utf-8", page.encode())


def refusal(
    operation: Operation | None,
    status: int,
    code: str,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, object] | None = None,
) -> Reply:
    """An error in the words of whoever answers this operation: Genesys' error body, or S3's XML for a file."""
    if operation in S3_OPERATIONS:
        return s3_error(status, S3_CODES.get(status, "ServiceUnavailable"), message, headers=headers)
    context_id = str(uuid.uuid4())
    body = {"message": message, "code": code, "status": status, "contextId": context_id, "details": [], "errors": []}
    if operation == "token":
        body |= {"error": code, "description": message, "error_description": message}
    return json_reply(body | dict(details or {}), status, {"ININ-Correlation-Id": context_id} | dict(headers or {}))


def s3_error(
    status: int,
    code: str,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, str] | None = None,
) -> Reply:
    """An error as S3 words it."""
    fields = {"Code": code, "Message": message, **(details or {})}
    fields |= {"RequestId": secrets.token_hex(8).upper(), "HostId": secrets.token_urlsafe(24)}
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'
    return reply(status, "application/xml", document.encode(), headers)
