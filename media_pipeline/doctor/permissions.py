"""One line per feature: its permissions by name, present, missing or unknown, and how that is known."""

from __future__ import annotations

from collections.abc import Mapping

from media_pipeline.doctor.findings import PERMISSIONS, Finding, Level
from media_pipeline.genesys.errors import NotFound, PermissionMissing, RateLimited
from media_pipeline.genesys.permissions import Feature, named_in
from media_pipeline.genesys.platform_account import Grants

FATAL = "no day can be exported"
"""A feature without which nothing works says so."""
ROLES = "oauth:client:view and authorization:role:view"

SHORT = {
    "list a day": "listing",
    "recordings and their links": "media batches",
    "recordings with sensitive data (PCI, PII)": "sensitive data",
    "dates of deletion (retention sweep)": "retention sweep",
    "files of message guests": "guest files",
    "context of guest files": "guest context",
    "annotations written back (interactions)": "annotations",
    "voice messages to guests": "voice messages",
    "deletion of recordings (retention)": "deletion",
    "deletion of media (retention)": "deletion",
    "protection of held conversations": "hold protection",
    "how long links live": "settings",
    "storage in use": "storage use",
}
"""Features as a narrow column has them; others keep their names."""

Probes = Mapping[str, object]
"""By operation: what a harmless call came to, an Exception where it was refused."""


def judged(features: tuple[Feature, ...], grants: Grants | None, probes: Probes) -> list[Finding]:
    """Lines for the features: by the client's grants where they are known, and by what calls of theirs came to."""
    return [_judged(feature, grants, probes) for feature in features]


def name_of(feature: Feature) -> str:
    """The feature in a word or two."""
    return SHORT.get(feature.name, feature.name)


def _judged(feature: Feature, grants: Grants | None, probes: Probes) -> Finding:
    tried = [probes[operation] for operation in feature.operations if operation in probes]
    refused = next((found for found in tried if isinstance(found, PermissionMissing)), None)
    allowed = any(not isinstance(found, Exception) or isinstance(found, NotFound) for found in tried)
    if refused is not None:
        named = named_in(str(refused))
        ours = [permission for permission in feature.permissions if permission in named]
        return _missing(feature, " and ".join(ours) or named or feature.sentence, "a call was refused")
    failed = next((found for found in tried if isinstance(found, Exception)), None)
    if feature.without == FATAL and failed is not None and not (allowed or isinstance(failed, RateLimited)):
        return _unknown(feature, failed, "fail")
    if not feature.permissions:
        if allowed:
            return Finding(PERMISSIONS, name_of(feature), "ok", "needs no permission")
        return _unknown(feature, failed or "not asked")
    if grants is not None:
        absent = [permission for permission in feature.permissions if not grants.has(permission)]
        enough = len(absent) < len(feature.permissions) if feature.needs == "any" else not absent
        if not enough:
            return _missing(feature, " and ".join(absent), "not among the client's grants")
        return Finding(PERMISSIONS, name_of(feature), "ok", f"{feature.sentence}")
    if allowed:
        return Finding(PERMISSIONS, name_of(feature), "ok", f"{feature.sentence}: answered")
    why = failed or probes.get("client")
    if isinstance(why, Exception) and not isinstance(why, PermissionMissing):
        return _unknown(feature, why)
    todo = f"Grant {ROLES} to have it checked; without it, {feature.without}."
    return Finding(
        PERMISSIONS, name_of(feature), "warn", f"{feature.sentence}: unknown, the grants cannot be read", todo
    )


def _unknown(feature: Feature, why: object, level: Level = "warn") -> Finding:
    todo = f"Run doctor again later; until then {feature.without}."
    return Finding(PERMISSIONS, name_of(feature), level, f"unknown: {why}", todo)


def _missing(feature: Feature, permission: str, how: str) -> Finding:
    level: Level = "fail" if feature.without == FATAL else "warn"
    todo = f"Give one of the OAuth client's roles {permission}; without it, {feature.without}."
    return Finding(PERMISSIONS, name_of(feature), level, f"{permission} is missing ({how})", todo)
