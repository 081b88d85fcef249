"""The API's operations: token, list, quota, media, link, transcript and interaction_media, answered from the state.

Each takes the request and, where the path names one, the recording; what goes wrong on purpose is `fault_kinds`'. No
routing here.
"""

from __future__ import annotations

from urllib.parse import unquote_plus

from media_pipeline.sandbox.credentials import basic_credentials, single_values
from media_pipeline.sandbox.faults import Call
from media_pipeline.sandbox.listing import MAX_PAGE_SIZE, QueryError, parse_query
from media_pipeline.sandbox.org import Recording
from media_pipeline.sandbox.platform import facts
from media_pipeline.sandbox.state import State
from media_pipeline.sandbox.video import ORDINARY
from media_pipeline.sandbox.wire import Reply, Request, json_reply, refusal

DEFAULT_PAGE_SIZE = 25
TYPICAL_RECORDING_MB = 0.6
TRANSCRIPT_PERMISSION = "speechAndTextAnalytics:data:view"


def token(state: State, request: Request) -> Reply:
    """`POST /oauth/token`: client credentials from the form or from HTTP Basic."""
    form = single_values(request.body.decode("utf-8", "replace"))
    basic = basic_credentials(request.headers.get("authorization", ""))
    if form.get("grant_type") != "client_credentials":
        return refusal("token", 400, "unsupported_grant_type", "The only grant type here is client_credentials.")
    # RFC 6749 form-encodes both halves of the Basic pair; clients that do not are accepted as well.
    given: set[tuple[str | None, ...]] = (
        {basic, tuple(map(unquote_plus, basic))} if basic else {(form.get("client_id"), form.get("client_secret"))}
    )
    if (state.options.client_id, state.options.client_secret) not in given:
        return refusal("token", 401, "invalid_client", "Client authentication failed: unknown client or wrong secret.")
    seconds = state.settings.token_seconds
    return json_reply({"access_token": state.signer.token(seconds), "token_type": "bearer", "expires_in": seconds})


def recordings(state: State, request: Request) -> Reply:
    """`GET /api/v2/recordings`: one page of what was created in a range of time."""
    arguments = single_values(request.query)
    try:
        query = parse_query(arguments.get("query", ""))
        size = _count(arguments, "pageSize", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        number = _count(arguments, "pageNumber", 1, 1 << 31)
    except QueryError as error:
        return refusal("list", 400, "bad.request", str(error))
    entities = [_entity(state, recording) for recording in state.listing.page(query, size, number)]
    return json_reply({"entities": state.rules.through(("page",), Call("list"), entities)})


def quota(state: State, _: Request) -> Reply:
    """`GET /api/v2/recordings/quota`: MB = 10^6 bytes, estimated from the number of recordings."""
    count = state.options.days * state.org.per_day
    used = count * TYPICAL_RECORDING_MB + state.options.days * state.options.huge_mb
    return json_reply({"storage_used_mb": round(used, 1), "storage_limit_mb": state.settings.storage_limit_mb})


def media(state: State, request: Request, recording: Recording) -> Reply:
    """`GET /api/v2/media/{id}`: size, checksum and a fresh link."""
    if recording.kind.name == "missing" or facts.is_deleted(state, recording):
        return _no_such("media")
    wire_id = state.listing.wire_id(recording)
    variant = state.rules.through(("variant",), Call("media", wire_id), ORDINARY)
    body = state.media.body(recording, variant)
    entity: dict[str, object] = {
        "id": wire_id,
        "file_name": recording.file_name,
        "content_type": recording.content_type,
        "file_size": body.size if body else 0,
        "md5": body.md5 if body else None,
        "download_url": _link(state, request, recording),
        "created_date": recording.created_time,
    }
    return json_reply(state.rules.through(("checksum", "url", "name"), Call("media", wire_id), entity))


def link(state: State, request: Request, recording: Recording) -> Reply:
    """`GET /api/v2/recordings/{id}/download`: a fresh link only."""
    if recording.kind.name == "missing" or facts.is_deleted(state, recording):
        return _no_such("link")
    entity: dict[str, object] = {"download_url": _link(state, request, recording)}
    return json_reply(state.rules.through(("url",), Call("link", state.listing.wire_id(recording)), entity))


def transcript(state: State, _: Request, recording: Recording) -> Reply:
    """`GET /api/v2/recordings/{id}/transcript`: what was said; the offsets are those of the audio."""
    if recording.transcript == "unavailable":
        return _no_such("transcript")
    if recording.transcript == "forbidden":
        message = f"You are missing the following permission(s): {TRANSCRIPT_PERMISSION}"
        return refusal("transcript", 403, "missing.permissions", message)
    return json_reply({"segments": state.media.segments(recording)})


def interaction_media(state: State, request: Request, conversation_id: str) -> Reply:
    """`GET /api/v2/interactions/{id}/media`: the recordings of a conversation, as far as the listing names theirs.

    One that is being prepared has neither a media id nor a place yet, one without a file no place.
    """
    conversation = state.conversations.find(conversation_id)
    named = [each for each in conversation.recordings if each.conversation_id is not None] if conversation else []
    if not named:
        return _no_such("interaction", "with this id")
    call = Call("interaction_media", conversation_id)
    entities = [state.rules.through(("location",), call, _media_object(state, request, each)) for each in named]
    return json_reply({"entities": entities})


def _media_object(state: State, request: Request, recording: Recording) -> dict[str, object]:
    url = _link(state, request, recording)
    media_type = recording.kind.media_type
    entity: dict[str, object] = {
        "mediaType": "voice" if media_type == "call" else media_type,
        "storageLocation": {} if url is None else {"url": url},
    }
    if recording.kind.status == "complete":
        entity["recordingMediaId"] = state.listing.wire_id(recording)
    return entity


def _entity(state: State, recording: Recording) -> dict[str, object]:
    entity: dict[str, object] = {
        "id": state.listing.wire_id(recording),
        "format": recording.kind.format,
        "media_type": recording.kind.media_type,
        "created_time": recording.created_time,
        "duration_seconds": state.media.duration_seconds(recording),
        "status": recording.kind.status,
    }
    if recording.conversation_id is not None:
        entity["conversation_id"] = recording.conversation_id
    return entity


def _link(state: State, request: Request, recording: Recording) -> str | None:
    if not recording.kind.has_file:
        return None
    return state.signer.link(request.base_url, recording.id, state.settings.link_seconds)


def _no_such(operation: str, whose: str = "for this recording") -> Reply:
    return refusal(None, 404, "not.found", f"There is no {operation} {whose}.")


def _count(arguments: dict[str, str], name: str, default: int, maximum: int) -> int:
    text = arguments.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= maximum):
        raise QueryError(f"{name} must be a number from 1 to {maximum}, not {text!r}.")
    return int(text)
