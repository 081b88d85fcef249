"""Questions to the API in either dialect, and the lines that the answers come to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from itertools import islice
from typing import Any, Literal, Protocol

from media_pipeline.doctor.findings import GENESYS, PERMISSIONS, STORAGE, Finding, not_checked
from media_pipeline.doctor.permissions import judged, name_of
from media_pipeline.doctor.places import AT_GENESYS, Transcribed, use_of
from media_pipeline.doctor.together import together
from media_pipeline.genesys.errors import NotFound, PermissionMissing
from media_pipeline.genesys.permissions import VIEW, Feature
from media_pipeline.genesys.platform_account import Account, Grants, LinkLives
from media_pipeline.genesys.platform_facts import Conversation
from media_pipeline.genesys.source import ListedRecording, ListingTally, RecordingSource, StorageUse

FIRST_SECONDS, THEN_SECONDS = 5.0, 5.0
LOOKED_AT = 3
"""Conversations, or recordings, that are asked for a transcript."""
SHORT_MINUTES = 10
TRANSCRIPTS = "speech analytics"


class Client(Protocol):
    """What the doctor asks in one dialect."""

    published_rate: int | None

    def findings(self, transcribed: Transcribed | None) -> list[Finding]:
        """All lines that need a token; at most 14 calls and 10 s."""


class PlatformClient:
    """Client over the published API."""

    published_rate: int | None = None

    def __init__(
        self,
        account: Account,
        source: RecordingSource,
        day: dt.date,
        min_available_mb: int,
        features: tuple[Feature, ...],
    ) -> None:
        self._features = features
        self._account = account
        self._source = source
        self._day = day
        self._least = min_available_mb

    def findings(self, transcribed: Transcribed | None) -> list[Finding]:
        ask = self._account
        found = together(
            {
                "organization": ask.organization,
                "client": ask.grants,
                "query": lambda: ask.recorded(self._day, LOOKED_AT),
                "settings": ask.link_lives,
                "usage": self._source.storage_use,
                "limits": ask.calls_allowed,
            },
            FIRST_SECONDS,
        )
        total, conversations = found["query"] if isinstance(found["query"], tuple) else (None, [])
        then: dict[str, Callable[[], Any]] = {
            "retention": ask.sweep,
            "transcript_url": lambda: _first_transcript(ask, conversations),
        }
        if not isinstance(found["client"], Grants):
            then["roles"] = ask.grants_by_roles
        found |= together(then, THEN_SECONDS)
        grants = next((found[n] for n in ("client", "roles") if isinstance(found.get(n), Grants)), None)
        if isinstance(found["limits"], int):
            self.published_rate = found["limits"]
        return [
            _organization(found["organization"], total, self._day),
            _granted(grants, found.get("roles")),
            _lives(found["settings"]),
            _speech(found["transcript_url"] if conversations else None, transcribed, self._day),
            *judged(self._features, grants, found),
            *_storage(found["usage"], self._least),
        ]


class GuideClient:
    """Client over the guides' endpoints: the subset that they have."""

    published_rate: int | None = None

    def __init__(
        self, source: RecordingSource, day: dt.date, min_available_mb: int, features: tuple[Feature, ...]
    ) -> None:
        self._features = features
        self._source = source
        self._day = day
        self._least = min_available_mb

    def findings(self, transcribed: Transcribed | None) -> list[Finding]:
        source, day = self._source, self._day
        found = together(
            {
                "quota": source.storage_use,
                "list": lambda: list(islice(source.list_day(day, ListingTally()), LOOKED_AT)),
            },
            FIRST_SECONDS,
        )
        listed = found["list"] if isinstance(found["list"], list) else []
        some = listed or [_nothing()]
        found |= together(
            {
                "media": lambda: source.resolve(some[0]),
                "transcript": lambda: _first(source.transcript, some),
            },
            THEN_SECONDS,
        )
        return [
            _speech(found["transcript"] if listed else None, transcribed, day),
            *judged(self._features, None, found),
            *_storage(found["quota"], self._least),
        ]


def without_token(features: tuple[Feature, ...], why: str) -> list[Finding]:
    """The lines that a client's findings would have had."""
    return [
        *not_checked(GENESYS, [TRANSCRIPTS], why),
        *not_checked(PERMISSIONS, ["all"], f"{why} ({', '.join(map(name_of, features))})"),
        *not_checked(STORAGE, [AT_GENESYS], why),
    ]


