"""The conversations of a UTC day in which a recording was started: analytics job, or query while the lake lags (L1-L5).

The job's `interval` matches conversations with activity in it; `startOfDayIntervalMatching` is not set, because it
promises those that started *after* the day's beginning, and one that started with its first millisecond must not be
lost. Conversations that started on another day are counted and left to that day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from media_pipeline.genesys.errors import GenesysError, MalformedReply, NotFound, ServerError
from media_pipeline.genesys.pacing import Patience
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.platform_facts import Conversation, conversation_of
from media_pipeline.genesys.platform_polling import JOB_DEADLINES, Waiter, turns
from media_pipeline.genesys.seen import Seen
from media_pipeline.genesys.source import ListingTally
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import count, number, text, time

JOBS = "/api/v2/analytics/conversations/details/jobs"
QUERY = "/api/v2/analytics/conversations/details/query"
JOB_PAGE = 1_000
QUERY_PAGE = 100
WALL = 100_000
"""A query pages no further than this; "Pagination may not exceed 100000 results."."""
SHORTEST_SLICE = dt.timedelta(seconds=1)
JOB_ATTEMPTS = 2
"""A job that fails, expires or is cancelled is submitted once more."""
RECORDED = {
    "order": "asc",
    "orderBy": "conversationStart",
    "segmentFilters": [
        {
            "type": "and",
            "predicates": [{"type": "dimension", "dimension": "recording", "operator": "matches", "value": "true"}],
        }
    ],
}

Page = list[Any]
"""Conversations as plain objects, or as the JSON they came as (msgspec.Raw)."""


class _Results(msgspec.Struct):
    """A page of results whose conversations are decoded one by one: 1,000 at once take 20 MB and more."""

    conversations: list[msgspec.Raw] = []
    cursor: object = None


_RESULTS = msgspec.json.Decoder(_Results)


class DayConversations:
    """Finds a day's conversations, each once, a page in memory at a time."""

    def __init__(self, api: Transport, waiter: Waiter) -> None:
        self._api = api
        self._waiter = waiter

    def of(self, day: dt.date, tally: ListingTally) -> Iterator[Conversation]:
        """Conversations that started on the day; `tally` counts pages and what was passed over."""
        seen = Seen()
        for page in self._pages(day, tally):
            tally.pages += 1
            for entry in page:
                conversation = conversation_of(_decoded(entry))
                if conversation is None:
                    tally.malformed += 1
                elif conversation.id in seen:
                    tally.duplicates += 1
                else:
                    seen.add(conversation.id)
                    if conversation.started_at.date() == day:
                        yield conversation
                    else:
                        tally.other_days += 1

    def _pages(self, day: dt.date, tally: ListingTally) -> Iterator[Page]:
        start = dt.datetime.combine(day, dt.time(), dt.UTC)
        end = start + dt.timedelta(days=1)
        if self._available_until() >= end:
            tally.basis = "analytics_job"
            return self._of_job(start, end)
        tally.basis = "analytics_query"
        return query_pages(self._api, RECORDED, start, end)

    def _available_until(self) -> dt.datetime:
        """Up to when the data lake is complete, by its own clock; the beginning of time when it does not say."""
        body = self._api.get_json("availability", f"{JOBS}/availability", permission=needed_for("availability"))
        return time(body.get("dataAvailabilityDate")) or dt.datetime.min.replace(tzinfo=dt.UTC)

    def _of_job(self, start: dt.datetime, end: dt.datetime) -> Iterator[Page]:
        for attempts_left in reversed(range(JOB_ATTEMPTS)):
            try:
                yield from self._results(self._fulfilled(start, end))
                return
            except (_JobBroken, NotFound) as error:  # 404: it expired while its pages were read
                if attempts_left == 0:
                    raise ServerError(
                        f"The analytics job that lists {start.date()} did not work out, twice "
                        f"({str(error).rstrip('.')}). Run the day again later."
                    ) from None

    def _fulfilled(self, start: dt.datetime, end: dt.datetime) -> str:
        reply = self._api.call(
            "job_submit",
            "POST",
            JOBS,
            permission=needed_for("job_submit"),
            body=RECORDED | {"interval": interval_of(start, end)},
            accepted=(200, 202),
        )
        job_id = text(reply.get("jobId")) if isinstance(reply, dict) else None
        if job_id is None:
            raise MalformedReply("The reply to an analytics job has no jobId.")
        state = "none"
        for _ in turns(self._waiter, JOB_DEADLINES):
            body = self._api.call(
                "job_state",
                "GET",
                f"{JOBS}/{quote(job_id, safe='')}",
                permission=needed_for("job_state"),
                accepted=(200, 202),
            )
            state = (text(body.get("state")) if isinstance(body, dict) else None) or "none"
            if state == "FULFILLED":
                return job_id
            if state in ("FAILED", "CANCELLED", "EXPIRED"):
                raise _JobBroken(f"it ended as {state}")
        raise _JobBroken(f"it was still {state} at the deadline")

    def _results(self, job_id: str) -> Iterator[Page]:
        cursor = None
        known: set[str] = set()
        while True:
            after = "" if cursor is None else f"&cursor={quote(cursor, safe='')}"
            body = self._api.call(
                "job_results",
                "GET",
                f"{JOBS}/{quote(job_id, safe='')}/results?pageSize={JOB_PAGE}{after}",
                permission=needed_for("job_results"),
                decode=_RESULTS.decode,
            )
            if isinstance(body, _Results):
                cursor = _cursor(body.cursor)
                yield body.conversations
            elif isinstance(body, dict):
                cursor = _cursor(body.get("cursor"))
                yield _conversations(body)
            else:
                raise MalformedReply("A page of an analytics job's results is not an object.")
            del body
            if cursor is None:
                return
            if cursor in known:
                raise MalformedReply("The results of an analytics job repeat themselves: the same cursor came twice.")
            known.add(cursor)


