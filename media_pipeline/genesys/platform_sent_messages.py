"""What the org's side said in a message conversation of the published API: M1 lists it, M5 has the texts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from typing import Any

from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.platform_messages import BULK, MESSAGES
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import items, path_segment, text
from media_pipeline.genesys.values import time as moment_of

CLOCKS = dt.timedelta(minutes=5)
"""By which our clock and the source's may differ."""


class PlatformSentMessages:
    """SentMessages over the published API."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def find_voice(self, conversation_id: str, media_ids: Collection[str]) -> str | None:
        """By the media that M1 lists with each message."""
        for message in self._to_guest(conversation_id):
            if any(text(media.get("id")) in media_ids for media in items(message.get("media"))):
                return text(message.get("messageId")) or ""
        return None

    def find_text(self, conversation_id: str, text: str, since: dt.datetime, not_these: Collection[str]) -> str | None:
        """By M1's messages since then, less the minutes that clocks may differ by, and M5's texts."""
        wanted = []
        for message in self._to_guest(conversation_id):
            message_id, at = message.get("messageId"), moment_of(message.get("messageTime"))
            recent = at is None or at >= since - CLOCKS
            if isinstance(message_id, str) and message_id not in not_these and recent and not message.get("media"):
                wanted.append(message_id)
        for first in range(0, len(wanted), BULK):
            body = self._api.call(
                "message_details",
                "POST",
                f"{MESSAGES}/{path_segment(conversation_id)}/messages/bulk?useNormalizedMessage=true",
                body=wanted[first : first + BULK],
                permission=needed_for("message_details"),
            )
            for each in items(body.get("entities")) if isinstance(body, dict) else ():
                normalized = each.get("normalizedMessage")
                said = normalized.get("text") if isinstance(normalized, dict) else None
                if said == text and str(each.get("direction")).lower() == "outbound":
                    return str(each.get("id"))
        return None

    def _to_guest(self, conversation_id: str) -> Iterator[dict[str, Any]]:
        path = f"{MESSAGES}/{path_segment(conversation_id)}"
        body = self._api.get_json("message_conversation", path, permission=needed_for("message_conversation"))
        for participant in items(body.get("participants")):
            if participant.get("purpose") not in ("customer", "external"):
                yield from items(participant.get("messages"))
