"""R8, Q1, Q4 and the client's own face: settings, storage use, limits, the token and the roles behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from media_pipeline.sandbox.operations import TYPICAL_RECORDING_MB
from media_pipeline.sandbox.platform import people
from media_pipeline.sandbox.platform.documents import BadRequestError, document, missing
from media_pipeline.sandbox.platform.permissions import Needed
from media_pipeline.sandbox.wire import Reply, Request, json_reply, reply

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

MINUTES = (2, 60)
"""Shortest and longest life of a link that an org may choose."""
TTL_FIELDS = {"recordingPlaybackUrlTtl": "playback_seconds", "recordingBatchDownloadUrlTtl": "link_seconds"}
UNENFORCED_RATE = 300
NAMESPACES = ("platform.api", "recording", "analytics", "speech.and.text.analytics")
CLIENT_NAME = "Media Pipeline sandbox client"
SCOPES = (
    "analytics",
    "content-management",
    "organization",
    "quality",
    "recordings",
    "speech-and-text-analytics",
)


def settings(state: State, request: Request) -> Reply:
    """R8: GET, or PUT to change how long links live."""
    if request.method == "PUT":
        refused = Needed(("recording:settings:editUrlExpiration",), every=True).refusal("settings", state.permissions)
        if refused is not None:
            return refused
        _change(state, document(request, frozenset(_settings(state))))
    return json_reply(_settings(state))


def usage(state: State, _: Request) -> Reply:
    """Q1: bytes and documents by type, as the guide's quota estimates them; no limit."""
    recordings = state.options.days * state.org.per_day
    size = int((recordings * TYPICAL_RECORDING_MB + state.options.days * state.options.huge_mb) * 1_000_000)
    counts = {"RECORDING": (size, recordings), "FAX": (0, 0), "DOCUMENT": (0, 0), "ALL": (size, recordings)}
    types = [
        {"type": name, "totalDocumentByteCount": size, "totalDocumentCount": number}
        for name, (size, number) in counts.items()
    ]
    return json_reply({"types": types})


def namespaces(_: State, __: Request) -> Reply:
    """Q4: the namespaces there are; the SDK gives this page no model."""
    page = {"pageSize": 100, "pageNumber": 1, "pageCount": 1, "total": len(NAMESPACES)}
    return json_reply({"entities": list(NAMESPACES), **page})


def limits(state: State, _: Request, namespace: str, *__: str) -> Reply:
    """Q4: the limits of a namespace, in force or (the same here) by default."""
    if namespace not in NAMESPACES:
        return missing("limits", "namespace")
    rate = state.settings.rate_limit or UNENFORCED_RATE
    known = {
        "platform.api": {
            "token.rate.per.minute": rate,
            "client.credentials.token.rate.per.minute": rate,
            "request.bytes.max": 512_000,
        },
        "recording": {"batch.download.request.max": 100},
    }
    listed = known.get(namespace, {})
    return json_reply(
        {"entities": [{"key": key, "namespace": namespace, "value": value} for key, value in listed.items()]}
    )


def token_check(state: State, request: Request) -> Reply:
    """`GET` or `HEAD /api/v2/tokens/me`."""
    if request.method == "HEAD":
        return reply(200, "application/json", b"")
    organization = _organization(state)
    client = {"id": state.options.client_id, "name": CLIENT_NAME, "organization": organization}
    return json_reply(
        {
            "organization": organization,
            "homeOrganization": organization,
            "authorizedScope": list(SCOPES),
            "OAuthClient": client,
        }
    )


def client(state: State, _: Request, client_id: str) -> Reply:
    """`GET /api/v2/oauth/clients/{clientId}`: the roles of this client; no other is known."""
    if client_id != state.options.client_id:
        return missing("client", "client")
    role = _role_id(state)
    return json_reply(
        {
            "id": client_id,
            "name": CLIENT_NAME,
            "accessTokenValiditySeconds": state.settings.token_seconds,
            "authorizedGrantType": "CLIENT-CREDENTIALS",
            "scope": [],
            "roleIds": [role],
            "roleDivisions": [{"roleId": role, "divisionId": people.division_id(state.org)}],
            "state": "active",
            "selfUri": f"/api/v2/oauth/clients/{client_id}",
        }
    )


def role(state: State, _: Request, role_id: str) -> Reply:
    """`GET /api/v2/authorization/roles/{roleId}`: what the client's role permits."""
    if role_id != _role_id(state):
        return missing("client", "role")
    policies = [
        {"domain": domain, "entityName": entity, "actionSet": actions, "allowConditions": False}
        for domain, entity, actions in _policies(state.permissions)
    ]
    return json_reply({"id": role_id, "name": "Media Pipeline", "permissions": [], "permissionPolicies": policies})


def subject(state: State, _: Request) -> Reply:
    """`GET /api/v2/authorization/subjects/me`: the client's grants, which it may always see."""
    policies = [
        {"domain": domain, "entityName": entity, "actions": actions}
        for domain, entity, actions in _policies(state.permissions)
    ]
    grant = {
        "subjectId": state.options.client_id,
        "division": {"id": people.division_id(state.org), "name": "Home"},
        "role": {"id": _role_id(state), "name": "Media Pipeline", "policies": policies, "default": False},
    }
    return json_reply({"id": state.options.client_id, "name": CLIENT_NAME, "grants": [grant], "version": 1})


def _policies(permissions: Iterable[str]) -> list[tuple[str, str, list[str]]]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for permission in sorted(permissions):
        domain, entity, action = permission.split(":")
        grouped.setdefault((domain, entity), []).append(action)
    return [(domain, entity, actions) for (domain, entity), actions in grouped.items()]


def _settings(state: State) -> dict[str, Any]:
    low, high = MINUTES
    lives = {name: min(max(-(-getattr(state.settings, field) // 60), low), high) for name, field in TTL_FIELDS.items()}
    return {
        "maxSimultaneousStreams": 1,
        "maxConfigurableScreenRecordingStreams": 4,
        "regionalRecordingStorageEnabled": False,
        "stopRecordingWhenOnlyExternalParticipants": False,
        **lives,
    }


def _change(state: State, wanted: dict[str, Any]) -> None:
    low, high = MINUTES
    for name in set(TTL_FIELDS) & set(wanted):
        minutes = wanted[name]
        if isinstance(minutes, bool) or not isinstance(minutes, int) or not low <= minutes <= high:
            raise BadRequestError(f"{name} must be from {low} to {high} minutes.", "invalid.value")
        setattr(state.settings, TTL_FIELDS[name], minutes * 60)


def _organization(state: State) -> dict[str, str]:
    return {"id": state.org.named_id("organization", 0), "name": "Sandbox"}


def _role_id(state: State) -> str:
    return state.org.named_id("role", 0)
