"""How many conversations days hold, and some of them, without listing any day (L5)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from media_pipeline.genesys.errors import MalformedReply
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.platform_conversations import (
    QUERY,
    RECORDED,
    SHORTEST_SLICE,
    WALL,
    interval_of,
    total_of,
)
from media_pipeline.genesys.platform_facts import Conversation, conversation_of
from media_pipeline.genesys.source import DayCount
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import items

DRAWS = 4
"""Pages that a sample is made of: spread over days and over the hours of a day."""
GOLDEN = 0.618
"""Of a share, added from draw to draw: no hour of the day is met by all of them."""
ONE_DAY = dt.timedelta(days=1)


class Counting:
    """Counts and samples by queries, one call each."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def conversations(self, day: dt.date) -> int:
        """Conversations of a day in which a recording was started."""
        start = dt.datetime.combine(day, dt.time(), dt.UTC)
        return self._total(start, start + ONE_DAY)

    def some(self, days: Sequence[DayCount], most: int) -> list[Conversation]:
        """At most so many conversations: four pages at different times, or all where there are few."""
        holding = [(counted.day, counted.entries) for counted in days if counted.entries]
        total = sum(entries for _, entries in holding)
        if total <= most and len(holding) <= DRAWS:
            pages = [(day, entries, 1) for day, entries in holding]
        else:
            size = max(1, most // DRAWS)
            pages = list(dict.fromkeys(_drawn(holding, total, size, number) for number in range(DRAWS)))
        found: dict[str, Conversation] = {}
        for day, size, number in pages:
            start = dt.datetime.combine(day, dt.time(), dt.UTC)
            for entry in items(self._asked(start, start + ONE_DAY, size, number).get("conversations")):
                conversation = conversation_of(entry)
                if conversation is not None and conversation.started_at.date() == day:
                    found[conversation.id] = conversation
        return list(found.values())

    def _total(self, start: dt.datetime, end: dt.datetime) -> int:
        """The total of an interval; of its halves where it may be cut off at what can be paged through.

        A conversation across the cut counts twice, which 100,000 others make up for.
        """
        total = total_of(self._asked(start, end, 1, 1))
        if total is None:
            raise MalformedReply("The reply to a conversation query has no totalHits.")
        if total < WALL or end - start <= SHORTEST_SLICE:
            return total
        middle = start + (end - start) / 2
        return max(total, self._total(start, middle) + self._total(middle, end))

    def _asked(self, start: dt.datetime, end: dt.datetime, size: int, number: int) -> dict[str, Any]:
        paging = {"pageSize": size, "pageNumber": number}
        body = RECORDED | {"interval": interval_of(start, end), "paging": paging}
        reply = self._api.call("query", "POST", QUERY, permission=needed_for("query"), body=body)
        if not isinstance(reply, dict):
            raise MalformedReply("The reply to a conversation query is not an object.")
        return reply


def _drawn(holding: list[tuple[dt.date, int]], total: int, size: int, number: int) -> tuple[dt.date, int, int]:
    """Day, size and number of a draw's page: all conversations in one line, a quarter of it per draw."""
    position = int(total * (number + (0.5 + GOLDEN * number) % 1) / DRAWS)
    for day, entries in holding:
        if position < entries:
            return day, size, min(position, WALL - size) // size + 1
        position -= entries
    return holding[-1][0], size, 1
