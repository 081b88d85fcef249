"""The guides' messaging paths: which request is which operation, and who answers it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from media_pipeline.sandbox.credentials import single_values
from media_pipeline.sandbox.messaging import guest_files, outbound, stream
from media_pipeline.sandbox.platform.documents import BadRequestError
from media_pipeline.sandbox.platform.routes import Handler
from media_pipeline.sandbox.wire import Operation, Reply, Request, refusal

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """A request that is a messaging operation of the guides, with the id in its path."""

    operation: Operation
    handler: Handler
    ids: tuple[str, ...]
    subject: str | None = None
    """What rules of faults may name: the file, medium or conversation, the file name of an upload."""

    def answer(self, state: State, request: Request) -> Reply:
        """The operation's reply, 400 for a request that makes no sense."""
        try:
            return self.handler(state, request, *self.ids)
        except BadRequestError as error:
            return refusal(self.operation, 400, error.code, str(error))


def match(request: Request) -> Match | None:
    """The messaging operation a request is; None when it is none."""
    match request.method, request.segments:
        case "GET", ("api", "v2", "conversations", "events"):
            return Match("events", stream.opened, ())
        case "GET", ("api", "v2", "media", "download", file_id):
            return Match("guest_file", guest_files.download, (file_id,), file_id)
        case "PUT", ("api", "v2", "conversations", conversation_id, "context"):
            return Match("context", outbound.context, (conversation_id,), conversation_id)
        case "POST", ("api", "v2", "media", "attachments", "upload"):
            return Match("attachment_upload", outbound.upload, (), single_values(request.query).get("filename"))
        case "POST", ("api", "v2", "conversations", "messages"):
            return Match("message_send", outbound.send, (), _addressed(request))
        case "POST", ("api", "v2", "media", "recordings", id_, "retention"):
            return Match("media_retention", outbound.retention, (id_,), id_)
        case "DELETE", ("api", "v2", "media", "attachments", media_id):
            return Match("attachment_delete", outbound.delete, (media_id,), media_id)
    return None


def _addressed(request: Request) -> str | None:
    """The conversation a message is for, as far as its body can be read."""
    try:
        body = json.loads(request.body)
    except ValueError:
        return None
    named = body.get("conversation_id") if isinstance(body, dict) else None
    return named if isinstance(named, str) else None
