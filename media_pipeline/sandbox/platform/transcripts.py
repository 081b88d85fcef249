"""T1 and T2, and the transcript document behind their links (ten minutes).

Times in the document are absolute, in ms since 1970; the offsets of the guide's segments are startTimeMs - startTime.
Source of the document: GENESYS_API.md, section 2 (d).
"""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any, cast

from media_pipeline.sandbox.faults import Call
from media_pipeline.sandbox.org import Recording
from media_pipeline.sandbox.platform import people
from media_pipeline.sandbox.platform.conversations import Conversation
from media_pipeline.sandbox.platform.documents import missing
from media_pipeline.sandbox.platform.moments import epoch_ms
from media_pipeline.sandbox.platform.permissions import TRANSCRIPT, Needed
from media_pipeline.sandbox.wire import Reply, Request, json_reply, s3_error

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

LINK_SECONDS = 600
SUFFIX = ".json"
"""Of the file behind a link: `<recording id>.json`."""
SIDES = {"customer": "external", "agent": "internal"}

Document = dict[str, Any]


def recording_of(state: State, conversation_id: str, communication_id: str) -> Recording | None:
    """The recording of a communication; None when the conversation has no such communication."""
    conversation = state.conversations.find(conversation_id)
    recordings = () if conversation is None else conversation.recordings
    return next((each for each in recordings if people.communication_id(state.org, each) == communication_id), None)


def url(state: State, request: Request, conversation_id: str, communication_id: str) -> Reply:
    """T1: one link."""
    found = recording_of(state, conversation_id, communication_id)
    refused = _refusal(found)
    if found is None or refused is not None:
        return refused or missing("transcript_url", "communication")
    return json_reply({"url": _link(state, request, found)})


def urls(state: State, request: Request, conversation_id: str, communication_id: str) -> Reply:
    """T2: one link for each recording of the communication."""
    found = recording_of(state, conversation_id, communication_id)
    refused = _refusal(found)
    if found is None or refused is not None:
        return refused or missing("transcript_url", "communication")
    wire_id = state.listing.wire_id(found)
    self_uri = f"/api/v2/conversations/{conversation_id}"
    recording = {"id": wire_id, "selfUri": f"{self_uri}/recordings/{wire_id}"}
    return json_reply(
        {
            "conversation": {"id": conversation_id, "selfUri": self_uri},
            "communicationId": communication_id,
            "urls": [{"recording": recording, "url": _link(state, request, found)}],
        }
    )


def file(state: State, _: Request, found: Recording | None) -> Reply:
    """The document behind a link."""
    if found is None or found.transcript != "available":
        return s3_error(404, "NoSuchKey", "The specified key does not exist.")
    document = _document(state, state.conversations.of_recording(found), found)
    call = Call("transcript_file", state.listing.wire_id(found))
    return json_reply(state.rules.through(("document",), call, document))


def _refusal(found: Recording | None) -> Reply | None:
    if found is None or found.transcript == "unavailable":
        return missing("transcript_url", "transcript")
    if found.transcript == "forbidden":
        return Needed((TRANSCRIPT,), every=True).refusal("transcript_url", ())
    return None


def _link(state: State, request: Request, found: Recording) -> str:
    return state.signer.link(request.base_url, found.id + SUFFIX, LINK_SECONDS)


def _document(state: State, conversation: Conversation, found: Recording) -> Document:
    start = epoch_ms(found.created)
    length = state.conversations.duration(found) // dt.timedelta(milliseconds=1)
    transcript = {
        "transcriptId": state.org.named_id("transcript", found.ordinal),
        "language": "en-us",
        "programId": state.org.named_id("program", 0),
        "startTime": start,
        "duration": {"milliseconds": length},
        "phrases": [_phrase(number, start, each) for number, each in enumerate(state.media.segments(found))],
        "analytics": {"sentiment": [], "topics": []},
    }
    return {
        "organizationId": state.org.named_id("organization", 0),
        "conversationId": conversation.id,
        "communicationId": people.communication_id(state.org, found),
        "recordingId": state.listing.wire_id(found),
        "mediaType": "call",
        "conversationStartTime": epoch_ms(conversation.start),
        "startTime": start,
        "duration": {"milliseconds": length},
        "uri": f"/api/v2/conversations/{conversation.id}",
        "participants": _participants(state, conversation, found, start, length),
        "transcripts": [transcript],
    }


def _participants(
    state: State, conversation: Conversation, found: Recording, start: int, length: int
) -> list[Document]:
    common = {
        "initialDirection": "inbound",
        "queueId": people.queue_id(state.org, found),
        "divisionId": people.division_id(state.org),
    }
    whole = {"startTimeMs": start, "endTimeMs": start + length}
    listed: list[Document] = [{"participantPurpose": "customer", **common, **whole}]
    if conversation.start < found.created:
        before = {"startTimeMs": epoch_ms(conversation.start), "endTimeMs": start}
        listed.append({"participantPurpose": "acd", **common, **before})
    for stint in people.stints(state.org, found, length):
        times = {"startTimeMs": start + stint.start_ms, "endTimeMs": start + stint.end_ms}
        listed.append({"participantPurpose": "agent", "userId": stint.user_id, **common, **times})
    return listed


def _phrase(number: int, start: int, segment: dict[str, object]) -> Document:
    """One phrase; where the guide names no speaker or no confidence, neither do the phrase and its words."""
    first = start + cast(int, segment["startOffsetInMilliseconds"])
    last = start + cast(int, segment["endOffsetInMilliseconds"])
    text = str(segment["text"])
    phrase: Document = {
        "text": text,
        "stability": 1.0,
        "startTimeMs": first,
        "duration": {"milliseconds": last - first},
        "phraseIndex": number,
        "words": list(_words(text, first, last, segment.get("confidence"))),
        "alternatives": [],
    }
    side = SIDES.get(str(segment.get("speaker")))
    return phrase if side is None else phrase | {"participantPurpose": side}


def _words(text: str, first: int, last: int, confidence: object) -> list[Document]:
    """The words, sharing the phrase's time evenly and its confidence."""
    words = text.split()
    edges = [first + (last - first) * number // len(words) for number in range(len(words) + 1)]
    known = {} if confidence is None else {"confidence": confidence}
    return [
        {"word": word, **known, "startTimeMs": start, "duration": {"milliseconds": end - start}}
        for word, (start, end) in zip(words, itertools.pairwise(edges), strict=True)
    ]
