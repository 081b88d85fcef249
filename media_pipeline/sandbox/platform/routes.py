"""The published paths: which request is which operation, what it needs, and who answers it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from media_pipeline.sandbox.platform import (
    analytics,
    attributes,
    batches,
    message_media,
    messages,
    organization,
    recordings,
    retention,
    transcripts,
)
from media_pipeline.sandbox.platform.documents import BadRequestError
from media_pipeline.sandbox.platform.permissions import (
    COMMUNICATION,
    DETAILS,
    MESSAGE_CREATE,
    MESSAGE_UPLOAD,
    MESSAGE_VIEW,
    NOTHING,
    RECORDING,
    RETENTION,
    TRANSCRIPT,
    VIEWS,
    Needed,
)
from media_pipeline.sandbox.wire import Operation, Reply, Request, refusal

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

MAX_BODY_BYTES = 512_000
"""`request.bytes.max` of the published limits."""

Handler = Callable[..., Reply]
"""Takes the state, the request, and the ids in the path."""


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """One published operation; `*` in the path stands for an id."""

    operation: Operation
    methods: str
    path: str
    handler: Handler
    needs: Needed = NOTHING


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """A request that is a published operation, with the ids in its path."""

    route: Route
    ids: tuple[str, ...]

    @property
    def operation(self) -> Operation:
        """Under which it is counted and broken."""
        return self.route.operation

    def recording_id(self, state: State) -> str | None:
        """The recording (wire id) a request is about; None when it is about none or several."""
        if self.operation == "transcript_url":
            found = transcripts.recording_of(state, *self.ids)
            return None if found is None else state.listing.wire_id(found)
        if self.operation not in ("recording", "metadata", "recording_change") or len(self.ids) != 2:
            return None
        return self.ids[1] if state.listing.find(self.ids[1]) else None

    def subject(self, state: State) -> str | None:
        """What rules of faults may name: the recording, else the conversation."""
        return self.recording_id(state) or (self.ids[0] if self.operation in _OF_CONVERSATION else None)

    def answer(self, state: State, request: Request) -> Reply:
        """The operation's reply, 403 without its permissions and 400 for a request that makes no sense."""
        refused = self.route.needs.refusal(self.operation, state.permissions)
        if refused is not None:
            return refused
        if len(request.body) > MAX_BODY_BYTES:
            return refusal(self.operation, 413, "request.too.large", f"Maximum bytes: {MAX_BODY_BYTES}")
        try:
            return self.route.handler(state, request, *self.ids)
        except BadRequestError as error:
            return refusal(self.operation, 400, error.code, str(error))


_OF_CONVERSATION = (
    "recordings",
    "metadata",
    "transcript_url",
    "conversation",
    "message_conversation",
    "message_details",
    "message_media_upload",
    "message_media",
    "message_create",
    "participant_attributes",
)
_DETAILS = "/api/v2/analytics/conversations/details"
_CONVERSATION = "/api/v2/conversations/*"
_MESSAGES = "/api/v2/conversations/messages"
_SENT = f"{_MESSAGES}/*/communications/*/messages"
_COMMUNICATION = "/api/v2/speechandtextanalytics/conversations/*/communications/*"
_LIMITS = "/api/v2/organizations/limits/namespaces"

ROUTES = (
    Route("job_submit", "POST", f"{_DETAILS}/jobs", analytics.submit, Needed(DETAILS)),
    Route("availability", "GET", f"{_DETAILS}/jobs/availability", analytics.availability, Needed(DETAILS[:1])),
    Route("job_state", "GET", f"{_DETAILS}/jobs/*", analytics.job_state, Needed(DETAILS)),
    Route("job_results", "GET", f"{_DETAILS}/jobs/*/results", analytics.job_results, Needed(DETAILS)),
    Route("query", "POST", f"{_DETAILS}/query", analytics.query, Needed(DETAILS)),
    Route("message_conversation", "GET", f"{_MESSAGES}/*", messages.conversation),
    Route("message_details", "GET", f"{_MESSAGES}/*/messages/*", messages.message, Needed(MESSAGE_VIEW)),
    Route("message_details", "POST", f"{_MESSAGES}/*/messages/bulk", messages.several, Needed(MESSAGE_VIEW)),
    Route("message_create", "POST", _SENT, message_media.send, Needed(MESSAGE_CREATE)),
    Route("message_media_upload", "POST", f"{_SENT}/media/uploads", message_media.announce, Needed(MESSAGE_UPLOAD)),
    Route("message_media", "GET", f"{_SENT}/media", message_media.listed),
    Route("message_media", "GET", f"{_SENT}/media/*", message_media.state_of, Needed(MESSAGE_VIEW)),
    Route("participant_attributes", "PATCH", f"{_CONVERSATION}/participants/*/attributes", attributes.patch),
    Route("conversation", "GET", _CONVERSATION, messages.whole, Needed((COMMUNICATION,))),
    Route("recordings", "GET", f"{_CONVERSATION}/recordings", recordings.recordings, Needed(VIEWS)),
    Route("recording", "GET", f"{_CONVERSATION}/recordings/*", recordings.recording, Needed(VIEWS)),
    Route("recording_change", "PUT", f"{_CONVERSATION}/recordings/*", recordings.change, Needed(RETENTION)),
    Route("metadata", "GET", f"{_CONVERSATION}/recordingmetadata", recordings.metadata, Needed(VIEWS)),
    Route("metadata", "GET", f"{_CONVERSATION}/recordingmetadata/*", recordings.metadata_of, Needed(VIEWS)),
    Route("batch_submit", "POST", "/api/v2/recording/batchrequests", batches.submit, Needed(VIEWS)),
    Route("batch_state", "GET", "/api/v2/recording/batchrequests/*", batches.batch_state),
    Route("retention", "GET", retention.PATH, retention.query, Needed((RECORDING,))),
    Route("protection", "POST PUT", "/api/v2/recordings/deletionprotection", retention.protection),
    Route("settings", "GET PUT", "/api/v2/recording/settings", organization.settings),
    Route(
        "transcript_url",
        "GET",
        f"{_COMMUNICATION}/transcripturl",
        transcripts.url,
        Needed((RECORDING, TRANSCRIPT), every=True),
    ),
    Route("transcript_url", "GET", f"{_COMMUNICATION}/transcripturls", transcripts.urls, Needed(VIEWS[:2])),
    Route("usage", "GET", "/api/v2/contentmanagement/usage", organization.usage),
    Route("limits", "GET", _LIMITS, organization.namespaces),
    Route("limits", "GET", f"{_LIMITS}/*", organization.limits),
    Route("limits", "GET", f"{_LIMITS}/*/defaults", organization.limits),
    Route("token_check", "GET HEAD", "/api/v2/tokens/me", organization.token_check),
    Route("client", "GET", "/api/v2/oauth/clients/*", organization.client, Needed(("oauth:client:view",))),
    Route("client", "GET", "/api/v2/authorization/roles/*", organization.role, Needed(("authorization:role:view",))),
    Route("client", "GET", "/api/v2/authorization/subjects/me", organization.subject),
)
_BY_SHAPE = [(each, tuple(each.path.lstrip("/").split("/"))) for each in ROUTES]
"""Fixed paths come before those with an id in the same place."""


def match(request: Request) -> Match | None:
    """The published operation a request is; None when it is none."""
    for route, shape in _BY_SHAPE:
        if request.method in route.methods.split() and len(shape) == len(request.segments):
            pairs = list(zip(shape, request.segments, strict=True))
            if all(part in ("*", segment) for part, segment in pairs):
                return Match(route, tuple(segment for part, segment in pairs if part == "*"))
    return None
