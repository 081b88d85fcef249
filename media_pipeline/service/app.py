"""The app: routes, rules, refusals and the guard put together. A room that serves more adds its routes to `ROUTES`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.service import (
    cleanup,
    health,
    metrics,
    page,
    pages,
    problems,
    report_pages,
    streams,
    voice_messages,
)
from media_pipeline.service.access import check_routes
from media_pipeline.service.context import Service
from media_pipeline.service.health import Readiness
from media_pipeline.service.limits import Guard, Limits
from media_pipeline.service.metrics import Metrics
from media_pipeline.service.problems import Problem, ProblemDetails
from media_pipeline.service.routing import Route
from media_pipeline.service.tokens import Tokens
from media_pipeline.settings import Settings
from media_pipeline.storage.base import StorageError

_log = logging.getLogger(__name__)
AddRoutes = Callable[[FastAPI], None]
ROUTES: tuple[AddRoutes, ...] = (
    voice_messages.add_routes,
    cleanup.add_routes,
    health.add_routes,
    metrics.add_routes,
    page.add_routes,
    streams.add_routes,
    pages.add_routes,
    report_pages.add_routes,
)
TITLE = "Media Pipeline service"
DESCRIPTION = """Recordings to listen to, voice messages in, local leftovers out, and how the service itself is doing.

Send a token as "Authorization: Bearer <token>". Refusals are problem details (RFC 9457) with one sentence in detail."""


def create_app(settings: Settings, limits: Limits = Limits(), routes: Sequence[AddRoutes] = ROUTES) -> FastAPI:  # noqa: B008  frozen
    """The service over these settings; raises ConfigurationError for MEDIA_SERVICE_TOKENS or MEDIA_ROOT."""
    service = Service(settings, limits)
    app = FastAPI(
        title=TITLE,
        description=DESCRIPTION,
        version="1",
        openapi_url=None,  # served by `page`, to those who may read it
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        separate_input_output_schemas=False,
    )
    app.router.route_class = Route
    app.state.service = service
    app.state.tokens = Tokens.parse(settings.service_tokens.get_secret_value())
    app.state.metrics = Metrics(service.inbox)
    app.state.readiness = Readiness(service)
    for add_routes in routes:
        add_routes(app)
    check_routes(app)
    _refuse_in_sentences(app)
    app.add_middleware(Guard, limits=limits, always=frozenset({health.HEALTH}))
    app.add_middleware(app.state.metrics.middleware)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _refuse_in_sentences(app: FastAPI) -> None:
    app.add_exception_handler(Problem, problems.on_problem)
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(ClientDisconnect, problems.on_disconnect)
    app.add_exception_handler(StorageError, _on_unusable)
    app.add_exception_handler(ConfigurationError, _on_unusable)


async def _on_unusable(_: Request, error: Exception) -> Response:
    _log.error("%s", error)
    return Problem(503, "MEDIA_ROOT or MEDIA_SPOOL cannot be used; the service's log says why.").response()


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    for close in (*app.state.service.closing, app.state.service.journal.close):
        await run_in_threadpool(close)


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        shapes = document["components"]["schemas"]
        shapes["ProblemDetails"] = ProblemDetails.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            shapes.pop(name, None)  # the framework's refusal, which is ours here
        app.openapi_schema = document
    return app.openapi_schema
