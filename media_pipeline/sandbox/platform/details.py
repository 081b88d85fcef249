"""What an analytics details query means: its checked parameters and the conversations it finds, page by page.

Shared by the job (L1-L3) and the synchronous query (L5), which differ in which conversations of an interval they see.
"""

from __future__ import annotations

import bisect
import dataclasses
import datetime as dt
import functools
import json
from array import array
from typing import TYPE_CHECKING, Any

from media_pipeline.sandbox.listing import Hidden
from media_pipeline.sandbox.platform import message_rows
from media_pipeline.sandbox.platform.documents import BadRequestError
from media_pipeline.sandbox.platform.filters import asks_for_recordings, compile_filters
from media_pipeline.sandbox.platform.moments import BadIntervalError, interval, midnight
from media_pipeline.sandbox.platform.rows import Row, row

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

FILTERS = ("conversationFilters", "segmentFilters", "evaluationFilters", "surveyFilters", "resolutionFilters")
ORDERS = ("asc", "desc", "unordered")
ORDERED_BY = ("conversationStart", "conversationEnd", "segmentStart", "segmentEnd")


@dataclasses.dataclass(frozen=True, slots=True)
class Details:
    """One details query; `filters` is its JSON, so that equal queries are equal."""

    start: dt.datetime
    end: dt.datetime
    started_since: dt.datetime | None
    """Only conversations that began at or after this."""
    descending: bool
    filters: str


def parse(body: dict[str, Any], *, started_only: bool) -> Details:
    """The query of a request body. Raises BadRequestError."""
    try:
        start, end = interval(body.get("interval"))
    except BadIntervalError as error:
        raise BadRequestError(str(error), "invalid.date") from error
    if body.get("order", "asc") not in ORDERS:
        raise BadRequestError(f"order must be one of {', '.join(ORDERS)}.", "invalid.value")
    if body.get("orderBy", "conversationStart") not in ORDERED_BY:
        raise BadRequestError(f"orderBy must be one of {', '.join(ORDERED_BY)}.", "invalid.value")
    compile_filters(body)
    since = midnight(start) if started_only else None
    filters = json.dumps({name: body[name] for name in FILTERS if body.get(name)}, sort_keys=True)
    return Details(start, end, since, body.get("order") == "desc", filters)


class Found:
    """The conversations details queries find now. The newest few queries are remembered as ordinals."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._filtered = functools.lru_cache(maxsize=8)(self._filter)
        self._merged = functools.lru_cache(maxsize=8)(self._with_messages)

    def firsts(self, details: Details, until: dt.datetime | None = None) -> array[int]:
        """Conversations in the order asked for; `until` cuts off what the data lake does not have yet."""
        end = details.end if until is None else min(details.end, until)
        if details.start >= end:
            return array("Q")
        listing = self._state.listing
        now = (listing.hidden(), listing.version, self._state.org.transcoded(), self._state.messaging.stamp())
        return self._merged(details, end, *now)

    def rows(self, firsts: array[int]) -> list[Row]:
        """These conversations as analytics words them."""
        state = self._state
        return [
            message_rows.row(state, message_rows.found(state, first))
            if message_rows.is_message(first)
            else row(state.org, state.conversations, state.conversations.of(first))
            for first in firsts
        ]

    def _with_messages(
        self,
        details: Details,
        end: dt.datetime,
        hidden: Hidden,
        version: int,
        transcoded: bool,
        _messages: tuple[int, int, int],
    ) -> array[int]:
        """The message conversations among the others, which none of those that ask for recordings finds."""
        recorded = self._filtered(details, end, hidden, version, transcoded)
        filters = json.loads(details.filters)
        if asks_for_recordings(filters):
            return recorded
        passes, state = compile_filters(filters), self._state
        since = details.started_since or dt.datetime.min.replace(tzinfo=dt.UTC)
        active = message_rows.active(state, details.start, end, since)
        chosen = [each for each in active if passes is None or passes(message_rows.row(state, each))]
        ascending = recorded[::-1] if details.descending else recorded
        merged, done = array("Q"), 0
        for each in chosen:
            place = bisect.bisect_right(ascending, each.start, lo=done, key=state.conversations.start)
            merged += ascending[done:place]
            merged.append(message_rows.place(each))
            done = place
        merged += ascending[done:]
        return merged[::-1] if details.descending else merged

    def _filter(
        self, details: Details, end: dt.datetime, _hidden: Hidden, _version: int, _transcoded: bool
    ) -> array[int]:
        rows = self._state.conversations.active(details.start, end, since=details.started_since)
        passes = compile_filters(json.loads(details.filters))
        if passes is not None:
            rows = array("Q", (first for first in rows if passes(self.rows(array("Q", [first]))[0])))
        return rows[::-1] if details.descending else rows
