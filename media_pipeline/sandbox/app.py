"""The ASGI application: which request is which operation, who may call it, and where blocking work runs.

Plain ASGI instead of a framework, because replies have to be broken on purpose: cut short, dripped, reset.
"""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from email.utils import format_datetime
from typing import Any

from media_pipeline.sandbox import admin, files, operations, written
from media_pipeline.sandbox.credentials import FILES_PATH, single_values
from media_pipeline.sandbox.delivery import DIRECT, Delivery, Send, deliver
from media_pipeline.sandbox.faults import Call
from media_pipeline.sandbox.messaging import guest_files, stream
from media_pipeline.sandbox.messaging import routes as messaging_routes
from media_pipeline.sandbox.messaging.sending import MEDIA_SUFFIX
from media_pipeline.sandbox.messaging.writes import note
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.org import Recording
from media_pipeline.sandbox.platform import message_media, routes, transcripts
from media_pipeline.sandbox.state import State
from media_pipeline.sandbox.wire import (
    API_OPERATIONS,
    OF_INTERACTIONS,
    S3_OPERATIONS,
    Operation,
    Reply,
    Request,
    refusal,
    segments_of,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MAX_REQUEST_BYTES = 1_000_000
MAX_UPLOAD_BYTES = 64_000_000
_UPLOADS = (FILES_PATH, "/api/v2/media/attachments/", "/api/v2/conversations/messages", "/_sandbox/messaging/")

_SLOW = ("job_results", "query", "retention")
_ORG_WIDE = {"token": operations.token, "list": operations.recordings, "quota": operations.quota}
_OF_RECORDING = {"media": operations.media, "link": operations.link, "transcript": operations.transcript}


class SandboxApp:
    """One sandbox as an ASGI application. Raises RuleError when the options name a bad rules file."""

    def __init__(self, options: SandboxOptions) -> None:
        self.state = State(options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; only uvicorn's `send` can be reset."""
        request = await _read(scope, receive)
        if request.segments[0] == "_sandbox":
            answer = await admin.answer(self.state, request)
            await self._deliver(request, answer, DIRECT, send)
            return
        self.state.stats.begin()
        try:
            await self._serve(request, send)
        finally:
            self.state.stats.end()

    async def _serve(self, request: Request, send: Send) -> None:
        if self.state.settings.latency_ms:
            await asyncio.sleep(self.state.settings.latency_ms / 1_000)
        messaging = messaging_routes.match(request)
        if messaging is not None:
            await self._serve_messaging(request, messaging, send)
            return
        served = routes.match(request)
        if served is not None:
            await self._serve_published(request, served, send)
            return
        route = operation_of(request)
        if route is None:
            missing = refusal(None, 404, "not.found", f"There is no {request.method} operation at this path.")
            await self._deliver(request, missing, DIRECT, send)
            return
        operation, name = route
        recording = self._recording(operation, name)
        known = self.state.listing.wire_id(recording) if recording else name
        call = _call(request, operation, known)
        answer, way = await self._answer(request, call, lambda: self._operate(request, call, recording))
        sent = await self._deliver(request, answer, way, send)
        self.state.stats.record(operation, known if recording else None, answer.status, sent)

    async def _serve_published(self, request: Request, served: routes.Match, send: Send) -> None:
        """An operation of the platform side: pages of thousands are made in a thread, the rest at once."""
        state = self.state
        call = Call(served.operation, served.subject(state))

        async def operate() -> Reply:
            if served.operation in _SLOW or not state.media.instant:
                found = await asyncio.to_thread(served.answer, state, request)
            else:
                found = served.answer(state, request)
            note(state, request, served.operation, served.ids, found)
            return found

        answer, way = await self._answer(request, call, operate)
        sent = await self._deliver(request, answer, way, send)
        state.stats.record(served.operation, served.recording_id(state), answer.status, sent)

    async def _serve_messaging(self, request: Request, served: messaging_routes.Match, send: Send) -> None:
        """A messaging operation of the guides; the event stream stays open."""
        state, target = self.state, f"/{'/'.join(request.segments)}"
        call = Call(served.operation, served.subject, "range" in request.headers, target=target)

        async def operate() -> Reply:
            found = served.answer(state, request)
            note(state, request, served.operation, served.ids, found)
            return found

        answer, way = await self._answer(request, call, operate)
        if stream.is_stream(answer):
            sent = await stream.run(state, request, answer, way, send)
        else:
            sent = await self._deliver(request, answer, way, send)
        state.stats.record(served.operation, None, answer.status, sent)

    async def _deliver(self, request: Request, answer: Reply, way: Delivery, send: Send) -> int:
        """Send a reply with the sandbox's own time as its Date, so that a skewed clock can be seen."""
        dated = {"Date": format_datetime(self.state.clock.now(), usegmt=True), **answer.headers}
        answer = dataclasses.replace(answer, headers=dated)
        return await deliver(answer, way, head=request.method == "HEAD", send=send)

    def _recording(self, operation: Operation, name: str | None) -> Recording | None:
        if name is None or operation in OF_INTERACTIONS:
            return None
        if operation in S3_OPERATIONS:
            return self.state.org.find(name.partition(".")[0])
        return self.state.listing.find(name)

    async def _answer(
        self, request: Request, call: Call, operate: Callable[[], Awaitable[Reply]]
    ) -> tuple[Reply, Delivery]:
        """The reply and how it travels: credentials, then the rate, faults in place of an answer, the answer."""
        denied = self._denied(request, call)
        if denied is not None:
            return denied, DIRECT
        limited, headers = self._rated(call)
        fault: Reply | None = limited or self.state.rules.through(("reply",), call, None)
        answer = fault or self.state.rules.through(("answered",), call, await operate())
        if headers:
            answer = dataclasses.replace(answer, headers={**answer.headers, **headers})
        way = DIRECT if request.method == "HEAD" else self.state.rules.through(("delivery",), call, DIRECT)
        return answer, way

    def _rated(self, call: Call) -> tuple[Reply | None, Mapping[str, str]]:
        """The 429 of a client over its rate, and the headers of the others; neither without a limit."""
        settings = self.state.settings
        if not settings.rate_limit or call.operation not in API_OPERATIONS:
            return None, {}
        granted, left, headers = self.state.rate.take(settings.rate_limit, settings.rate_window_seconds)
        if granted:
            return None, {"ININ-Correlation-Id": str(uuid.uuid4()), **headers}
        message = f"Rate limit exceeded the maximum. Retry the request in [{left}] seconds"
        wait = {"Retry-After": str(left)}
        return refusal(call.operation, 429, "too.many.requests.retry.after", message, headers=wait), {}

    def _denied(self, request: Request, call: Call) -> Reply | None:
        if call.operation == "token":
            return None
        if call.operation in S3_OPERATIONS:
            return files.refused(self.state, request)
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not bearer:
            return refusal(call.operation, 401, "authentication.required", "No authentication bearer token specified.")
        valid = self.state.signer.accepts(bearer)
        if not valid or self.state.rules.through(("token",), Call("token", credential=bearer), False):
            return refusal(call.operation, 401, "bad.credentials", "Invalid login credentials.")
        return None

    async def _operate(self, request: Request, call: Call, recording: Recording | None) -> Reply:
        operation, state = call.operation, self.state
        if operation in _ORG_WIDE:
            if operation == "list" and not state.media.instant:
                return await asyncio.to_thread(_ORG_WIDE[operation], state, request)
            return _ORG_WIDE[operation](state, request)
        if operation == "attachment_file":
            return guest_files.linked(state, request, request.segments[-1].removesuffix(guest_files.SUFFIX))
        if operation == "media_file":
            return message_media.linked(state, request, request.segments[-1].removesuffix(MEDIA_SUFFIX))
        if operation == "media_put":
            found = message_media.put(state, request)
            note(state, request, operation, (call.recording_id or "",), found)
            return found
        if operation == "transcript_file":
            return await asyncio.to_thread(transcripts.file, state, request, recording)
        if operation == "interaction_media":
            return await asyncio.to_thread(operations.interaction_media, state, request, call.recording_id or "")
        if operation == "interaction_metadata":
            return written.put_metadata(state, request, call.recording_id or "")
        if recording is None:
            return refusal(operation, 404, "not.found", "There is no recording with this id.")
        blocks = not state.media.instant or recording.kind.codec == "huge"
        if operation == "file":
            if blocks:
                return await asyncio.to_thread(files.file, state, request, recording, call)
            return files.file(state, request, recording, call)
        if blocks:
            return await asyncio.to_thread(_OF_RECORDING[operation], state, request, recording)
        return _OF_RECORDING[operation](state, request, recording)


def operation_of(request: Request) -> tuple[Operation, str | None] | None:
    """Which operation a request is, and the recording (or interaction) id in its path; None when it is none."""
    match request.method, request.segments:
        case "POST", ("oauth", "token"):
            return "token", None
        case "GET", ("api", "v2", "recordings"):
            return "list", None
        case "GET", ("api", "v2", "recordings", "quota"):
            return "quota", None
        case "GET", ("api", "v2", "media", name):
            return "media", name
        case "GET", ("api", "v2", "recordings", name, "download"):
            return "link", name
        case "GET", ("api", "v2", "recordings", name, "transcript"):
            return "transcript", name
        case "GET", ("api", "v2", "interactions", name, "media"):
            return "interaction_media", name
        case "PUT", ("api", "v2", "interactions", name, "metadata"):
            return "interaction_metadata", name
        case "GET" | "HEAD", (folder, name) if f"/{folder}/" == FILES_PATH and name.endswith(guest_files.SUFFIX):
            return "attachment_file", name.removesuffix(guest_files.SUFFIX)
        case "GET" | "HEAD", (folder, name) if f"/{folder}/" == FILES_PATH and name.endswith(MEDIA_SUFFIX):
            return "media_file", name.removesuffix(MEDIA_SUFFIX)
        case "PUT", (folder, name) if f"/{folder}/" == FILES_PATH and name.endswith(message_media.UPLOAD_SUFFIX):
            return "media_put", name.removesuffix(message_media.UPLOAD_SUFFIX)
        case "GET" | "HEAD", (folder, name) if f"/{folder}/" == FILES_PATH:
            return "transcript_file" if name.endswith(transcripts.SUFFIX) else "file", name
    return None


def _call(request: Request, operation: Operation, recording_id: str | None) -> Call:
    if operation not in S3_OPERATIONS:
        return Call(operation, recording_id)
    signature = single_values(request.query).get("X-Amz-Signature", "")
    target = f"{FILES_PATH}{request.segments[-1]}?{request.query}"
    return Call(operation, recording_id, "range" in request.headers, signature, target)


def _uploads(scope: Scope) -> bool:
    return str(scope["path"]).startswith(_UPLOADS)


async def _read(scope: Scope, receive: Receive) -> Request:
    """The request with its body, cut at 1 MB, or 64 MB where media are uploaded."""
    body = bytearray()
    more = scope["method"] not in ("GET", "HEAD")
    most = MAX_UPLOAD_BYTES if _uploads(scope) else MAX_REQUEST_BYTES
    while more and len(body) < most:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return Request(
        method=scope["method"],
        segments=segments_of(scope["raw_path"]),
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=bytes(body),
    )
