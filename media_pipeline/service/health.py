"""GET /health: the process lives. GET /ready, with a token, as it looks at the disks: it can work."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from typing import Annotated, Literal

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.messaging.inbox import INCOMING
from media_pipeline.service.access import Needs, Open
from media_pipeline.service.context import Service
from media_pipeline.service.problems import Problem, documented
from media_pipeline.service.tokens import MONITOR
from media_pipeline.storage.base import StorageError

HEALTH = "/health"
LOOK_SECONDS = 5.0
KEPT_SECONDS = 10.0
"""A bucket is asked for its answer with paid requests."""
_log = logging.getLogger(__name__)


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class Ready(BaseModel):
    """Everything that requests need is there."""

    status: Literal["ready"]


class Readiness:
    """Looks at most once at a time and every ten seconds, however many ask."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._task: asyncio.Task[list[str]] | None = None
        self._looked = 0.0

    async def failing(self) -> list[str]:
        """The places that cannot be used, by their variables; raises TimeoutError."""
        if self._task is None or (self._task.done() and time.monotonic() - self._looked > KEPT_SECONDS):
            self._looked = time.monotonic()
            self._task = asyncio.create_task(run_in_threadpool(self._look))
        return await asyncio.wait_for(asyncio.shield(self._task), LOOK_SECONDS)

    def _look(self) -> list[str]:
        looks = {"MEDIA_ROOT": self._root, "MEDIA_SPOOL": self._spool, "MEDIA_INBOX": self._inbox}
        found = []
        for name, look in looks.items():
            try:
                look()
            except (OSError, StorageError, ConfigurationError) as error:
                _log.warning("not ready: %s: %s", name, error)
                found.append(name)
        self._looked = time.monotonic()
        return found

    def _root(self) -> None:
        self._service.store.check_writable()

    def _spool(self) -> None:
        spool = self._service.settings.spool
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=spool):
            pass

    def _inbox(self) -> None:
        if (inbox := self._service.inbox) is not None:
            with tempfile.TemporaryFile(dir=inbox.own_folder(INCOMING)):
                pass


def add_routes(app: FastAPI) -> None:
    """Add these routes to an app."""
    app.get(HEALTH, response_description="It lives.", dependencies=[Depends(Open())], tags=["operations"])(get_health)
    app.get(
        "/ready", response_description="All can be written.", responses=documented(401, 403, 503), tags=["operations"]
    )(get_ready)


async def get_health() -> Alive:
    """Whether the process lives; needs no token and looks at nothing."""
    return Alive(status="alive")


async def get_ready(request: Request, caller: Annotated[object, Depends(Needs(MONITOR))]) -> Ready:
    """Whether MEDIA_ROOT, MEDIA_SPOOL and MEDIA_INBOX (if it is set) can be written."""
    readiness: Readiness = request.app.state.readiness
    try:
        failing = await readiness.failing()
    except TimeoutError:
        raise Problem(503, f"The disks did not answer within {LOOK_SECONDS:.0f} s.", reason="slow") from None
    if failing:
        raise Problem(503, f"Cannot be used: {', '.join(failing)}; the service's log says why.", reason="not_ready")
    return Ready(status="ready")
