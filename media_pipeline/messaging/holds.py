"""Holds: what must not be deleted, whatever its time to live, who said so, why, and until when.

A hold is one object below `retention/holds/`, written before `add` returns and changed only when it is released or
when the source is told of it. Whoever deletes writes his mark first and reads the holds afterwards; whoever holds
writes the hold first and reads the marks afterwards. So one of the two always sees the other, on any machine.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from media_pipeline.messaging.moments import fields_of
from media_pipeline.storage.base import ObjectStore, StorageError
from media_pipeline.tables.partition import Row
from media_pipeline.tables.paths import RETENTION_HOLDS, is_file_of

HoldKind = Literal["subject", "conversation", "recording", "day"]
HOLD_KINDS = ("subject", "conversation", "recording", "day")
TRIES = 5


class UnreadableHold(StorageError):
    """A hold cannot be read: nothing is deleted until it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What is kept: a subject by its id, all of a conversation, a recording and its files, or all of a UTC day."""

    hold_id: str
    kind: HoldKind
    value: str
    who: str
    why: str
    added_at: dt.datetime
    until: dt.datetime | None = None
    released_at: dt.datetime | None = None
    released_by: str | None = None
    released_why: str | None = None
    protected: bool = False
    """Whether the source was told to protect the conversation and was not told otherwise since."""

    def is_active(self, now: dt.datetime) -> bool:
        """Whether it keeps anything at this moment."""
        return self.released_at is None and (self.until is None or now < self.until)

    def covers(self, row: Row) -> bool:
        """Whether it keeps this entry; one whose conversation is not known is kept by every conversation's hold."""
        if self.kind == "conversation":
            return row["conversation_id"] in (self.value, None)
        if self.kind == "recording":
            if row["kind"] == "local_object":
                return is_file_of(self.value, row["subject_id"])
            return (row["kind"], row["subject_id"]) == ("recording", self.value)
        if self.kind == "day":
            ours = row["kind"] == "local_object" and f"/date={self.value}/" in row["subject_id"]
            return ours or self.value in (str(row["scheduled_at"].date()), str(row["subject_day"]))
        return self.value in (row["subject_id"], row["entry_id"])

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), default=str, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, data: bytes) -> Hold:
        """Raises ValueError, TypeError or KeyError for what is no hold."""
        hold = cls(**fields_of(data, ("added_at", "until", "released_at")))
        if hold.kind not in HOLD_KINDS or hold.added_at.tzinfo is None:
            raise ValueError("not a hold")
        return hold


class Holds:
    """The holds of one MEDIA_ROOT; one object serves one thread."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._read: dict[str, Hold] = {}

    def add(
        self, kind: HoldKind, value: str, *, who: str, why: str, now: dt.datetime, until: dt.datetime | None = None
    ) -> Hold:
        """Keep something from now on; durable when this returns. Raises ValueError for what keeps nothing."""
        if kind not in HOLD_KINDS or not value.strip() or not who.strip() or not why.strip():
            raise ValueError("A hold names what it keeps, who asks for it and why.")
        value = value.strip()  # with a space that was pasted along it would keep nothing
        if kind == "day":
            value = str(dt.date.fromisoformat(value))
        if until is not None and until <= now:
            raise ValueError(f"The hold would have ended already ({until}): give a later moment.")
        hold = Hold(hold_id=uuid.uuid4().hex[:12], kind=kind, value=value, who=who, why=why, added_at=now, until=until)
        self._store.put(_key(hold.hold_id), hold.encode())
        return hold

    def release(self, hold_id: str, *, who: str, why: str, now: dt.datetime) -> Hold | None:
        """End a hold; None when there is none of this id, the hold as it is when it was released before."""
        if not who.strip() or not why.strip():
            raise ValueError("Say who releases the hold and why.")
        return self._changed(
            hold_id,
            lambda hold: (
                replace(hold, released_at=now, released_by=who, released_why=why) if hold.released_at is None else hold
            ),
        )

    def told_source(self, hold_id: str, protected: bool) -> Hold | None:
        """Remember whether the source protects the hold's conversation."""
        return self._changed(hold_id, lambda hold: replace(hold, protected=protected))

    def all(self) -> list[Hold]:
        """Every hold there ever was, oldest first."""
        self._read.clear()
        self.look()
        return sorted(self._read.values(), key=lambda hold: (hold.added_at, hold.hold_id))

    def look(self) -> None:
        """Take in holds that were added since; raises StorageError where that cannot be known.

        Costs one listing: known ones are not read again, so that a release counts from the next `all` on.
        """
        for key in self._store.sizes(RETENTION_HOLDS):
            if key not in self._read:
                self._read[key] = self._one(key)

    def covering(self, row: Row, now: dt.datetime) -> Hold | None:
        """A hold that keeps the entry, of several that which lasts longest; by what the last look saw."""
        found = [hold for hold in self._read.values() if hold.is_active(now) and hold.covers(row)]
        return max(found, key=lambda hold: (hold.until is None, hold.until or now, hold.hold_id), default=None)

    def has_ended(self, hold_id: str, now: dt.datetime) -> bool:
        """Whether a hold keeps nothing any more; raises UnreadableHold for one that is not there, by the last look."""
        key = _key(hold_id)
        if key not in self._read:
            raise UnreadableHold(
                f"The hold {key} keeps an entry of the ledger and is lost: nothing is deleted until that is mended. "
                "Restore the object, or add the hold anew and release it when it is over."
            )
        return not self._read[key].is_active(now)

    def active(self, now: dt.datetime) -> list[Hold]:
        """Those that keep something, by what the last look saw."""
        return [hold for hold in self._read.values() if hold.is_active(now)]

    def _changed(self, hold_id: str, change: Any) -> Hold | None:
        key = _key(hold_id)
        for _ in range(TRIES):
            small = self._store.get_small(key)
            if small is None:
                return None
            before = _decoded(key, small.data)
            hold: Hold = change(before)
            if hold == before or self._store.put_if(key, hold.encode(), small.tag) is not None:
                return hold
        raise StorageError(f"The hold {hold_id} was being changed by others; try again.")

    def _one(self, key: str) -> Hold:
        small = self._store.get_small(key)
        if small is None:
            raise UnreadableHold(f"The hold {key} was listed and is not there: nothing is deleted until that is clear.")
        return _decoded(key, small.data)


def digest(holds: Iterable[Hold]) -> str:
    """A short text that other holds would not have."""
    return hashlib.sha256("\0".join(sorted(hold.hold_id for hold in holds)).encode()).hexdigest()[:16]


def _decoded(key: str, data: bytes) -> Hold:
    try:
        return Hold.decode(data)
    except (ValueError, TypeError, KeyError):
        raise UnreadableHold(
            f"The hold {key} cannot be read: nothing is deleted until it is mended. Restore the object, or add the "
            "hold anew and remove it."
        ) from None


def _key(hold_id: str) -> str:
    if not hold_id.isalnum():
        raise ValueError(f"{hold_id!r} is not a hold's id.")
    return f"{RETENTION_HOLDS}{hold_id}.json"
