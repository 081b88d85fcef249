"""R7 and D4: how long recordings are kept, and which conversations may not be deleted."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from media_pipeline.sandbox.credentials import single_values
from media_pipeline.sandbox.org import Recording
from media_pipeline.sandbox.platform import facts
from media_pipeline.sandbox.platform.documents import BadRequestError, count, document
from media_pipeline.sandbox.platform.moments import iso
from media_pipeline.sandbox.platform.permissions import Needed
from media_pipeline.sandbox.wire import Reply, Request, json_reply, reply

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

PAGE_SIZE = 25
MAX_PAGE_SIZE = 500
MAX_PROTECTED = 100
PATH = "/api/v2/recordings/retention/query"


def query(state: State, request: Request) -> Reply:
    """R7: recordings kept for more days than the threshold, oldest first; no nextUri on the last page."""
    arguments = single_values(request.query)
    text = arguments.get("retentionThresholdDays", "")
    if not (text.isascii() and text.isdecimal()):
        raise BadRequestError("retentionThresholdDays is required and a number of days.", "invalid.value")
    size = count(arguments.get("pageSize"), "pageSize", PAGE_SIZE, MAX_PAGE_SIZE)
    start = _offset(arguments.get("cursor"))
    first = dt.datetime.combine(state.org.first_day, dt.time(), dt.UTC)
    before = state.clock.now() - dt.timedelta(days=min(int(text), 36_500))
    kept = state.org.between(first, before) if before > first else state.org.slice_of(state.org.first_day, 0, 0)
    page: dict[str, object] = {
        "entities": [_entity(state, state.org.recording(each)) for each in kept[start : start + size]],
        "selfUri": f"{PATH}?{request.query}",
    }
    if start + size < len(kept):
        page["nextUri"] = _page_uri(text, size, start + size)
    if start:
        page["previousUri"] = _page_uri(text, size, max(start - size, 0))
    return json_reply(page)


def protection(state: State, request: Request) -> Reply:
    """D4: which of these conversations are protected (POST), or protect them or no longer (PUT, 204)."""
    body = document(request, frozenset({"conversationIds"}))
    ids = body.get("conversationIds")
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise BadRequestError("conversationIds must be a list of ids.", "invalid.value")
    count(len(ids), "The number of conversationIds", None, MAX_PROTECTED)
    if request.method == "POST":
        held = [each for each in ids if each in state.protected]
        return json_reply([{"id": each, "selfUri": f"/api/v2/conversations/{each}"} for each in held])
    apply = single_values(request.query).get("protect", "true").lower() != "false"
    name = f"recording:deletionProtection:{'apply' if apply else 'revoke'}"
    refused = Needed((name,), every=True).refusal("protection", state.permissions)
    if refused is not None:
        return refused
    state.protected = state.protected | set(ids) if apply else state.protected - set(ids)
    return reply(204, "application/json", b"")


def _entity(state: State, recording: Recording) -> dict[str, Any]:
    archived = facts.archive_date(state, recording)
    entity = {
        "conversationId": state.org.conversation_id(state.org.first_of_conversation(recording.ordinal)),
        "recordingId": state.listing.wire_id(recording),
        "deleteDate": iso(facts.delete_date(state, recording)),
        "creationTime": iso(recording.created),
    }
    return entity if archived is None else entity | {"archiveDate": iso(archived), "archiveMedium": "CLOUDARCHIVE"}


def _page_uri(days: str, size: int, start: int) -> str:
    cursor = base64.urlsafe_b64encode(str(start).encode()).decode()
    return f"{PATH}?{urlencode({'retentionThresholdDays': days, 'pageSize': size, 'cursor': cursor})}"


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not (text.isascii() and text.isdecimal()):
        raise BadRequestError("The cursor is not one of this query.", "invalid.value")
    return int(text)
