"""DELETE /cleanup: purge what killed runs and requests left on this machine's disks."""

from __future__ import annotations

import threading
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel, Field
from starlette.requests import Request

from media_pipeline.messaging.purge import purge
from media_pipeline.service.access import Needs
from media_pipeline.service.context import of
from media_pipeline.service.problems import Problem, documented
from media_pipeline.service.tokens import CLEANUP, Caller

MAX_HOURS = 24 * 366
_needs = Needs(CLEANUP)
_one_at_a_time = threading.Lock()


class Cleaned(BaseModel):
    """What a purge did."""

    status: Literal["clean"]
    removed_count: int = Field(ge=0, description="Files that are gone.")
    removed_bytes: int = Field(ge=0)
    in_flight: int = Field(ge=0, description="Old files that a process has locked or open; they stayed.")


def add_routes(app: FastAPI) -> None:
    """Add this route to an app."""
    app.delete(
        "/cleanup",
        response_description="What was removed.",
        responses=documented(401, 403, 422, 503),
        tags=["operations"],
    )(delete_cleanup)


def delete_cleanup(
    request: Request,
    caller: Annotated[Caller, Depends(_needs)],
    older_than_hours: Annotated[
        int | None,
        Query(ge=1, le=MAX_HOURS, description="Default: a week for downloads that can go on, a day for the rest."),
    ] = None,
) -> Cleaned:
    """Remove old leftovers in MEDIA_SPOOL, in a local MEDIA_ROOT's staging and in MEDIA_INBOX; nothing in flight."""
    service = of(request)
    service.journal.ready()
    inbox = service.inbox
    if not _one_at_a_time.acquire(blocking=False):  # waiting ones would take the threads of all other routes
        raise Problem(503, "A purge is under way.", reason="busy")
    try:
        purged = purge(
            service.settings.spool,
            service.local_root,
            inbox.folder if inbox else None,
            older_than_hours * 3600.0 if older_than_hours is not None else None,
        )
    finally:
        _one_at_a_time.release()
    service.journal.emit(
        "leftovers_purged",
        caller=caller.name,
        files=purged.files,
        bytes=purged.bytes,
        in_flight=purged.in_flight,
        older_than_hours=older_than_hours,
    )
    return Cleaned(status="clean", removed_count=purged.files, removed_bytes=purged.bytes, in_flight=purged.in_flight)
