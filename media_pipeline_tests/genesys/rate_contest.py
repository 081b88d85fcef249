"""Processes that ask as fast as they may, against a server that counts: how much of its limit they use and overstep.

The server answers like the API: `inin-ratelimit-*` with every reply, and 429 with Retry-After once a window is used up.
Run as a module, this is one of the processes.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from media_pipeline.genesys.endpoints import Endpoints
from media_pipeline.genesys.pacing import CallStats, Pacer, Patience
from media_pipeline.genesys.transport import Transport

PROCESSES = 4
THREADS = 4
START_SECONDS = 30.0
OTHERS_PATH = "/others"


@dataclass
class Limit:
    """`allowed` calls in a window that begins with a call after the last one's end; rolling: in any period."""

    allowed: int
    period_seconds: float
    rolling: bool = False
    replies: list[tuple[float, int, str]] = field(default_factory=list)
    _calls: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def judge(self, path: str) -> tuple[int, dict[str, str]]:
        """Status and headers of the reply to a call now."""
        with self._lock:
            at, calls = time.monotonic(), self._calls
            if not self.rolling and calls and calls[0] + self.period_seconds <= at:
                calls.clear()
            while self.rolling and calls and calls[0] + self.period_seconds <= at:
                calls.popleft()
            status = 200 if len(calls) < self.allowed else 429
            if status == 200:
                calls.append(at)
            left = math.ceil(calls[0] + self.period_seconds - at)
            headers = {"allowed": self.allowed, "count": len(calls), "reset": left}
            self.replies.append((at, status, path))
        said = {f"inin-ratelimit-{name}": str(value) for name, value in headers.items()}
        return status, said | ({"Retry-After": str(left)} if status == 429 else {})


class Server(ThreadingHTTPServer):
    """Hands out a token, and then an object for each call that the limit lets through."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, limit: Limit) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.limit = limit
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        super().__exit__(*error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        status, headers = self.server.limit.judge(self.path)
        self._reply(status, {}, headers)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._reply(200, {"access_token": "token", "expires_in": 3600}, {})

    def _reply(self, status: int, body: object, headers: dict[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.wfile = self.connection.makefile("wb", buffering=65536)  # one packet a reply

    def finish(self) -> None:
        with suppress(OSError):  # the processes are killed in the end
            super().finish()

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()


@dataclass(frozen=True)
class Figures:
    """After the first period, the warm-up: shares of the limit used and of our replies refused, calls per thread."""

    used: float
    refused: float
    calls: Counter[str]

    def __str__(self) -> str:
        few, many = min(self.calls.values()), max(self.calls.values())
        return f"{self.used:.1%} of the limit used, {self.refused:.2%} of replies 429, {few} to {many} calls a thread"


def compete(
    folder: Path, limit: Limit, *, configured: int, periods: int, others: float = 0.0, disturb: bool = False
) -> Figures:
    """Let 4 processes of 4 threads ask for that many periods after the first.

    `others`: share of the limit that somebody else uses without a budget. `disturb`: once a second, a process takes the
    budget's lock and is killed.
    """
    file = folder / "x.budget"
    with Server(limit) as server:
        command = [sys.executable, "-m", "media_pipeline_tests.genesys.rate_contest", "--url", server.url]
        command += ["--file", str(file), "--configured", str(configured), "--period", str(limit.period_seconds)]
        processes = [subprocess.Popen([*command, "--name", str(n)]) for n in range(PROCESSES)]
        stop = threading.Event()
        try:
            end = time.monotonic() + START_SECONDS
            while not limit.replies and time.monotonic() < end:
                time.sleep(0.01)
            assert limit.replies, "no process has asked"
            began = limit.replies[0][0]
            if others:
                threading.Thread(target=_ask_elsewhere, args=(server, others, stop), daemon=True).start()
            end = began + (1 + periods) * limit.period_seconds
            while (left := end - time.monotonic()) > 0:
                if disturb:
                    _kill_holding(file)
                time.sleep(min(left, 1.0))
            assert all(process.poll() is None for process in processes), "a process has ended"
        finally:
            stop.set()
            for process in processes:
                process.kill()
                process.wait()
    warm = [reply for reply in limit.replies if began + limit.period_seconds <= reply[0] < end]
    ours = [(status, path) for _, status, path in warm if path != OTHERS_PATH]
    return Figures(
        used=sum(status == 200 for _, status, _ in warm) / (limit.allowed * periods),
        refused=sum(status == 429 for status, _ in ours) / max(1, len(ours)),
        calls=Counter(path for status, path in ours if status == 200),
    )


def _ask_elsewhere(server: Server, share: float, stop: threading.Event) -> None:
    with httpx.Client() as client:
        while not stop.wait(server.limit.period_seconds / server.limit.allowed / share):
            client.get(f"{server.url}{OTHERS_PATH}")


def _kill_holding(file: Path) -> None:
    """A process that has the lock of the file dies of SIGKILL before it could let go."""
    code = "import fcntl, os, sys, time; fcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX); print(); "
    code += "sys.stdout.flush(); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05)
        process.kill()


def main() -> None:
    """Ask without end, in several threads, each for a path of its own."""
    parser = argparse.ArgumentParser()
    for name, kind in {"url": str, "file": Path, "name": str, "configured": int, "period": float}.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    options = parser.parse_args()
    transport = Transport(
        Endpoints.of(region="mypurecloud.com", base_url=options.url),
        client_id="client",
        client_secret="secret",
        credential_style="form",
        pacer=Pacer(options.configured, options.file, period_seconds=options.period),
        stats=CallStats(),
        patience=Patience(),
        connections=THREADS,
    )

    def ask(thread: int) -> None:
        while True:
            transport.get_json("contest", f"/{options.name}/{thread}", permission="none")

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
