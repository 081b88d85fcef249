"""What the published API says of an OAuth client and its org: organization, grants, limits, settings. No recording.

Each method is one call and raises GenesysError; wire format in, plain values out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from media_pipeline.genesys.errors import MalformedReply
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.platform_conversations import QUERY, RECORDED, interval_of, total_of
from media_pipeline.genesys.platform_facts import Conversation, conversation_of
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import count, items, number, text

MOST_ROLES = 3
"""Roles of a client that are looked up one by one."""
RATE_KEYS = ("client.credentials.token.rate.per.minute", "token.rate.per.minute")
"""Published limits that bind a client; the lower one counts."""
SWEEP_DAYS = 3_650
"""A harmless question of the retention query: what is older than ten years."""
NO_CONVERSATION = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Grants:
    """Permissions the client has (patterns: any part may be `*`), in which divisions, by which roles."""

    patterns: frozenset[str]
    divisions: tuple[str, ...]
    roles: tuple[str, ...]

    def has(self, permission: str) -> bool:
        """Whether a pattern covers the permission."""
        wanted = permission.split(":")
        return any(
            len(parts) == len(wanted) and all(p in ("*", w) for p, w in zip(parts, wanted, strict=True))
            for parts in (pattern.split(":") for pattern in self.patterns)
        )


@dataclass(frozen=True, slots=True)
class LinkLives:
    """Minutes that links live, in batches and for playback; None where the setting is not given."""

    batch_minutes: float | None
    playback_minutes: float | None


class Account:
    """Questions about one client; safe to use from threads."""

    def __init__(self, api: Transport, client_id: str) -> None:
        self._api = api
        self._client_id = client_id

    def token_seconds(self) -> float:
        """How long a token lives; raises AuthenticationError."""
        return self._api.token_lifetime_seconds()

    def organization(self) -> str | None:
        """The org's name by the token."""
        found = self._get("token_check", "/api/v2/tokens/me").get("organization")
        return text(found.get("name")) if isinstance(found, dict) else None

    def grants(self) -> Grants:
        """What the client was granted, by its own subject: no permission is listed for this call."""
        body = self._get("client", "/api/v2/authorization/subjects/me?includeFullRoles=true")
        if not isinstance(body.get("grants"), list):
            raise MalformedReply("The client's grants are not a list.")
        granted = items(body.get("grants"))
        roles = [role for grant in granted if isinstance(role := grant.get("role"), dict)]
        patterns = frozenset(p for role in roles for p in _patterns(items(role.get("policies")), "actions"))
        if granted and not patterns:
            raise MalformedReply("The client's grants name roles without their policies.")
        return Grants(patterns, _names(g.get("division") for g in granted), _names(roles))

    def grants_by_roles(self) -> Grants:
        """The same by the client's roles, a call each; needs oauth:client:view and authorization:role:view."""
        path = f"/api/v2/oauth/clients/{quote(self._client_id, safe='')}"
        body = self._get("client", path, "oauth:client:view")
        ids = [each for each in body.get("roleIds") or [] if isinstance(each, str)]
        if len(ids) > MOST_ROLES:
            raise MalformedReply(f"The client has {len(ids)} roles, too many to look up.")
        roles = [
            self._get("client", f"/api/v2/authorization/roles/{quote(role, safe='')}", "authorization:role:view")
            for role in ids
        ]
        patterns = frozenset(p for role in roles for p in _patterns(items(role.get("permissionPolicies")), "actionSet"))
        divisions = {text(each.get("divisionId")) or "" for each in items(body.get("roleDivisions"))} - {""}
        return Grants(patterns, tuple(sorted(divisions)), _names(roles))

    def calls_allowed(self) -> int | None:
        """Calls a minute by the org's published limits (Q4); None when they are not named."""
        body = self._get("limits", "/api/v2/organizations/limits/namespaces/platform.api")
        values = {text(each.get("key")): count(each.get("value")) for each in items(body.get("entities"))}
        known = [value for key in RATE_KEYS if (value := values.get(key))]
        return min(known, default=None)

    def link_lives(self) -> LinkLives:
        """How long links live by the org's settings (R8)."""
        body = self._get("settings", "/api/v2/recording/settings")
        return LinkLives(number(body.get("recordingBatchDownloadUrlTtl")), number(body.get("recordingPlaybackUrlTtl")))

    def recorded(self, day: dt.date, most: int) -> tuple[int, list[Conversation]]:
        """How many conversations of a day were recorded, and some of them (L5)."""
        start = dt.datetime.combine(day, dt.time(), dt.UTC)
        body = RECORDED | {
            "interval": interval_of(start, start + dt.timedelta(days=1)),
            "paging": {"pageSize": most, "pageNumber": 1},
        }
        reply = self._api.call("query", "POST", QUERY, permission=needed_for("query"), body=body)
        if not isinstance(reply, dict):
            raise MalformedReply("The reply to a conversation query is not an object.")
        found = [c for entry in items(reply.get("conversations")) if (c := conversation_of(entry)) is not None]
        return total_of(reply) or 0, found

    def sweep(self) -> None:
        """Ask the retention query (R7) for what is older than ten years: answered only with permission to view."""
        path = f"/api/v2/recordings/retention/query?retentionThresholdDays={SWEEP_DAYS}&pageSize=1"
        self._get("retention", path, needed_for("retention"))

    def transcript_link(self, conversation_id: str = NO_CONVERSATION, communication_id: str = NO_CONVERSATION) -> None:
        """Ask whether a communication has a transcript (T1): raises NotFound, PermissionMissing; keeps no link."""
        ids = (quote(each, safe="") for each in (conversation_id, communication_id))
        path = "/api/v2/speechandtextanalytics/conversations/{}/communications/{}/transcripturl".format(*ids)
        self._get("transcript_url", path, needed_for("transcript_url"))

    def _get(self, operation: str, path: str, permission: str = "none") -> dict[str, Any]:
        return self._api.get_json(operation, path, permission=permission)


def _patterns(policies: Iterable[dict[str, object]], actions: str) -> Iterable[str]:
    for policy in policies:
        domain, entity = text(policy.get("domain")), text(policy.get("entityName"))
        listed = policy.get(actions)
        for action in listed if isinstance(listed, list) else []:
            yield f"{domain}:{entity}:{action}"


def _names(things: Iterable[object]) -> tuple[str, ...]:
    found = {text(thing.get("name")) or text(thing.get("id")) for thing in things if isinstance(thing, dict)}
    return tuple(sorted(name for name in found if name))
