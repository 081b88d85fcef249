"""How far the conversation events of an org were read, and what was missed on the way: one small object per dialect."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.paths import cursor_key

MAX_GAPS = 20
GAPS_KEPT = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that may be missing, since when that is known."""

    noticed_at: str
    what: str

    @property
    def moment(self) -> dt.datetime:
        """When it was noticed."""
        return dt.datetime.fromisoformat(self.noticed_at)


@dataclass(frozen=True, slots=True)
class EventCursor:
    """A position of the source; `day`: the UTC day on which it was reached, None before the first."""

    position: str = ""
    day: dt.date | None = None
    gaps: Sequence[Gap] = ()

    @classmethod
    def read(cls, store: ObjectStore, name: str) -> EventCursor:
        """The published cursor; a new one where there is none, and with a gap where it cannot be read."""
        found = store.get_small(cursor_key(name))
        if found is None:
            return cls()
        try:
            body = json.loads(found.data)
            day = dt.date.fromisoformat(body["day"]) if body["day"] else None
            return cls(str(body["position"]), day, tuple(Gap(**gap) for gap in body["gaps"]))
        except (ValueError, TypeError, KeyError):
            lost = f"The object {cursor_key(name)} cannot be read: events are read from where the source begins."
            return cls().missed(lost, dt.datetime.now(dt.UTC))

    def moved(self, position: str, day: dt.date) -> EventCursor:
        """At a later position."""
        return replace(self, position=position, day=day)

    def missed(self, what: str, now: dt.datetime) -> EventCursor:
        """With one more gap; those of more than a week ago are forgotten."""
        kept = [gap for gap in self.gaps if now - gap.moment < GAPS_KEPT]
        gap = Gap(now.isoformat(timespec="seconds"), what)
        return replace(self, gaps=tuple([*kept, gap][-MAX_GAPS:]))

    def publish(self, store: ObjectStore, name: str) -> None:
        """Replace the published one, durably."""
        body = asdict(self) | {"day": self.day.isoformat() if self.day else None}
        store.put(cursor_key(name), json.dumps(body, indent=1).encode())
