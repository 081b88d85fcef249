"""Annotations in the published API: participant attributes (W1), the one place that takes them without preparation.

Custom attributes (W2) need a schema that an administrator defines first, a tag (W3) is one string, a recording's
annotation (W4) has 500 characters, is anchored in time, and its own id makes it anything but idempotent. Attributes
are flat strings: our source is the prefix of their names, and the category stays in the tables. Attributes are merged
into what is there and cannot be removed: what we no longer say is made empty, and empty counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from media_pipeline.genesys.errors import MalformedReply, NotFound
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.source import ANNOTATIONS_SOURCE, Annotation
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import decoded_or_nothing, items, text

PREFIX = f"{ANNOTATIONS_SOURCE}."
MOST_CHARACTERS = 256
"""Of a name and of a value: the only figure that is published (Resource Center, *Set Participant Data*, for bots)."""
MOST_BYTES = 500_000
"""Of a request: `request.bytes.max` is 512,000, and names that are made empty want room, too."""
_CUSTOMER = ("customer", "external")


def not_carried(annotations: Sequence[Annotation]) -> dict[str, tuple[str, str]]:
    """By key: why participant attributes cannot take it. What is beyond the size of a request is last by key."""
    refused: dict[str, tuple[str, str]] = {}
    size = 0
    for one in sorted(annotations, key=lambda annotation: annotation.key):
        bytes_of_one = len(json.dumps({PREFIX + one.key: one.value}))
        if len(one.value) > MOST_CHARACTERS or len(PREFIX + one.key) > MOST_CHARACTERS:
            refused[one.key] = (
                "too_long_for_platform",
                f"A participant attribute takes {MOST_CHARACTERS} characters; name and value have "
                f"{len(PREFIX + one.key)} and {len(one.value)}.",
            )
        elif not one.value:
            refused[one.key] = ("empty_value", "A participant attribute that is empty counts as absent.")
        elif size + bytes_of_one > MOST_BYTES:
            refused[one.key] = (
                "payload_too_large",
                f"A request takes {MOST_BYTES:,} bytes; others go before this one.",
            )
        else:
            size += bytes_of_one
    return refused


class ParticipantAttributes:
    """Our attributes on one participant of a conversation: its customer, or whoever came first."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def annotate(self, conversation_id: str, annotations: Sequence[Annotation]) -> bool:
        """Make these our attributes, on one participant and on no other; False when nothing had to be written."""
        wanted = {PREFIX + one.key: one.value for one in annotations}
        participants = self._participants(conversation_id)
        if not participants:
            raise NotFound(f"Conversation {conversation_id!r} has no participant that could have attributes.")
        bearer, *others = sorted(participants, key=_rank)
        # others first: when this is cut short, the rest is done next time
        changes = [(other["id"], dict.fromkeys(_ours(other), "")) for other in others if _ours(other)]
        if _ours(bearer) != wanted:
            changes.append((bearer["id"], dict.fromkeys(_ours(bearer), "") | wanted))
        for participant_id, attributes in changes:
            self._patch(conversation_id, participant_id, attributes)
        return bool(changes)

    def tell(self, conversation_id: str, attributes: Mapping[str, str]) -> bool:
        """Have the customer's participant bear these beside all others; False when it did so already."""
        bearer = min(self._participants(conversation_id), key=_rank, default=None)
        if bearer is None:
            raise NotFound(f"Conversation {conversation_id!r} has no participant that could have attributes.")
        held = bearer["attributes"] if isinstance(bearer.get("attributes"), dict) else {}
        changed = {name: value for name, value in attributes.items() if held.get(name) != value}
        if changed:
            self._patch(conversation_id, bearer["id"], changed)
        return bool(changed)

    def _participants(self, conversation_id: str) -> list[dict[str, Any]]:
        body = self._api.get_json("conversation", _path(conversation_id), permission=needed_for("conversation"))
        if not isinstance(body.get("participants"), list):
            raise MalformedReply(f"Conversation {conversation_id!r} comes without a list of participants.")
        return [one for one in items(body["participants"]) if text(one.get("id"))]

    def _patch(self, conversation_id: str, participant_id: str, attributes: Mapping[str, str]) -> None:
        self._api.call(
            "participant_attributes",
            "PATCH",
            f"{_path(conversation_id)}/participants/{quote(participant_id, safe='')}/attributes",
            permission=needed_for("participant_attributes"),
            body={"attributes": attributes},
            accepted=(200, 202, 204),
            decode=decoded_or_nothing,
        )


def _ours(participant: Mapping[str, Any]) -> dict[str, str]:
    """Our attributes that say something."""
    attributes = participant.get("attributes")
    held = attributes.items() if isinstance(attributes, dict) else ()
    return {name: value for name, value in held if name.startswith(PREFIX) and isinstance(value, str) and value}


def _rank(participant: Mapping[str, Any]) -> tuple[bool, str, str]:
    """Customers first, then by time and id: the same one whenever it is asked."""
    began = text(participant.get("startTime")) or ""
    return text(participant.get("purpose")) not in _CUSTOMER, began, participant["id"]


def _path(conversation_id: str) -> str:
    return f"/api/v2/conversations/{quote(conversation_id, safe='')}"
