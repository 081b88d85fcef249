"""The player behind a real uvicorn, and a client that sees every byte of a reply."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from media_pipeline.listening import PATH, Listening, signed_link
from media_pipeline.settings import Settings
from media_pipeline.storage.opening import open_store

LINK_KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "listener-token-of-the-tests-only"
DEAF = "a-token-without-the-scope-listen"


@dataclass(frozen=True)
class Caller:
    name: str
    scopes: frozenset[str]


CALLERS = {TOKEN: Caller("ward", frozenset({"listen"})), DEAF: Caller("deaf", frozenset({"cleanup"}))}


@dataclass
class Lines:
    """A journal that can be asked."""

    found: list[dict[str, Any]] = field(default_factory=list)

    def emit(self, event: str, recording_id: str | None = None, **facts: object) -> None:
        self.found.append({"event": event, "recording_id": recording_id} | facts)

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
    listening: Listening
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
def served(settings: Settings, *, lines: Lines | None = None, pages: dict[str, str] | None = None) -> Iterator[Served]:
    """A player for these settings behind uvicorn, for the length of a `with` block."""
    settings = settings.model_copy(update={"link_key": SecretStr(LINK_KEY)})
    lines = lines or Lines()
    store = open_store(settings.root, settings.spool, settings.concurrency)
    listening = Listening(settings, store, lines, CALLERS.get)
    routes = [Route(PATH + "{recording_id:path}", endpoint=listening.app, methods=["GET", "HEAD"])]
    routes += [Route(path, endpoint=lambda _, page=page: HTMLResponse(page)) for path, page in (pages or {}).items()]
    config = uvicorn.Config(
        Starlette(routes=routes), port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}", settings, listening, lines)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def folder_of(settings: Settings) -> Path:
    return Path(settings.root)