def _first_transcript(ask: Account, conversations: list[Conversation]) -> Literal[True]:
    """True when one of them has a transcript. Raises NotFound when none of them has a transcript, PermissionMissing."""
    pairs = [(each.id, each.communication_ids[0]) for each in conversations if each.communication_ids]
    _first(lambda pair: ask.transcript_link(*pair), pairs or [()])
    return True


def _first(ask: Callable[[Any], Any], things: list[Any]) -> Any:
    for number, thing in enumerate(things, 1):
        try:
            return ask(thing)
        except NotFound:
            if number == len(things):
                raise
    return None


def _organization(found: object, total: int | None, day: dt.date) -> Finding:
    counted = "" if total is None else f"; {total:,} conversations of {day} were recorded"
    if isinstance(found, Exception):
        return Finding(GENESYS, "organization", "warn", f"unknown: {found}", "Run doctor again later.")
    return Finding(GENESYS, "organization", "ok", f"{found or 'without a name'}{counted}")


def _granted(grants: Grants | None, error: object) -> Finding:
    if grants is None:
        todo = "Permissions are judged by harmless calls instead"
        forbidden = isinstance(error, PermissionMissing)
        todo += "; grant oauth:client:view to have them read." if forbidden else "; run doctor again later."
        return Finding(GENESYS, "client", "warn", f"its roles cannot be read: {error}", todo)
    roles = ", ".join(grants.roles) or "none"
    if not grants.divisions:
        todo = f"Assign a role with {VIEW} to the OAuth client, for each division that is exported."
        return Finding(GENESYS, "client", "fail", f"roles: {roles}; no division", todo)
    shown = "all divisions" if "*" in grants.divisions else f"divisions: {', '.join(grants.divisions)}"
    return Finding(GENESYS, "client", "ok", f"roles: {roles}; {shown} (no others' recordings)")


def _lives(found: object) -> Finding:
    name = "links live"
    if not isinstance(found, LinkLives):
        todo = "60 minutes are assumed; links that die earlier are asked for anew."
        return Finding(GENESYS, name, "warn", f"unknown: {found}", todo)
    batch, playback = (f"{m:.0f} min" if m else "not said" for m in (found.batch_minutes, found.playback_minutes))
    seen = f"{batch} (batch downloads), {playback} (playback)"
    if found.batch_minutes and found.batch_minutes < SHORT_MINUTES:
        todo = "Raise the URL lifetime in Admin, Recording settings: links that die unused cost calls."
        return Finding(GENESYS, name, "warn", seen, todo)
    return Finding(GENESYS, name, "ok", seen)


def _speech(found: object, transcribed: Transcribed | None, day: dt.date) -> Finding:
    if transcribed is not None and transcribed.available:
        seen = f"on: {transcribed.available:,} of {transcribed.recordings:,} of {transcribed.day} have transcripts"
        return Finding(GENESYS, TRANSCRIPTS, "ok", seen)
    if found is None:
        seen = f"unknown: no recording of {day} to ask about"
    elif isinstance(found, NotFound):
        seen = f"unknown: the recordings of {day} that were looked at have none"
    elif isinstance(found, Exception):
        seen = f"unknown: {found}"
    else:
        return Finding(GENESYS, TRANSCRIPTS, "ok", f"on: a recording of {day} has a transcript")
    todo = "If transcripts are wanted, see that Speech & Text Analytics (voice transcription) is switched on in Admin."
    return Finding(GENESYS, TRANSCRIPTS, "warn", seen, todo)


def _storage(found: object, least: int) -> list[Finding]:
    if isinstance(found, StorageUse):
        return [use_of(found, least)]
    return [
        Finding(STORAGE, AT_GENESYS, "warn", f"unknown: {found}", "Run doctor again later; storage_quota would fail.")
    ]


def _nothing() -> ListedRecording:
    return ListedRecording(
        recording_id="doctor-asks-for-nothing",
        conversation_id=None,
        media_type=None,
        format=None,
        started_at=None,
        duration_seconds=None,
        file_state="available",
    )
