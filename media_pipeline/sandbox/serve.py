"""Running a sandbox: one uvicorn process on loopback that says where it listens, and nothing after."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import FrameType

import uvicorn

from media_pipeline.sandbox.app import SandboxApp
from media_pipeline.sandbox.options import OptionsError, SandboxOptions

GRACEFUL_SECONDS = 1
"""How long open downloads (a stalled one, say) may hold up the end."""
BACKLOG = 1_024


def serve(options: SandboxOptions) -> None:
    """Serve until interrupted. Prints one line once it listens.

    Raises OptionsError for an address that cannot be bound, RuleError for a bad rules file.
    """
    app = SandboxApp(options)
    listener = listen(options.host, options.port)
    if options.bodies == "speech":
        threading.Thread(target=_warm_up, name="phrase bank", daemon=True).start()
    with listener, contextlib.suppress(KeyboardInterrupt):
        _AnnouncedServer(server_config(app), app).run(sockets=[listener])


def server_config(app: SandboxApp) -> uvicorn.Config:
    """How uvicorn runs a sandbox: quietly, without lifespan, and ending soon."""
    return uvicorn.Config(
        app,
        access_log=False,
        log_level="error",
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,  # replies carry the sandbox's own time
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )


class _AnnouncedServer(uvicorn.Server):
    """uvicorn that announces itself on stdout, for people and for the tests that wait for it."""

    def __init__(self, config: uvicorn.Config, app: SandboxApp) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.closing = True
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"sandbox listening on {url_of((sockets or [])[0])}", flush=True)


def url_of(listener: socket.socket) -> str:
    """Where a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OptionsError when the address is taken or unknown."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise OptionsError(
            f"Cannot listen on {host}:{port} ({error.strerror}); use --port 0 for any free port."
        ) from error
    # asyncio sets this only where the protocol is named, uvloop always; without it each reply waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _warm_up() -> None:
    """Speak the phrase bank while the first requests arrive."""
    from media_pipeline.sandbox.speech import bank

    bank()
