"""Running the service: one uvicorn process that says where it listens and ends in peace on SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable

import uvicorn

from media_pipeline.genesys.endpoints import is_loopback
from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.service.app import create_app
from media_pipeline.service.limits import Limits
from media_pipeline.service.protocol import guarded_protocol
from media_pipeline.settings import Settings

GRACEFUL_SECONDS = 30
"""How long requests under way may take to end after SIGTERM."""
BACKLOG = 1_024
RECEIVE_BYTES = 64 * 1024
"""Of each connection: what is read at once, four times as much otherwise, lies in memory for all senders together."""


def serve(settings: Settings, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `say` is told where it listens, and what to mend.

    Raises ConfigurationError for bad or, off loopback, missing tokens, and for an address that cannot be bound.
    """
    app = create_app(settings)
    if not app.state.tokens:
        if not is_loopback(host):
            raise ConfigurationError(
                f"Without MEDIA_SERVICE_TOKENS the service listens on loopback only, not on {host}: make a token with "
                "`media-pipeline token new` and set the variable."
            )
        say("MEDIA_SERVICE_TOKENS is not set: all but /health answers 401; `media-pipeline token new` makes a token.")
    if settings.inbox_folder is None:
        say("MEDIA_INBOX is not set to a folder: POST /voice-messages answers 503.")
    if not is_loopback(host):
        say("Tokens travel in clear text from here on: put a reverse proxy with TLS before this address.")
    with _listening(host, port) as listener:
        signal.signal(signal.SIGTERM, lambda *_: None)  # what uvicorn raises again at its end: a peaceful one
        with contextlib.suppress(KeyboardInterrupt):
            _AnnouncedServer(server_config(app), say).run(sockets=[listener])


def server_config(app: object, limits: Limits = Limits()) -> uvicorn.Config:  # noqa: B008  frozen
    """How uvicorn runs the service."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=guarded_protocol(limits),
        ws="none",
        lifespan="on",
        access_log=False,  # paths and addresses are nobody's business; the audit log has what matters
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=limits.head_bytes,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )


class _AnnouncedServer(uvicorn.Server):
    """uvicorn that says where it listens, for people and for the tests that wait for it."""

    def __init__(self, config: uvicorn.Config, say: Callable[[str], None]) -> None:
        super().__init__(config)
        self._say = say

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = (sockets or [])[0].getsockname()[:2]
        self._say(f"service listening on http://{f'[{host}]' if ':' in host else host}:{port}")


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)  # of the connections, which inherit it
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host}:{port} ({error.strerror}); --port 0 takes any free port."
        ) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does so only for sockets of its own
    return listener
