"""R5 and R6: download links for up to 100 conversations or recordings at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from media_pipeline.sandbox.faults import Call
from media_pipeline.sandbox.org import Recording
from media_pipeline.sandbox.platform import facts
from media_pipeline.sandbox.platform.documents import BadRequestError, document, missing
from media_pipeline.sandbox.platform.pending import Pending
from media_pipeline.sandbox.wire import Reply, Request, json_reply

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

MAX_REQUESTS = 100

ERRORS = {
    "ARCHIVED": "The recording is archived and must be restored before it can be downloaded.",
    "RESTORING": "The recording is being restored.",
    "UPLOADING": "The recording is still being uploaded.",
    "ERROR": "The recording is in an error state and has no media.",
}
"""`errorMsg` by file state. Genesys publishes no wording; DELETED recordings are left out."""
UNKNOWN = "The recording was not found."

Result = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """One request of a batch: a conversation (first ordinal), perhaps one recording of it; or what is not known."""

    conversation: int | None
    recording: int | None
    unknown: tuple[str, str | None] | None = None


Batch = tuple[Wanted, ...]


def submit(state: State, request: Request) -> Reply:
    """R5."""
    body = document(request, frozenset({"batchDownloadRequestList"}))
    entries = body.get("batchDownloadRequestList")
    if not isinstance(entries, list) or not entries:
        raise BadRequestError("batchDownloadRequestList must list requests.", "invalid.value")
    if len(entries) > MAX_REQUESTS:
        raise BadRequestError(f"A batch may hold at most {MAX_REQUESTS} requests, not {len(entries)}.", "invalid.value")
    batch = state.batches.add(tuple(_wanted(state, each) for each in entries), state.clock.now())
    return json_reply({"id": batch.id, "selfUri": f"/api/v2/recording/batchrequests/{batch.id}"})


def batch_state(state: State, request: Request, job_id: str) -> Reply:
    """R6: what is ready so far; `expectedResultCount` begins as the number of requests and follows what is found."""
    batch = state.batches.find(job_id)
    if batch is None:
        return missing("batch_state", "batch job")
    batch.polls += 1
    settings = state.settings
    share = batch.share(state.clock.now(), seconds=settings.prepare_seconds, polls=settings.prepare_polls)
    call = Call("batch_state", credential=job_id)
    share = state.rules.through(("batch",), call, share)
    found = list(_results(state, request, batch))
    found = state.rules.through(("batch_results",), call, found) if share >= 1 else found
    shown = found[: int(len(found) * share)]
    expected = len(batch.asked) if batch.polls == 1 and share < 1 else max(len(found), len(shown))
    status: dict[str, object] = {
        "id": batch.id,
        "jobId": batch.id,
        "expectedResultCount": expected,
        "resultCount": len(shown),
        "errorCount": sum("errorMsg" in each for each in shown),
        "status": "Completed" if share >= 1 else "InProgress",
        "results": shown,
        "selfUri": f"/api/v2/recording/batchrequests/{batch.id}",
    }
    return json_reply(status)


def _wanted(state: State, entry: object) -> Wanted:
    if not isinstance(entry, dict) or set(entry) - {"conversationId", "recordingId"}:
        raise BadRequestError("A request has a conversationId and perhaps a recordingId.", "invalid.value")
    conversation_id, recording_id = entry.get("conversationId"), entry.get("recordingId")
    if not isinstance(conversation_id, str) or not isinstance(recording_id, str | None):
        raise BadRequestError("conversationId is required and a string, as is a recordingId.", "invalid.value")
    unknown = Wanted(None, None, (conversation_id, recording_id))
    conversation = state.conversations.find(conversation_id)
    if conversation is None:
        return unknown
    if recording_id is None:
        return Wanted(conversation.first, None)
    recording = state.listing.find(recording_id)
    if recording is None or recording.ordinal not in {each.ordinal for each in conversation.recordings}:
        return unknown
    return Wanted(conversation.first, recording.ordinal)


def _results(state: State, request: Request, batch: Pending[Batch]) -> Iterator[Result]:
    for wanted in batch.asked:
        if wanted.unknown is not None:
            conversation_id, recording_id = wanted.unknown
            named = {} if recording_id is None else {"recordingId": recording_id}
            yield {"conversationId": conversation_id, **named, "errorMsg": UNKNOWN}
        elif wanted.conversation is not None:
            conversation = state.conversations.of(wanted.conversation)
            for recording in conversation.recordings:
                if wanted.recording in (None, recording.ordinal):
                    yield from _recording_results(
                        state, request, f"{batch.id} {recording.id}", conversation.id, recording
                    )


def _recording_results(
    state: State, request: Request, place: str, conversation_id: str, recording: Recording
) -> list[Result]:
    """What a batch says of one recording: its files, one error, or nothing at all; the same at every poll."""
    wire_id = state.listing.wire_id(recording)
    named: Result = {"conversationId": conversation_id, "recordingId": wire_id}
    reached = facts.file_state(state, recording)
    if reached == "DELETED" or facts.is_withheld(state, recording):
        found = []
    elif reached in ERRORS:
        found = [named | {"errorMsg": ERRORS[reached]}]
    else:
        content_type = facts.content_type(recording)
        found = [
            named | {"resultUrl": _link(state, request, recording, part), "contentType": content_type}
            for part in range(len(facts.parts(recording)))
        ]
    call = Call("batch_state", wire_id, credential=place)
    return list(state.rules.through(("batch_item", "url"), call, found))


def _link(state: State, request: Request, recording: Recording, part: int) -> str:
    name = facts.file_name(recording, part)
    return state.signer.link(request.base_url, name, state.settings.link_seconds)
