"""Guests' files in the published API: a message's attachment, asked about anew (M5) for a link that lives, and the
attributes of the guest's participant (W1) for what is known of it."""

from __future__ import annotations

from collections.abc import Mapping

from media_pipeline.genesys.errors import NotFound
from media_pipeline.genesys.messaging_source import GuestFile
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.platform_messages import MESSAGES, attachments
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import path_segment, text

CONTEXT_PREFIX = "guest_upload."
"""Of the names of attributes: the guides' keys alone are too common for a map that all programs share."""


def attachment(api: Transport, conversation_id: str, message_id: str | None, file_id: str) -> GuestFile:
    """Hash and link of one attachment of a message; raises NotFound when the message has it no more."""
    path = f"{MESSAGES}/{path_segment(conversation_id)}/messages/{path_segment(message_id or '')}"
    body = api.get_json(
        "message_details", f"{path}?useNormalizedMessage=true", permission=needed_for("message_details")
    )
    found = attachments(body).get(file_id, {})
    link = text(found.get("url"))
    if link is None:
        raise NotFound("The message has no link to this file (any more).")
    return GuestFile(sha256=(text(found.get("sha256")) or "").lower() or None, content=link)


def attributes_of(facts: Mapping[str, str | int | bool]) -> dict[str, str]:
    """Facts as attributes, which are texts."""
    return {
        CONTEXT_PREFIX + key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in facts.items()
    }
