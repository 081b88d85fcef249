"""L1-L5: conversation details by asynchronous job and by synchronous query."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from typing import TYPE_CHECKING

from media_pipeline.sandbox.credentials import single_values
from media_pipeline.sandbox.faults import Call
from media_pipeline.sandbox.platform.details import FILTERS, Details, parse
from media_pipeline.sandbox.platform.documents import BadRequestError, count, document, missing
from media_pipeline.sandbox.platform.moments import iso
from media_pipeline.sandbox.platform.pending import Pending
from media_pipeline.sandbox.wire import Reply, Request, json_reply, refusal

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

JOB_PAGE_SIZE = 1_000
MAX_JOB_PAGE_SIZE = 10_000
QUERY_PAGE_SIZE = 25
MAX_QUERY_PAGE_SIZE = 100
WALL = 100_000
"""The synchronous query shows no more results than this."""
JOB_LIVES = dt.timedelta(days=1)

_COMMON = {*FILTERS, "interval", "order", "orderBy"}
_JOB_FIELDS = frozenset(_COMMON | {"limit", "startOfDayIntervalMatching"})
_QUERY_FIELDS = frozenset(_COMMON | {"paging", "aggregations"})


def availability_date(state: State) -> dt.datetime:
    """How far the data lake reaches: now, or the end of an org that ends later, less the configured lag."""
    end = dt.datetime.combine(state.org.last_day, dt.time(), dt.UTC) + dt.timedelta(days=1, hours=1)
    return max(state.clock.now(), end) - dt.timedelta(hours=state.settings.analytics_lag_hours)


def availability(state: State, _: Request) -> Reply:
    """L4."""
    return json_reply({"dataAvailabilityDate": iso(availability_date(state))})


def submit(state: State, request: Request) -> Reply:
    """L1: remember the query; nothing is looked up yet."""
    body = document(request, _JOB_FIELDS)
    matching = body.get("startOfDayIntervalMatching", False)
    if not isinstance(matching, bool):
        raise BadRequestError("startOfDayIntervalMatching must be true or false.", "invalid.value")
    details = parse(body, started_only=matching)
    limit = None if body.get("limit") is None else count(body["limit"], "limit", None, 1 << 31)
    job = state.jobs.add((details, limit), state.clock.now())
    return json_reply({"jobId": job.id}, 202)


def job_state(state: State, _: Request, job_id: str) -> Reply:
    """L2: 202 until the job is over."""
    job = state.jobs.find(job_id)
    if job is None:
        return missing("job_state", "job")
    job.polls += 1
    reached = _reached(state, job)
    reached = state.rules.through(("job_state",), Call("job_state", credential=job_id), reached)
    if reached in ("FAILED", "EXPIRED", "CANCELLED"):
        job.ended = reached
    status: dict[str, object] = {
        "state": reached,
        "submissionDate": iso(job.submitted),
        "expirationDate": iso(job.submitted + JOB_LIVES),
    }
    if reached == "FAILED":
        status["errorMessage"] = "The job failed: an internal error occurred."
    if reached == "FULFILLED":
        status["completionDate"] = iso(max(state.clock.now(), job.submitted))
    return json_reply(status, 202 if reached in ("QUEUED", "PENDING") else 200)


def job_results(state: State, request: Request, job_id: str) -> Reply:
    """L3: one page after the cursor; no cursor in the last one."""
    job = state.jobs.find(job_id)
    if job is None or _reached(state, job) == "EXPIRED":
        return missing("job_results", "job")
    if _reached(state, job) != "FULFILLED":
        return refusal("job_results", 400, "bad.request", "The results of this job are not available.")
    arguments = single_values(request.query)
    size = count(arguments.get("pageSize"), "pageSize", JOB_PAGE_SIZE, MAX_JOB_PAGE_SIZE)
    start = _offset(job_id, arguments.get("cursor"))
    call = Call("job_results")
    start = max(start - state.rules.through(("paging",), call, 0), 0)
    (details, limit), until = job.asked, availability_date(state)
    firsts = state.found.firsts(details, until)[:limit]
    conversations = state.found.rows(firsts[start : start + size])
    page: dict[str, object] = {"conversations": state.rules.through(("page",), call, conversations)}
    if start + size < len(firsts):
        page["cursor"] = _cursor(job_id, start + size)
    return json_reply(page | {"dataAvailabilityDate": iso(until)})


def query(state: State, request: Request) -> Reply:
    """L5: one page of the conversations that began on a day the interval touches and were active in it."""
    body = document(request, _QUERY_FIELDS)
    details: Details = parse(body, started_only=True)
    paging = body.get("paging") or {}
    if not isinstance(paging, dict) or set(paging) - {"pageSize", "pageNumber"}:
        raise BadRequestError("paging has pageSize and pageNumber.", "invalid.value")
    if body.get("aggregations"):
        raise BadRequestError("The sandbox computes no aggregations.", "invalid.value")
    size = count(paging.get("pageSize"), "pageSize", QUERY_PAGE_SIZE, MAX_QUERY_PAGE_SIZE)
    number = count(paging.get("pageNumber"), "pageNumber", 1, 1 << 31)
    if size * number > WALL:
        raise BadRequestError(f"Pagination may not exceed {WALL} results.")
    firsts = state.found.firsts(details)
    call = Call("query")
    overlap = min(state.rules.through(("paging",), call, 0), size - 1) if number > 1 else 0
    first = (number - 1) * size - overlap
    conversations = state.rules.through(("page",), call, state.found.rows(firsts[first : first + size]))
    page: dict[str, object] = {"conversations": conversations} if conversations else {}
    return json_reply(page | {"totalHits": len(firsts)})


def _reached(state: State, job: Pending[tuple[Details, int | None]]) -> str:
    """The state a job has come to; one that ended by a fault stays there."""
    if job.ended:
        return job.ended
    now, settings = state.clock.now(), state.settings
    if now >= job.submitted + JOB_LIVES:
        return "EXPIRED"
    share = job.share(now, seconds=settings.prepare_seconds, polls=settings.prepare_polls)
    return "FULFILLED" if share >= 1 else "PENDING" if share >= 0.5 else "QUEUED"


def _cursor(job_id: str, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{job_id}:{offset}".encode()).decode()


def _offset(job_id: str, cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        owner, _, offset = base64.urlsafe_b64decode(cursor).decode().rpartition(":")
    except (binascii.Error, ValueError):
        owner = offset = ""
    if owner != job_id or not offset.isdecimal():
        raise BadRequestError("The cursor is not one of this job.", "invalid.value")
    return int(offset)