def query_pages(
    api: Transport, asked: Mapping[str, object], start: dt.datetime, end: dt.datetime, patience: Patience | None = None
) -> Iterator[Page]:
    """Pages of an interval (L5); halves of it, recursively, where it holds more than can be paged through.

    The end is a short page with the last of as many entries as are counted, or an empty one: a server may count wrong,
    and may have smaller pages than it was asked for.
    """
    number, shown = 1, 0
    before: Page = []
    while True:
        paging = {"pageSize": QUERY_PAGE, "pageNumber": number}
        body = api.call(
            "query",
            "POST",
            QUERY,
            permission=needed_for("query"),
            body={**asked, "interval": interval_of(start, end), "paging": paging},
            patience=patience,
        )
        if not isinstance(body, dict):
            raise MalformedReply("The reply to a conversation query is not an object.")
        total = total_of(body)
        if total is not None and total >= WALL:
            if end - start <= SHORTEST_SLICE:
                raise MalformedReply(f"Genesys Cloud counts {total} conversations within one second.")
            middle = start + (end - start) / 2
            middle = middle.replace(microsecond=middle.microsecond // 1000 * 1000)
            yield from query_pages(api, asked, start, middle, patience)
            yield from query_pages(api, asked, middle, end, patience)
            return
        page = _conversations(body)
        if not page:
            if total is not None and shown < total:
                raise ServerError(
                    f"Genesys Cloud counts {total} conversations and shows {shown}. Run the day again later."
                )
            return
        if page == before:
            raise MalformedReply("The pages of a conversation query repeat themselves.")
        yield page
        shown += len(page)
        if shown == total and len(page) < QUERY_PAGE:
            return
        number, before = number + 1, page


class _JobBroken(GenesysError):
    """A job ended without results."""


def _cursor(value: object) -> str | None:
    """Where the next page begins, None after the last; raises MalformedReply for what is neither."""
    if value is None or value == "":
        return None
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise MalformedReply("The cursor of an analytics job's results is neither text nor a number.")


def _decoded(entry: Any) -> object:
    if not isinstance(entry, msgspec.Raw):
        return entry
    try:
        return msgspec.json.decode(entry)
    except (msgspec.DecodeError, ValueError):  # bytes that are no UTF-8
        return None


def _conversations(body: dict[str, Any]) -> Page:
    """The page's entries; a field that is left out, or null, means none."""
    page = body.get("conversations")
    if page is None:
        return []
    if not isinstance(page, list):
        raise MalformedReply("A page of conversations has no list of them.")
    return page


def total_of(body: dict[str, Any]) -> int | None:
    """How many conversations a query counts, also where it writes 250.0; None where it does not say."""
    found = number(body.get("totalHits"))
    return count(int(found)) if found is not None and found.is_integer() else None


def interval_of(start: dt.datetime, end: dt.datetime) -> str:
    """The span as analytics queries want it."""
    return "/".join(m.isoformat(timespec="milliseconds").replace("+00:00", "Z") for m in (start, end))
