"""The log of writes: which operations change something, and what is remembered of one for tests to look at."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from media_pipeline.sandbox.wire import Operation, Reply, Request

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

WRITES: tuple[Operation, ...] = (
    "context",
    "attachment_upload",
    "message_send",
    "media_retention",
    "attachment_delete",
    "message_media_upload",
    "message_create",
    "participant_attributes",
    "recording_change",
    "protection",
    "media_put",
)
MAX_LOGGED_BYTES = 100_000


def note(state: State, request: Request, operation: Operation, subject: tuple[str, ...], answer: Reply) -> None:
    """Log a write with its time, once it was answered; refused ones as well."""
    is_question = operation == "protection" and request.method == "POST"
    if operation in WRITES and not is_question:
        state.messaging.sending.note(operation, subject, answer.status, _said(request))


def _said(request: Request) -> object:
    """JSON as it is, other bodies as size and hash."""
    if len(request.body) <= MAX_LOGGED_BYTES:
        try:
            return json.loads(request.body)
        except ValueError:
            pass
    return {"bytes": len(request.body), "sha256": hashlib.sha256(request.body).hexdigest()}
