"""R1-R3: the recordings of a conversation with playable media, and their metadata without."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from media_pipeline.sandbox.credentials import single_values
from media_pipeline.sandbox.org import Recording
from media_pipeline.sandbox.platform import facts, people
from media_pipeline.sandbox.platform.documents import BadRequestError, document, missing
from media_pipeline.sandbox.platform.moments import BadIntervalError, iso, moment
from media_pipeline.sandbox.wire import Reply, Request, json_reply, reply

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

FORMATS = ("WAV", "WEBM", "WAV_ULAW", "OGG_VORBIS", "OGG_OPUS", "MP3", "NONE")
TRANSCODES_HELD = 10_000
REGION = "us-east-1"
RESTORATIONS = 5

_MEDIA = {"call": "audio", "screen": "screen", "chat": "chat", "email": "email", "message": "message"}
_SUBTYPES = {"call": "Trunk", "screen": "Screen"}

Entity = dict[str, Any]


_DATES = {"deleteDate": "delete_date", "archiveDate": "archive_date"}
_FIELDS = frozenset(
    {
        "id",
        "name",
        "conversationId",
        "path",
        "startTime",
        "endTime",
        "media",
        "mediaSubtype",
        "mediaSubject",
        "annotations",
        "transcript",
        "emailTranscript",
        "messagingTranscript",
        "fileState",
        "restoreExpirationTime",
        "mediaUris",
        "estimatedTranscodeTimeMs",
        "actualTranscodeTimeMs",
        "archiveDate",
        "archiveMedium",
        "deleteDate",
        "exportDate",
        "exportedDate",
        "outputDurationMs",
        "outputSizeInBytes",
        "maxAllowedRestorationsForOrg",
        "remainingRestorationsAllowedForOrg",
        "sessionId",
        "users",
        "recordingFileRole",
        "recordingErrorStatus",
        "originalRecordingStartTime",
        "creationTime",
        "associatedConversationIds",
        "selfUri",
    }
)
"""Of a Recording in the official SDK 269.0.0."""


class Transcodes:
    """How often each recording was asked for: its first answers are 202."""

    def __init__(self) -> None:
        self._asked: OrderedDict[int, int] = OrderedDict()

    def is_ready(self, ordinal: int, polls: int) -> bool:
        """Count one more question; True once there were more than `polls`."""
        self._asked[ordinal] = self._asked.get(ordinal, 0) + 1
        self._asked.move_to_end(ordinal)
        while len(self._asked) > TRANSCODES_HELD:
            self._asked.popitem(last=False)
        return self._asked[ordinal] > polls


def recordings(state: State, request: Request, conversation_id: str) -> Reply:
    """R1: every recording of a conversation; 202 without a body while one is being transcoded."""
    conversation = state.conversations.find(conversation_id)
    if conversation is None:
        return missing("recordings", "conversation")
    chosen = _format(request)
    shown = [each for each in conversation.recordings if not facts.is_withheld(state, each)]
    waiting = [each for each in shown if _is_transcoding(state, each, chosen)]
    return _accepted() if waiting else json_reply([_recording(state, request, each) for each in shown])


def recording(state: State, request: Request, conversation_id: str, recording_id: str) -> Reply:
    """R2: one of them."""
    found = _find(state, conversation_id, recording_id)
    if found is None or facts.is_withheld(state, found):
        return missing("recording", "recording")
    if _is_transcoding(state, found, _format(request)):
        return _accepted()
    return json_reply(_recording(state, request, found))


def change(state: State, request: Request, conversation_id: str, recording_id: str) -> Reply:
    """D1: sets when a recording is archived or deleted; the other fields of a Recording are read only here."""
    found = _find(state, conversation_id, recording_id)
    if found is None:
        return missing("recording_change", "recording")
    body = document(request, _FIELDS)
    if body.get("fileState", facts.file_state(state, found)) != facts.file_state(state, found):
        raise BadRequestError("The sandbox restores nothing: fileState cannot be changed.", "invalid.value")
    before = state.changes.get(found.ordinal, facts.UNCHANGED)
    dates = {name: _date(body[key]) for key, name in _DATES.items() if body.get(key) is not None}
    state.changes[found.ordinal] = dataclasses.replace(before, **dates)
    return json_reply(_recording(state, request, found))


def metadata(state: State, _: Request, conversation_id: str) -> Reply:
    """R3: a bare array."""
    conversation = state.conversations.find(conversation_id)
    if conversation is None:
        return missing("metadata", "conversation")
    return json_reply([_metadata(state, each) for each in conversation.recordings])


def metadata_of(state: State, _: Request, conversation_id: str, recording_id: str) -> Reply:
    """R3 of one recording."""
    found = _find(state, conversation_id, recording_id)
    return missing("metadata", "recording") if found is None else json_reply(_metadata(state, found))


def _find(state: State, conversation_id: str, recording_id: str) -> Recording | None:
    conversation = state.conversations.find(conversation_id)
    found = state.listing.find(recording_id)
    if conversation is None or found is None:
        return None
    return found if found.ordinal in {each.ordinal for each in conversation.recordings} else None


def _date(value: object) -> dt.datetime:
    try:
        return moment(str(value))
    except BadIntervalError as error:
        raise BadRequestError(str(error), "invalid.date") from error


def _format(request: Request) -> str:
    chosen = single_values(request.query).get("formatId", "WEBM")
    if chosen not in FORMATS:
        raise BadRequestError(f"formatId must be one of {', '.join(FORMATS)}.", "invalid.value")
    return chosen


def _is_transcoding(state: State, found: Recording, chosen: str) -> bool:
    reached = facts.file_state(state, found)
    if reached == "UPLOADING":
        return True
    if reached != "AVAILABLE" or chosen == "NONE" or found.kind.media_type != "call":
        return False
    return not state.transcodes.is_ready(found.ordinal, state.settings.transcode_polls)


def _accepted() -> Reply:
    return reply(202, "application/json", b"")


def _metadata(state: State, found: Recording) -> Entity:
    """RecordingMetadata. startTime is there for screen recordings only, as the API has it."""
    wire_id = state.listing.wire_id(found)
    conversation_id = state.conversations.of_recording(found).id
    media = found.kind.media_type
    archived = facts.archive_date(state, found)
    entity: Entity = {
        "id": wire_id,
        "conversationId": conversation_id,
        "media": _MEDIA[media],
        "mediaSubtype": _SUBTYPES.get(media),
        "annotations": [],
        "fileState": facts.file_state(state, found),
        "archiveDate": None if archived is None else iso(archived),
        "archiveMedium": None if archived is None else "CLOUDARCHIVE",
        "deleteDate": iso(facts.delete_date(state, found)),
        "maxAllowedRestorationsForOrg": RESTORATIONS,
        "remainingRestorationsAllowedForOrg": RESTORATIONS,
        "sessionId": people.communication_id(state.org, found),
        "region": REGION,
        "selfUri": f"/api/v2/conversations/{conversation_id}/recordings/{wire_id}",
    }
    if media == "screen":
        end = found.created + state.conversations.duration(found)
        entity |= {"startTime": iso(found.created), "endTime": iso(end)}
    return {name: value for name, value in entity.items() if value is not None}


def _recording(state: State, request: Request, found: Recording) -> Entity:
    """Recording. The media behind its links are not really transcoded: they are the batch's bytes."""
    entity = _metadata(state, found)
    del entity["region"]
    entity |= {"recordingFileRole": "CUSTOMER_EXPERIENCE", "creationTime": iso(found.created)}
    bodies = [state.media.body(part) for part in facts.parts(found)]
    if entity["fileState"] != "AVAILABLE" or None in bodies:
        return entity | {"outputDurationMs": 0, "outputSizeInBytes": 0}
    duration = state.conversations.duration(found)
    seconds = state.settings.playback_seconds
    names = [facts.file_name(found, part) for part in range(len(bodies))]
    keys = ["S"] if len(names) == 1 else [str(number) for number in range(len(names))]
    links = (state.signer.link(request.base_url, name, seconds) for name in names)
    return entity | {
        "startTime": iso(found.created),
        "endTime": iso(found.created + duration),
        "mediaUris": {key: {"mediaUri": link} for key, link in zip(keys, links, strict=True)},
        "actualTranscodeTimeMs": 0,
        "outputDurationMs": round(duration.total_seconds() * 1_000),
        "outputSizeInBytes": sum(body.size for body in bodies if body is not None),
    }
