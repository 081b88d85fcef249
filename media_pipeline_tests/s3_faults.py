"""A proxy before an S3 server that misbehaves when told to: busy, broken in the middle of a body, or mute."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal["answer", "reset_in_body", "drop_request", "drop_reply", "cut_reply"]
HOP_HEADERS = {"expect", "connection", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Fault:
    """What happens to the first `times` requests that match, once `after` others that match have passed."""

    kind: Kind
    method: str = ""
    url: str = ""
    times: int = 1
    after: int = 0
    status: int = 503
    code: str = "SlowDown"
    text: str = ""
    struck: int = 0

    def strikes(self, method: str, url: str) -> bool:
        if (self.method and method != self.method) or not re.search(self.url, url):
            return False
        if self.after:
            self.after -= 1
            return False
        if self.struck == self.times:
            return False
        self.struck += 1
        return True


@dataclass
class FaultProxy:
    """The running proxy; `seen` has the method and the URL of each request."""

    url: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def break_with(self, kind: Kind, method: str = "", url: str = "", **how: object) -> Fault:
        """Add a fault."""
        fault = Fault(kind, method, url, **how)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def fault_of(self, method: str, url: str) -> Fault | None:
        with self.lock:
            self.seen.append((method, url))
            return next((fault for fault in self.faults if fault.strikes(method, url)), None)


@contextmanager
def fault_proxy(server_url: str) -> Iterator[FaultProxy]:
    """A proxy on a free port of loopback."""
    target = urlsplit(server_url)
    proxy = FaultProxy("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            fault = proxy.fault_of(self.command, self.path)
            kind = fault.kind if fault else None
            length = int(self.headers.get("Content-Length") or 0)
            if kind == "reset_in_body":
                self.rfile.read(length // 2)
                return self._reset()
            body = self.rfile.read(length)
            if kind == "drop_request":
                return self._reset()
            if kind == "answer" and fault:
                text = fault.text or f"<Error><Code>{fault.code}</Code><Message>told to</Message></Error>"
                return self._reply(fault.status, {"Content-Type": "application/xml"}, text.encode())
            status, headers, answer = self._forwarded(body)
            if kind == "drop_reply":
                return self._reset()
            return self._reply(status, headers, answer, cut=kind == "cut_reply")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

        def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() != "expect":
                        connection.putheader(name, value)
                connection.endheaders(body or None)
                reply = connection.getresponse()
                data = reply.read()
                headers = {name: value for name, value in reply.getheaders() if name.lower() not in HOP_HEADERS}
                if self.command == "HEAD":
                    headers["Content-Length"] = reply.getheader("Content-Length", "0")
                return reply.status, headers, data
            finally:
                connection.close()

        def _reply(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if self.command != "HEAD" and status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self._reset()

        def _reset(self) -> None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()  # with the linger of 0 s: RST instead of FIN

        def finish(self) -> None:
            try:
                super().finish()
            except OSError:
                """Already reset."""

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True  # a client that keeps its connection must not hold the test's end

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that are reset leave as they like."""

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield proxy
        server.shutdown()
        thread.join()
