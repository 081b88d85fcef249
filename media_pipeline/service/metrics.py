"""GET /metrics, in Prometheus' text format. No label is made of what a request says but the route's own template."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_pipeline.messaging.inbox import Inbox
from media_pipeline.service.access import Needs
from media_pipeline.service.problems import documented
from media_pipeline.service.tokens import MONITOR

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_OTHER = "other"


class Metrics:
    """The figures of one app."""

    def __init__(self, inbox: Inbox | None) -> None:
        self.registry = CollectorRegistry()
        name = "media_service"
        labels = ("method", "route")
        self._requests = Counter(f"{name}_requests", "Requests answered.", (*labels, "status"), registry=self.registry)
        self._seconds = Histogram(
            f"{name}_request_seconds", "From head to end of reply.", labels, buckets=SECONDS, registry=self.registry
        )
        self._under_way = Gauge(f"{name}_requests_in_flight", "Requests under way.", registry=self.registry)
        self._received = Counter(f"{name}_received_bytes", "Of bodies.", registry=self.registry)
        depth = Gauge(f"{name}_inbox_messages", "Voice messages that wait in the inbox.", registry=self.registry)
        depth.set_function(lambda: inbox.depth() if inbox is not None else 0)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """The app, counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = "none"

            async def noted(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = str(message["status"])
                await send(message)

            async def weighed() -> Message:
                message = await receive()
                self._received.inc(len(message.get("body", b"")))
                return message

            started = time.perf_counter()
            try:
                with self._under_way.track_inprogress():
                    await app(scope, weighed, noted)
            finally:
                labels = (scope["method"] if scope["method"] in METHODS else _OTHER, _route(scope))
                self._seconds.labels(*labels).observe(time.perf_counter() - started)
                self._requests.labels(*labels, status).inc()

        return counted


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", _OTHER)


def add_routes(app: FastAPI) -> None:
    """Add this route to an app."""
    ok = {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    app.get(
        "/metrics",
        responses={200: ok, **documented(401, 403)},
        response_class=Response,
        tags=["operations"],
    )(get_metrics)


def get_metrics(request: Request, caller: Annotated[object, Depends(Needs(MONITOR))]) -> Response:
    """Requests by route and status, latencies, requests in flight, bytes received, depth of the inbox."""
    metrics: Metrics = request.app.state.metrics
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)
