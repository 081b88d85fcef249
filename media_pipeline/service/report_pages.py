"""GET /reports/...: the calendar and the days' report pages as runs have written them, for who may listen.

Here a recording's id leads to the page of its call; in the file there is nothing it could lead to.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from media_pipeline.listening import PAGE, Listening
from media_pipeline.report_page.rendering import CALL_MARK, policy_for
from media_pipeline.service.rendering import PageProblem
from media_pipeline.service.tokens import LISTEN, Caller
from media_pipeline.service.visitors import ForPeople
from media_pipeline.storage.base import StorageError
from media_pipeline.tables.paths import CALENDAR_KEY, REPORT_PAGE, report_key

MAX_BYTES = 16 * 1024 * 1024
_people = ForPeople(LISTEN)
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
_TO_CALLS = f' href="../..{PAGE}'.encode()
"""From /reports/date=.../index.html, also behind a proxy that adds a path."""


def add_routes(app: FastAPI) -> None:
    """Add these routes to an app that has the pages of calls."""
    for path, page in (
        ("/reports/", get_reports),
        ("/" + CALENDAR_KEY, get_calendar),
        ("/reports/date={date}/" + REPORT_PAGE, get_report),
    ):
        app.get(path, include_in_schema=False, response_class=Response)(page)


def get_reports(caller: Annotated[Caller, Depends(_people)]) -> Response:
    """To the calendar, whose links are relative."""
    return RedirectResponse(f"/{CALENDAR_KEY}", 303)


def get_calendar(request: Request, caller: Annotated[Caller, Depends(_people)]) -> Response:
    """All days."""
    return _served(request, CALENDAR_KEY, "No report was written yet: it is part of a day's export.")


def get_report(request: Request, date: str, caller: Annotated[Caller, Depends(_people)]) -> Response:
    """One day."""
    try:
        day = dt.date.fromisoformat(date)
    except ValueError:
        raise PageProblem(404, "That is no day such as 2026-11-20.") from None
    missing = f"{day} has no report page: materialize report_page for it."
    return _served(request, report_key(day, REPORT_PAGE), missing)


def _served(request: Request, key: str, missing: str) -> Response:
    listening: Listening = request.app.state.listening
    try:
        file = listening.tables.store.open(key)
        if file is None:
            raise PageProblem(404, missing)
        with file:
            page = file.read(MAX_BYTES)
    except StorageError:
        raise PageProblem(503, "The archive cannot be read now: try again later.") from None
    style = _STYLE.search(page)
    policy = policy_for(style[1].decode() if style else "") + "; frame-ancestors 'none'"
    headers = {"Content-Security-Policy": policy, "Cross-Origin-Opener-Policy": "same-origin"}
    return HTMLResponse(page.replace(CALL_MARK.encode(), _TO_CALLS), headers=headers)
