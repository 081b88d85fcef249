"""Voice messages in the published API: M2 and a PUT, M4 until valid, M3 with the medium, M3 with the transcript.

They are sent in the session of an agent or bot who takes part (M2 and M3 act on a communication); whoever is no
participant has no documented way to send audio (GENESYS_API.md, section f).
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import threading
import time
from typing import Any, NoReturn

import httpx

from media_pipeline.genesys.addresses import AddressRefused, guarded
from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.errors import MalformedReply, Refused, ServerError, StillPreparing
from media_pipeline.genesys.guide_voice import NO_EFFECT
from media_pipeline.genesys.messaging_source import LastLook, OutgoingVoice, Texts, UploadedVoice
from media_pipeline.genesys.pacing import CallStats, TryAgain, retry_after_seconds
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.platform_messages import MESSAGES
from media_pipeline.genesys.platform_sent_messages import PlatformSentMessages
from media_pipeline.genesys.transport import CONNECT_SECONDS, READ_SECONDS, Transport
from media_pipeline.genesys.values import decoded_or_nothing, items, path_segment, text

PUT = "media_put"
VALID_SECONDS = 60.0
"""How long the source may examine an upload."""
FIRST_LOOK_SECONDS = 0.25
OURS = ("agent", "user", "bot", "workflow", "acd", "api")
"""Purposes of participants on the org's side, those who speak to guests first."""
CONTENT_PROFILE = (
    "Where audio is not let out, an administrator adds audio/mpeg, audio/wav and audio/ogg to the outbound types of "
    "the messaging deployment's supported content profile."
)


