"""The service as it runs, and a client that sees every byte of a reply."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import uvicorn
from fastapi import Depends, FastAPI
from pydantic import SecretStr
from starlette.responses import HTMLResponse

from media_pipeline.listening import PATH, signed_link
from media_pipeline.playback.app import StreamApp
from media_pipeline.service.access import Open
from media_pipeline.service.app import ROUTES, create_app
from media_pipeline.service.journal import Journal
from media_pipeline.service.serve import server_config
from media_pipeline.service.streams import StreamRoute
from media_pipeline.settings import Settings

LINK_KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "listener-token-of-the-tests-only"
DEAF = "a-token-without-the-scope-listen"


@dataclass
class Lines:
    """What the service has written into its audit log."""

    journal: Journal
    settings: Settings

    @property
    def found(self) -> list[dict[str, Any]]:
        name = f"{self.journal._run_id}.jsonl"
        places = [self.settings.spool / "audit", Path(self.settings.root) / "audit"]  # while it runs, and afterwards
        files = [path for place in places for path in sorted(place.rglob(name))][:1]
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.found if line["event"] == event]


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def __getitem__(self, name: str) -> str | None:
        return self.headers.get(name)


@dataclass
class Served:
    """A running player."""

    url: str
    settings: Settings
    app: StreamApp
    lines: Lines

    def path(self, recording_id: str, query: str = "") -> str:
        return PATH + quote(recording_id, safe="") + query

    def link(self, recording_id: str, **options: Any) -> str:
        return signed_link(self.settings, recording_id, **{"subject": "alex", "seconds": 300} | options)

    def ask(
        self, path: str, *fields: tuple[str, str], method: str = "GET", token: str | None = TOKEN, read: bool = True
    ) -> Answer:
        """One request on a connection of its own; the body as it came, also where it broke off."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in fields:
                connection.putheader(name, value)
            if token is not None:
                connection.putheader("Authorization", f"Bearer {token}")
            connection.endheaders()
            reply = connection.getresponse()
            try:
                body = reply.read() if read else b""
            except http.client.IncompleteRead as broken:
                body = broken.partial
            return Answer(reply.status, reply.headers, body)
        finally:
            connection.close()


@contextlib.contextmanager
def served(
    settings: Settings,
    *,
    pages: dict[str, str] | None = None,
    link_key: SecretStr = SecretStr(LINK_KEY),  # noqa: B008  frozen
    tokens: SecretStr = SecretStr(f"ward:listen:{TOKEN},deaf:cleanup:{DEAF}"),  # noqa: B008
) -> Iterator[Served]:
    """The service over these settings in a thread, for the length of a `with` block."""
    settings = settings.model_copy(update={"link_key": link_key, "service_tokens": tokens})
    app = create_app(settings, routes=(*ROUTES, lambda app: _add_pages(app, pages or {})))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        server = uvicorn.Server(server_config(app))
        server.config.timeout_graceful_shutdown = 1
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.005)
            stream = next(route.app for route in app.routes if isinstance(route, StreamRoute))
            lines = Lines(app.state.service.journal, settings)
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", settings, stream, lines)
        finally:
            server.should_exit = True
            thread.join()


def _add_pages(app: FastAPI, pages: dict[str, str]) -> None:
    policy = {"Content-Security-Policy": "default-src 'self'"}
    for path, page in pages.items():
        app.get(path, dependencies=[Depends(Open())])(lambda page=page: HTMLResponse(page, headers=policy))
