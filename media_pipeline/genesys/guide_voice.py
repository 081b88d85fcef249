"""Voice messages in the guides' dialect: an upload, a message with the transcript in it, no way to look it up."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import quote

from media_pipeline.genesys.errors import MalformedReply, RateLimited, Refused, Unreached
from media_pipeline.genesys.messaging_source import LastLook, OutgoingVoice, UploadedVoice
from media_pipeline.genesys.transport import RawBody, Transport
from media_pipeline.genesys.values import items, text

NO_EFFECT = (RateLimited, Unreached)
"""What a request that must not have its effect twice is repeated after."""
MAX_MESSAGE_BYTES = 2_000_000
LINK_SECONDS = 14 * 60.0
"""A mediaUrl lives about 15 minutes."""
UPLOAD_PERMISSION = "media:upload"
SEND_PERMISSION = "webchat:write and conversations:write"


class GuideVoices:
    """VoiceTarget over the guides' endpoints."""

    dialect = "guide"
    link_seconds: float | None = LINK_SECONDS
    lookup = None
    texts = None

    def __init__(self, api: Transport) -> None:
        self._api = api

    def upload_voice(self, voice: OutgoingVoice, audio: bytes, last_look: LastLook) -> UploadedVoice:
        """One POST of the bytes."""
        body = self._called(
            "attachment_upload",
            f"/api/v2/media/attachments/upload?filename={quote(voice.file_name, safe='')}",
            RawBody(voice.media_type, audio),
            UPLOAD_PERMISSION,
            last_look,
        )
        media_id, link = text(body.get("mediaId")), text(body.get("mediaUrl"))
        if media_id is None or link is None:
            raise MalformedReply("The reply to the upload of a voice message has no mediaId and mediaUrl.")
        return UploadedVoice(media_id=media_id, link=link)

    def send_voice(self, voice: OutgoingVoice, uploaded: UploadedVoice, last_look: LastLook) -> str | None:
        """One POST with audio and transcript."""
        media = {
            "media_id": uploaded.media_id,
            "media_url": uploaded.link,
            "media_type": voice.media_type,
            "transcript": voice.transcript,
        }
        message = {
            "conversation_id": voice.conversation_id,
            "messages": [{"sender_id": voice.sender_id, "media": [media]}],
        }
        if len(json.dumps(message).encode()) > MAX_MESSAGE_BYTES:
            raise Refused(f"The message would be larger than {MAX_MESSAGE_BYTES} bytes, the most that is taken.", 413)
        body = self._called("message_send", "/api/v2/conversations/messages", message, SEND_PERMISSION, last_look)
        return next((text(each.get("message_id")) for each in items(body.get("messages"))), None)

    def _called(self, operation: str, path: str, body: object, permission: str, last_look: LastLook) -> dict[str, Any]:
        patience = dataclasses.replace(self._api.patience, only=NO_EFFECT)
        found = self._api.call(
            operation, "POST", path, body=body, permission=permission, accepted=(200, 201, 202), patience=patience,
            last_look=last_look,
        )  # fmt: skip
        if not isinstance(found, dict):
            raise MalformedReply(f"Genesys Cloud answered '{operation}' with JSON that is not an object.")
        return found