class PlatformVoices:
    """VoiceTarget and Texts over the published API; safe to use from threads."""

    dialect = "platform"
    link_seconds: float | None = None

    def __init__(self, api: Transport, hosts: MediaHosts, stats: CallStats, *, connections: int) -> None:
        self._api, self._hosts, self._stats = api, hosts, stats
        self.lookup = PlatformSentMessages(api)
        self._connections = connections
        self._http: httpx.Client | None = None
        self._lock = threading.Lock()

    @property
    def texts(self) -> Texts:
        """In the session that the audio is sent in."""
        return self

    def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            self._http.close()

    def upload_voice(self, voice: OutgoingVoice, audio: bytes, last_look: LastLook) -> UploadedVoice:
        """Announce, put, and ask until it is valid, for a minute at most."""
        path = self._communication(voice)
        announced = self._changed(
            "message_media_upload",
            f"{path}/media/uploads",
            {
                "fileName": voice.file_name,
                "contentLengthBytes": len(audio),
                "contentMd5": base64.b64encode(hashlib.md5(audio, usedforsecurity=False).digest()).decode(),
            },
            last_look,
        )
        media_id, link = text(announced.get("id")), text(announced.get("uploadUrl"))
        headers = announced.get("uploadHeaders")
        if media_id is None or link is None:
            raise MalformedReply("The reply to the announcement of a voice message has no id and uploadUrl.")
        if refusal := self._hosts.refusal(link):
            raise MalformedReply(f"The link to upload a voice message to was not followed: {refusal}.")
        named = {str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
        try:
            self._api.patience.run(lambda: self._put(link, named, audio), PUT, self._stats)
        except AddressRefused as refused:
            raise MalformedReply(f"The link to upload a voice message to was not followed: {refused}.") from None
        self._await_valid(f"{path}/media/{path_segment(media_id)}")
        return UploadedVoice(media_id=media_id)

    def send_voice(self, voice: OutgoingVoice, uploaded: UploadedVoice, last_look: LastLook) -> str | None:
        """M3 with the medium."""
        path = self._communication(voice)
        try:
            return text(self._changed("message_create", path, {"mediaIds": [uploaded.media_id]}, last_look).get("id"))
        except Refused as error:
            if error.status in (400, 415) and "content profile" in str(error).lower():
                raise Refused(f"{error} {CONTENT_PROFILE}", 415) from None
            raise

    def send_text(self, voice: OutgoingVoice, last_look: LastLook) -> str | None:
        """M3 with the transcript."""
        path = self._communication(voice)
        return text(self._changed("message_create", path, {"textBody": voice.transcript}, last_look).get("id"))

    def _communication(self, voice: OutgoingVoice) -> str:
        """Path of the session to speak in: the sender's where it takes part, else an agent's or a bot's."""
        path = f"/api/v2/conversations/{path_segment(voice.conversation_id)}"
        body = self._api.get_json("conversation", path, permission=needed_for("conversation"))
        found: list[tuple[bool, int, str]] = []
        for participant in items(body.get("participants")):
            purpose = str(participant.get("purpose"))
            user = participant.get("user")
            names = (participant.get("id"), participant.get("userId"), user.get("id") if isinstance(user, dict) else "")
            for session in items(participant.get("messages")):
                communication_id = text(session.get("id"))
                if purpose in OURS and communication_id and session.get("state") not in ("disconnected", "terminated"):
                    is_sender = voice.sender_id in (*names, communication_id)
                    found.append((not is_sender, OURS.index(purpose), communication_id))
        if not found:
            raise Refused(
                "No agent or bot takes part in the conversation (any more); nobody else can send audio to its guest."
            )
        return f"{MESSAGES}/{path_segment(voice.conversation_id)}/communications/{path_segment(min(found)[2])}/messages"

    def _changed(self, operation: str, path: str, body: object, last_look: LastLook) -> dict[str, Any]:
        found = self._api.call(
            operation,
            "POST",
            path,
            body=body,
            permission=needed_for(operation),
            accepted=(200, 201, 202),
            decode=decoded_or_nothing,
            patience=dataclasses.replace(self._api.patience, only=NO_EFFECT),
            last_look=last_look,
        )
        return found if isinstance(found, dict) else {}

    def _await_valid(self, path: str) -> None:
        until, wait = time.monotonic() + VALID_SECONDS, FIRST_LOOK_SECONDS
        while True:
            state = self._api.get_json("message_media", path, permission=needed_for("message_media")).get("status")
            if state == "valid":
                return
            if state == "invalid":
                raise Refused("Genesys Cloud examined the file and does not take it (status invalid).", 415)
            if time.monotonic() + wait > until:
                raise StillPreparing("Genesys Cloud was still examining the file after a minute.")
            time.sleep(wait)
            wait *= 2

    def _put(self, link: str, headers: dict[str, str], audio: bytes) -> None:
        """Put the bytes behind the link, which may be repeated; never with a bearer token."""
        try:
            reply = self._client().put(link, content=audio, headers=headers)
        except httpx.TransportError as error:
            self._stats.called(PUT, 0)
            raise TryAgain(ServerError(f"The upload of a voice message broke ({type(error).__name__}).")) from None
        self._stats.called(PUT, reply.status_code)
        if not reply.is_success:
            _refused(reply)

    def _client(self) -> httpx.Client:
        """Made with the first upload: most runs have none."""
        with self._lock:
            if self._http is None:
                client = httpx.Client(
                    timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None),
                    limits=httpx.Limits(max_connections=self._connections),
                    headers={"User-Agent": "media-pipeline"},
                    follow_redirects=False,
                )
                self._http = guarded(client, self._hosts.admits)
            return self._http


def _refused(reply: httpx.Response) -> NoReturn:
    what = f"The link to upload a voice message to was answered with HTTP {reply.status_code}"
    if reply.status_code in (408, 429) or reply.status_code >= 500:
        wait = retry_after_seconds(reply.headers)
        raise TryAgain(ServerError(f"{what} until the end."), retry_after_seconds=wait)
    if reply.status_code == httpx.codes.FORBIDDEN:
        raise ServerError(f"{what}: it has expired, or its headers were not accepted.")
    raise Refused(f"{what}.", reply.status_code)
