"""The table of fault kinds: one small function each, from a stage's value to the value with the fault in it.

Stages, in the order a reply passes them: token · reply (replaces the answer) · answered (after the effect) · late,
neighbours, ids, paging, page (the listing) · variant (a screen recording's bytes) · checksum, url, name (metadata) ·
location (of an interaction's media) · etag, range (what is asked of a file) · content_range, length, bytes
(the file's answer) · delivery. Those of the published API alone are in `platform/fault_kinds`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import secrets
from email.utils import format_datetime
from typing import Any

from media_pipeline.sandbox.delivery import Delivery
from media_pipeline.sandbox.faults import Call, Kind, Params
from media_pipeline.sandbox.messaging import fault_kinds as messaging
from media_pipeline.sandbox.platform import fault_kinds as platform
from media_pipeline.sandbox.ranges import FileRequest
from media_pipeline.sandbox.video import VARIANTS, Variant
from media_pipeline.sandbox.wire import API_OPERATIONS, OPERATIONS, Reply, refusal, reply, s3_error

HTML_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>"
XML_PAGE = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>Please try again.</Message></Error>'
JSON_PAGE = b'{"message":"Please try again.","code":"internal.server.error","status":500}'

ERROR_CODES = {500: "internal.server.error", 502: "bad.gateway", 503: "service.unavailable", 504: "request.timeout"}

HOSTILE_NAMES = (
    "../../../tmp/evil.sh",
    "C:\\x",
    "/etc/cron.d/evil",
    "call\r\nrecording.wav",
    "invoice\u202egpj.exe",
    "nul\u2028line.wav",
    "~/.ssh/authorized_keys",
    "a" * 300 + ".wav",
)

Entity = dict[str, Any]


def _rate_limit(params: Params, call: Call, _: object) -> Reply:
    wait, form = params["wait"], params["retry_after"]
    until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=wait)  # real time: the client's clock reads this date
    named = {"seconds": str(wait), "date": format_datetime(until, usegmt=True)}
    message = "Rate limit exceeded the maximum."
    if form in ("seconds", "message"):
        message = f"Rate limit exceeded the maximum. Retry the request in [{wait}] seconds"
    headers = {"Retry-After": named[form]} if form in named else {}
    return refusal(call.operation, 429, "too.many.requests.retry.after", message, headers=headers)


def _server_error(params: Params, call: Call, _: object) -> Reply:
    status = params["code"]
    code = ERROR_CODES.get(status, "internal.server.error")
    return refusal(call.operation, status, code, "The server failed to answer this request.")


def _forbidden(params: Params, call: Call, _: object) -> Reply:
    permission = params["permission"]
    message = f"Unable to perform the requested action. You are missing the following permission(s): {permission}"
    details = {"messageParams": {"permissions": permission}}
    return refusal(call.operation, 403, "missing.permissions", message, details=details)


def _not_found(_: Params, call: Call, __: object) -> Reply:
    return refusal(call.operation, 404, "not.found", "The requested resource was not found.")


def _conflict(params: Params, call: Call, _: object) -> Reply:
    return refusal(call.operation, params["code"], "conflict", "The resource was changed by someone else.")


def _expired_link(_: Params, __: Call, ___: object) -> Reply:
    return s3_error(403, "AccessDenied", "Request has expired")


def _redirect(params: Params, call: Call, _: object) -> Reply:
    return reply(params["code"], "text/plain", b"", {"Location": params["to"] or call.target})


def _instead(content_type: str, data: bytes) -> Any:
    """A fault that answers with these bytes whatever was asked."""

    def answer(params: Params, _: Call, __: object) -> Reply:
        return reply(params["code"], "audio/wav" if params.get("as_media") else content_type, data)

    return answer


def _overlap(params: Params, _: Call, __: int) -> int:
    return int(params["count"])


def _without_id(_: Params, __: Call, entities: list[Entity]) -> list[Entity]:
    nameless = ({k: v for k, v in each.items() if k not in ("id", "conversationId")} for each in entities[-1:])
    return [*entities[:-1], *nameless]


def _wrong_md5(_: Params, __: Call, entity: Entity) -> Entity:
    lie = hashlib.md5(str(entity["md5"]).encode(), usedforsecurity=False).hexdigest()
    return entity if entity["md5"] is None else {**entity, "md5": lie}


def _bad_url(params: Params, call: Call, value: Any) -> Any:
    """One entity with a link, or the results of one recording."""
    if isinstance(value, list):
        return [_bad_url(params, call, each) for each in value]
    return value | {key: params["url"] for key in ("download_url", "resultUrl") if value.get(key) is not None}


def _screen_variant(params: Params, _: Call, __: Variant) -> Variant:
    variant: Variant = params["kind"]
    return variant


def _elsewhere(params: Params, _: Call, entity: Entity) -> Entity:
    return {**entity, "storageLocation": {"url": params["url"]}}


def _hostile_name(_: Params, call: Call, entity: Entity) -> Entity:
    number = hashlib.blake2b(str(call.recording_id).encode(), digest_size=2).digest()
    return {**entity, "file_name": HOSTILE_NAMES[int.from_bytes(number) % len(HOSTILE_NAMES)]}


def _changed_etag(params: Params, _: Call, asked: FileRequest) -> FileRequest:
    return dataclasses.replace(asked, etag=f'"{secrets.token_hex(16)}"', obeys_if_range=params["obey"])


def _ignore_range(_: Params, __: Call, asked: FileRequest) -> FileRequest:
    return dataclasses.replace(asked, range=None)


def _wrong_content_range(params: Params, _: Call, answer: Reply) -> Reply:
    if answer.status != 206:
        return answer
    first, shift = answer.start, params["shift"]
    claimed = f"bytes {first + shift}-{first + shift + answer.length - 1}/{answer.body.size}"
    return dataclasses.replace(answer, headers={**answer.headers, "Content-Range": claimed})


def _short_body(params: Params, _: Call, answer: Reply) -> Reply:
    return dataclasses.replace(answer, length=int(answer.length * min(params["keep"], 1)))


def _corrupt(_: Params, __: Call, answer: Reply) -> Reply:
    return dataclasses.replace(answer, flipped=answer.status in (200, 206))


def _reset(params: Params, _: Call, way: Delivery) -> Delivery:
    return dataclasses.replace(way, reset_after_bytes=params["after_bytes"], headers_first=params["headers"])


def _slow_drip(params: Params, _: Call, way: Delivery) -> Delivery:
    return dataclasses.replace(way, bytes_per_second=params["bytes_per_second"])


def _stall(params: Params, _: Call, way: Delivery) -> Delivery:
    return dataclasses.replace(way, stall_seconds=params["seconds"])


def _revoked(_: Params, __: Call, ___: bool) -> bool:
    return True


KINDS: dict[str, Kind] = {
    "revoke_token": Kind(
        "token", ("token",), _revoked, {"after_calls": 10}, ends_credentials=True, spare_uses="after_calls"
    ),
    "rate_limit": Kind(
        "reply",
        API_OPERATIONS,
        _rate_limit,
        {"retry_after": "seconds", "wait": 1},
        choices={"retry_after": ("seconds", "date", "message", "none")},
        anywhere=True,
    ),
    "server_error": Kind(
        "reply", API_OPERATIONS, _server_error, {"code": 503}, choices={"code": tuple(ERROR_CODES)}, anywhere=True
    ),
    "error_after": Kind(
        "answered", API_OPERATIONS, _server_error, {"code": 503}, choices={"code": tuple(ERROR_CODES)}, anywhere=True
    ),
    "forbidden": Kind("reply", API_OPERATIONS, _forbidden, {"permission": "recording:recording:view"}, anywhere=True),
    "not_found": Kind("reply", ("media",), _not_found, anywhere=True),
    "conflict": Kind(
        "reply",
        ("interaction_metadata", "participant_attributes"),
        _conflict,
        {"code": 409},
        choices={"code": (409, 412)},
        anywhere=True,
    ),
    "not_json": Kind("reply", API_OPERATIONS, _instead("text/html", HTML_PAGE), {"code": 200}, anywhere=True),
    "html": Kind("reply", ("file",), _instead("text/html", HTML_PAGE), {"as_media": False, "code": 200}, anywhere=True),
    "xml": Kind(
        "reply", ("file",), _instead("application/xml", XML_PAGE), {"as_media": False, "code": 200}, anywhere=True
    ),
    "json": Kind(
        "reply", ("file",), _instead("application/json", JSON_PAGE), {"as_media": False, "code": 200}, anywhere=True
    ),
    "expired_link": Kind("reply", ("file",), _expired_link, ends_credentials=True),
    "redirect": Kind(
        "reply",
        ("file",),
        _redirect,
        {"to": "", "code": 302},
        choices={"code": (301, 302, 303, 307, 308)},
        anywhere=True,
    ),
    "late": Kind("late", ("list",), params={"hours": 48.0}),
    "neighbours": Kind("neighbours", ("list",), params={"count": 3}),
    "hostile_ids": Kind("ids", OPERATIONS, params={"count": 9}),
    "duplicates": Kind("paging", ("list", "job_results", "query"), _overlap, {"count": 5}),
    "malformed": Kind("page", ("list", "job_results", "query"), _without_id),
    "wrong_md5": Kind("checksum", ("media",), _wrong_md5),
    "bad_url": Kind("url", ("media", "link", "batch_state"), _bad_url, {"url": "http://169.254.169.254/latest"}),
    "screen_variant": Kind(
        "variant", ("media", "file"), _screen_variant, {"kind": "corrupt"}, choices={"kind": VARIANTS}
    ),
    "bad_location": Kind(
        "location", ("interaction_media",), _elsewhere, {"url": "http://169.254.169.254/latest?token=topsecret"}
    ),
    "hostile_names": Kind("name", ("media",), _hostile_name),
    "changed_etag": Kind("etag", ("file",), _changed_etag, {"obey": True}),
    "ignore_range": Kind("range", ("file",), _ignore_range, only_ranged=True),
    "wrong_content_range": Kind("content_range", ("file",), _wrong_content_range, {"shift": 1}, only_ranged=True),
    "short_body": Kind("length", ("file",), _short_body, {"keep": 0.5}),
    "corrupt": Kind("bytes", ("file",), _corrupt),
    "reset": Kind("delivery", ("file",), _reset, {"after_bytes": 0, "headers": True}, anywhere=True),
    "slow_drip": Kind("delivery", ("file",), _slow_drip, {"bytes_per_second": 1_000}, anywhere=True),
    "stall": Kind("delivery", ("file",), _stall, {"seconds": 30.0}, anywhere=True),
    **platform.KINDS,
    **messaging.KINDS,
}
