"""A webhook receiver over real HTTP that keeps what it was sent and answers as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET_PATH = "T0P-SECRET"


@dataclass(frozen=True)
class Post:
    """One request as it came; header names in lower case."""

    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message


@dataclass(frozen=True)
class Reply:
    """What a request gets; `hang_seconds` before it."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    hang_seconds: float = 0.0


@dataclass
class Receiver:
    """What arrived, and the status the next requests get, or who decides it by the message's id."""

    url: str = ""
    status: int = 204
    answer: Callable[[str], Reply] | None = None
    posts: list[Post] = field(default_factory=list)
    """All requests, refused ones too."""

    @property
    def taken(self) -> list[Post]:
        return [post for post in self.posts if post.status < 300]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [post.message for post in self.taken]

    @property
    def refused(self) -> int:
        return sum(post.status >= 300 for post in self.posts)

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.messages]

    def of_type(self, event_type: str) -> list[Post]:
        return [post for post in self.taken if post.message.get("type") == event_type]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on loopback for the length of a `with` block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:
                return  # its sender was killed
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.answer(headers.get("webhook-id", "")) if receiver.answer else Reply(receiver.status)
            time.sleep(reply.hang_seconds)
            receiver.posts.append(Post(headers, body, reply.status))
            with suppress(ConnectionError):  # who waited may have been killed
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True  # one that hangs keeps nobody

        def handle_error(self, *_: object) -> None:
            pass  # a killed sender

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}/hooks/{SECRET_PATH}"
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
