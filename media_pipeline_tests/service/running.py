"""The service over real HTTP: in a thread of the test, or as the process that operators start."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn

from media_pipeline.messaging.inbox import Inbox
from media_pipeline.service.app import ROUTES, create_app
from media_pipeline.service.limits import Limits
from media_pipeline.service.serve import server_config
from media_pipeline.service.tokens import SCOPES, new_token
from media_pipeline.settings import Settings

START_SECONDS = 60.0
FIELDS = {"conversation_id": "c-1", "sender_id": "agent-7"}


def tokens_for(*scopes: str) -> tuple[dict[str, str], str]:
    """A token of each scope alone, and the variable that knows them all."""
    made = {scope: new_token(f"only-{scope}", [scope]) for scope in scopes or SCOPES}
    return {scope: token for scope, (token, _) in made.items()}, ",".join(entry for _, entry in made.values())


@dataclass
class Running:
    """A service that answers at `url`, and what it works on."""

    url: str
    tokens: dict[str, str]
    folder: Path
    app: object = None
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    @property
    def inbox(self) -> Inbox:
        return Inbox(self.folder / "inbox")

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    def bearer(self, scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[scope]}"}

    def call(self, method: str, path: str, scope: str | None = None, **more: object) -> httpx.Response:
        headers = (self.bearer(scope) if scope else {}) | dict(more.pop("headers", {}))
        return self.client.request(method, self.url + path, headers=headers, **more)

    def post(self, audio: bytes, *, key: str | None = None, declared: str = "", **fields: str) -> httpx.Response:
        """Hand in a voice message."""
        return self.call(
            "POST",
            "/voice-messages",
            "voice-messages",
            headers={"Idempotency-Key": key} if key else {},
            files={"file": ("voice", audio, declared or "application/octet-stream")},
            data=FIELDS | fields,
        )

    def raw(self, request: bytes, seconds: float = 10.0) -> bytes:
        """Everything that comes back for these bytes until the other side closes."""
        with socket.create_connection(self.address, timeout=seconds) as connection:
            connection.sendall(request)
            return received(connection)

    def files(self) -> set[str]:
        """Everything that lies below the test's folder, but locks, logs and what belongs to a spool."""
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())
        return {name for name in found if not name.startswith(("spool/", "root/audit/")) and not name.endswith(".lock")}


def received(connection: socket.socket) -> bytes:
    """Bytes until the other side closes."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            answer += piece
    return answer


def variables(folder: Path, entries: str) -> dict[str, str]:
    """A service's environment below one folder."""
    return {
        "MEDIA_ROOT": str(folder / "root"),
        "MEDIA_SPOOL": str(folder / "spool"),
        "MEDIA_INBOX": str(folder / "inbox"),
        "MEDIA_MIN_AVAILABLE_MB": "1",
        "MEDIA_SERVICE_TOKENS": entries,
    }


@contextlib.contextmanager
def serving(folder: Path, limits: Limits = Limits(), **changed: str | None) -> Iterator[Running]:  # noqa: B008  frozen
    """A service in a thread."""
    known, entries = tokens_for()
    settings = Settings.model_validate(variables(folder, entries) | changed)
    app = create_app(settings, limits, ROUTES)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        server = uvicorn.Server(server_config(app, limits))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        running = Running(f"http://127.0.0.1:{listener.getsockname()[1]}", known, folder, app)
        try:
            yield running
        finally:
            running.client.close()
            server.should_exit = True
            thread.join()


@dataclass
class Process:
    """`media-pipeline serve` as a process."""

    process: subprocess.Popen[bytes]
    running: Running
    log: Path

    def end(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def memory(self, line: str) -> float:
        """Resident memory in MB: VmRSS now, VmHWM at most so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{line}:")[1].split()[0]) / 1_000


def environment(more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE")}
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(more)


@contextlib.contextmanager
def process(folder: Path, *options: str, **changed: str) -> Iterator[Process]:
    """The real command on a free port."""
    known, entries = tokens_for()
    command = [sys.executable, "-m", "media_pipeline.cli", "serve", "--port", "0", *options]
    log = folder / "service.log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            command,
            env=environment(variables(folder, entries) | changed),
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as started,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while "listening on" not in log.read_text():
                assert started.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            url = log.read_text().split("listening on ")[1].split()[0]
            running = Running(url, known, folder)
            yield Process(started, running, log)
            running.client.close()
        finally:
            if started.poll() is None:
                started.kill()
