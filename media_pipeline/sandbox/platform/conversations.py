"""Conversations: which recordings belong together, when they began and ended, and which were active in an interval.

A conversation is known by the ordinal of its first recording, so nothing is stored and any is found in O(1). How the
API words one is `rows`'.
"""

from __future__ import annotations

import bisect
import dataclasses
import datetime as dt
import functools
from array import array

from media_pipeline.sandbox.listing import Hidden, Listing
from media_pipeline.sandbox.media import MB, Media
from media_pipeline.sandbox.org import INDEX_BITS, Org, Recording

EARLY_START = dt.timedelta(seconds=20)
"""So long before its recording a day's first conversation began, which puts it on the day before."""
EARLY_DAYS_FROM = 30
"""Days of fewer recordings keep theirs to themselves."""
LONGEST_CALL = dt.timedelta(minutes=10)
HUGE_BYTES_PER_SECOND = 32_000


@dataclasses.dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation with its one or two recordings, in order of creation."""

    id: str
    first: int
    recordings: tuple[Recording, ...]
    start: dt.datetime
    end: dt.datetime


class Conversations:
    """Finds and lists conversations under the rules in force."""

    def __init__(self, org: Org, media: Media, listing: Listing, huge_mb: int) -> None:
        self._org = org
        self._media = media
        self._listing = listing
        self._huge = dt.timedelta(seconds=huge_mb * MB / HUGE_BYTES_PER_SECOND)
        self._active = functools.lru_cache(maxsize=16)(self._compute_active)

    def of(self, first: int) -> Conversation:
        """The conversation that begins with this recording."""
        recordings = tuple(self._org.recording(each) for each in self._ordinals(first))
        end = max(each.created + self.duration(each) for each in recordings)
        return Conversation(self._org.conversation_id(first), first, recordings, self._start(recordings[0]), end)

    def of_recording(self, recording: Recording) -> Conversation:
        """The conversation a recording belongs to."""
        return self.of(self._org.first_of_conversation(recording.ordinal))

    def find(self, conversation_id: str) -> Conversation | None:
        """The conversation with this id, as long as it is listed."""
        first = self._org.find_conversation(conversation_id)
        if first is None or first not in self._ordinals(first):
            return None
        return None if self._listing.hides(first) else self.of(first)

    def start(self, first: int) -> dt.datetime:
        """When the conversation that begins with this recording began."""
        return self._start(self._org.recording(first))

    def duration(self, recording: Recording) -> dt.timedelta:
        """Length of a recording, to the millisecond."""
        return dt.timedelta(milliseconds=round(self._media.duration_seconds(recording) * 1_000))

    def active(self, start: dt.datetime, end: dt.datetime, *, since: dt.datetime | None = None) -> array[int]:
        """Conversations (first ordinals) with activity in [start, end) by their start; only those begun at `since`."""
        rows = self._active(start, end, self._listing.hidden(), self._listing.version, self._org.transcoded())
        if since is None:
            return rows
        kept = bisect.bisect_left(rows, since, key=self.start)
        return rows[kept:] if kept else rows

    def _compute_active(
        self, start: dt.datetime, end: dt.datetime, _hidden: Hidden, _version: int, _transcoded: bool
    ) -> array[int]:
        rows = array("Q", (first for first in self._before(start) if self.of(first).end > start))
        created = self._firsts(start, end)
        rows += array("Q", (first for first in created if not _begins_day(first)))
        early = [first for first in created if _begins_day(first)]
        early += [first for first in self._firsts(end, end + EARLY_START) if self.start(first) < end]
        for first in early:
            rows.insert(bisect.bisect_left(rows, self.start(first), key=self.start), first)
        if _hidden:
            rows = array("Q", (first for first in rows if not self._listing.hides(first)))
        return rows

    def _before(self, moment: dt.datetime) -> list[int]:
        """Conversations that began before this moment and may still be going on; few, whatever the day's size."""
        recent = self._firsts(moment - LONGEST_CALL, moment)
        pairs = (each for each in self._org.between(moment - dt.timedelta(days=1), moment) if each & 15 == 4)
        base = self._org.between(moment - self._huge, moment) if self._huge else array("Q")
        huge = (each for each in base if _begins_day(each))
        return sorted({*recent, *pairs, *huge})

    def _start(self, recording: Recording) -> dt.datetime:
        early = _begins_day(recording.ordinal) and self._org.per_day >= EARLY_DAYS_FROM and not self._huge
        return recording.created - EARLY_START if early else recording.created

    def _firsts(self, start: dt.datetime, end: dt.datetime) -> array[int]:
        is_first = self._org.first_of_conversation
        return array("Q", (each for each in self._org.between(start, end) if is_first(each) == each))

    def _ordinals(self, first: int) -> tuple[int, ...]:
        """The recordings of a conversation; none when this one is the second of another."""
        if self._org.first_of_conversation(first) != first:
            return ()
        index = first & ((1 << INDEX_BITS) - 1)
        paired = self._org.first_of_conversation(first + 1) == first and index + 1 < self._org.per_day
        return (first, first + 1) if paired else (first,)


def _begins_day(ordinal: int) -> bool:
    return ordinal & ((1 << INDEX_BITS) - 1) == 0
