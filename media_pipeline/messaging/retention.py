"""What must be deleted when: how other parts say it, durably, before they forget it.

`Ledger.schedule` is all they need. Say it as soon as the thing exists at its place (after an upload, before the message
that uses it), and once more with `routed_at` when the message is out. An entry is an object of its own below
`retention/new/`, so that any number of processes may schedule at once, on any store; the job `retention` takes it into
the table media_retention (`retention_days`) and works it (`deleting`). Once `schedule` has returned, neither kill -9
nor, where MEDIA_ROOT is a bucket, the loss of the machine takes the entry away.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from media_pipeline.messaging.moments import fields_of
from media_pipeline.storage.base import ObjectStore, checked_key
from media_pipeline.tables.partition import Row
from media_pipeline.tables.paths import RETENTION_NEW

Kind = Literal["attachment", "recording", "local_object"]
ATTACHMENT, RECORDING, LOCAL = "attachment", "recording", "local_object"
KINDS = (ATTACHMENT, RECORDING, LOCAL)

DEFAULT_TTL = dt.timedelta(minutes=15)
AFTER_ROUTING = dt.timedelta(seconds=30)
"""Before, a guest's program may still be fetching what the message refers to (guide 003)."""
MEDIA_FOLDERS = ("audio/", "redacted/", "thumbnails/", "waveforms/", "uploads/")
"""Where objects lie that this ledger may delete: never what proves a deletion, or what others work by."""
_MS = dt.timedelta(milliseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A rule that wants things gone: its name, a sentence for the certificate, and how long they may live.

    With `keeps_copy` nothing is deleted at its place unless a copy of ours is there and has the right bytes.
    """

    name: str
    why: str
    ttl: dt.timedelta = DEFAULT_TTL
    keeps_copy: bool = True

    def __post_init__(self) -> None:
        """Refuse what could not be a rule."""
        if not self.name or not self.why or self.ttl < dt.timedelta():
            raise ValueError("A policy has a name, a reason and a time to live that is not negative.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Our copy of the thing: its key below MEDIA_ROOT, and the SHA-256 in hex of the bytes (of the unpacked ones)."""

    key: str
    sha256: str
    gzip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be deleted: an attachment or a recording at Genesys Cloud, or an object of ours by its key.

    Name the conversation where there is one: without it, a hold on any conversation keeps the subject.
    """

    kind: Kind
    id: str
    conversation_id: str | None = None
    day: dt.date | None = None
    sha256: str | None = None
    """Of its bytes, where no copy of ours says it."""

    def __post_init__(self) -> None:
        """Refuse what could never be deleted."""
        if self.kind not in KINDS or not self.id:
            raise ValueError(f"{self.kind} {self.id!r} is nothing that can be deleted.")
        if self.kind == LOCAL and not checked_key(self.id).startswith(MEDIA_FOLDERS):
            raise ValueError(f"{self.id!r} is no object that retention may delete.")

    @property
    def entry_id(self) -> str:
        """The entry's key: the same for the same thing, whoever schedules it."""
        parts = "\0".join((self.kind, self.conversation_id or "", self.id))
        return hashlib.sha256(parts.encode()).hexdigest()[:32]


class Ledger:
    """Where things are scheduled for deletion; safe to use from threads and processes."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def schedule(
        self,
        subject: Subject,
        policy: Policy,
        *,
        now: dt.datetime,
        routed_at: dt.datetime | None = None,
        copy: Copy | None = None,
    ) -> dt.datetime:
        """Remember a deletion, durably when this returns; the moment it is due as far as this call knows.

        Again for the same thing on the same UTC day is fine: its time to live goes on from the first time, and it is
        never deleted within 30 s of its routing. Raises StorageError.
        """
        row = entry(subject, policy, now=now, routed_at=routed_at, copy=copy)
        self.add([row])
        due: dt.datetime = row["due"]
        return due

    def add(self, rows: Iterable[Row]) -> None:
        """The same for several rows of `entry`, with one object a day."""
        by_day: dict[dt.date, list[Row]] = {}
        for row in rows:
            by_day.setdefault(row["scheduled_at"].date(), []).append(row)
        for day, found in by_day.items():
            name = f"{RETENTION_NEW}date={day}/{time.time_ns()}-{uuid.uuid4().hex}.jsonl"
            self._store.put(name, b"".join(map(encoded, found)))


def entry(
    subject: Subject,
    policy: Policy,
    *,
    now: dt.datetime,
    routed_at: dt.datetime | None = None,
    copy: Copy | None = None,
) -> Row:
    """A row of media_retention as it begins. Raises ValueError for moments without a time zone."""
    scheduled_at = _utc(now)
    routed = None if routed_at is None else _utc(routed_at)
    return {
        "entry_id": subject.entry_id,
        "kind": subject.kind,
        "subject_id": subject.id,
        "conversation_id": subject.conversation_id or None,
        "subject_day": subject.day,
        "policy": policy.name,
        "why": policy.why,
        "ttl_seconds": round(policy.ttl.total_seconds()),
        "keeps_copy": policy.keeps_copy,
        "scheduled_at": scheduled_at,
        "routed_at": routed,
        "due": due_at(scheduled_at, policy.ttl, routed),
        "copy_key": copy.key if copy else None,
        "copy_gzip": copy.gzip if copy else None,
        "sha256": (copy.sha256 if copy else subject.sha256) or None,
        "source": None,
        "state": "scheduled",
        "reason": None,
        "detail": None,
        "hold_id": None,
        "source_retention": None,
        "source_delete_date": None,
        "attempts": 0,
        "certificate": None,
        "destroyed_sha256": None,
        "hash_basis": None,
    }


def due_at(scheduled_at: dt.datetime, ttl: dt.timedelta, routed_at: dt.datetime | None) -> dt.datetime:
    """When a thing may go: its time to live after it was scheduled, and never within 30 s of its routing."""
    due = scheduled_at + ttl
    return due if routed_at is None else max(due, routed_at + AFTER_ROUTING)


def merged(known: Row, again: Row) -> Row:
    """An entry that is scheduled once more, with what is newly known of it; it has lived since the first time.

    What is being deleted, or is gone, stays as it is.
    """
    if known["state"] in ("marked", "deleted", "gone", "not_offered"):
        return known
    routed_at = max((moment for moment in (known["routed_at"], again["routed_at"]) if moment), default=None)
    ttl_seconds = max(known["ttl_seconds"], again["ttl_seconds"])
    changes = {
        "ttl_seconds": ttl_seconds,
        "routed_at": routed_at,
        "due": due_at(known["scheduled_at"], dt.timedelta(seconds=ttl_seconds), routed_at),
        "keeps_copy": known["keeps_copy"] or again["keeps_copy"],
    }
    for name in ("subject_day", "sha256"):
        changes[name] = again[name] if again[name] is not None else known[name]
    if again["copy_key"] is not None:
        changes |= {name: again[name] for name in ("copy_key", "copy_gzip")}
    if known["state"] == "retention_set" and known["kind"] == ATTACHMENT and changes["due"] > known["due"]:
        changes["state"] = "scheduled"  # the source is to let go of it later, too
    return known | changes


def encoded(row: Row) -> bytes:
    """A row as a line of JSON."""
    return (json.dumps(row, default=str, ensure_ascii=False) + "\n").encode()


def decoded(line: bytes) -> Row:
    """The row in a line; raises ValueError, KeyError or TypeError for what is none."""
    row = fields_of(line, ("scheduled_at", "routed_at", "due", "source_delete_date"))
    if row["subject_day"] is not None:
        row["subject_day"] = dt.date.fromisoformat(row["subject_day"])
    return row


def _utc(moment: dt.datetime) -> dt.datetime:
    """In UTC and whole milliseconds, as tables keep it."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone.")
    return _EPOCH + (moment - _EPOCH) // _MS * _MS
