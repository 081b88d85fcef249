"""An S3 server that answers a ranged request with something else is found out, over real HTTP."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from media_pipeline.storage.base import StorageError
from media_pipeline.storage.s3 import S3Store

OBJECT = b"0123456789"
Answer = tuple[int, str | None, bytes]
"""Status, Content-Range and body."""
AnswerWith = Callable[[Answer], S3Store]


@pytest.fixture
def answer_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AnswerWith]:
    """A store whose server gives this one answer to every GET."""
    import boto3

    answers: list[Answer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content_range, body = answers[-1]
            self.send_response(status)
            if content_range is not None:
                self.send_header("Content-Range", content_range)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        client = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{server.server_address[1]}", region_name="us-east-1"
        )

        def store(answer: Answer) -> S3Store:
            answers.append(answer)
            return S3Store(client, "media", "", tmp_path)

        yield store
        client.close()
        server.shutdown()
        thread.join()


def test_the_range_asked_for_is_taken(answer_with: AnswerWith) -> None:
    assert answer_with((206, "bytes 2-5/10", OBJECT[2:6])).read_range("x", 2, 4) == b"2345"
    assert answer_with((206, "bytes 8-9/10", OBJECT[8:])).read_range("x", 8, 4) == b"89"


def test_a_server_that_ignores_ranges_is_refused(answer_with: AnswerWith) -> None:
    with pytest.raises(StorageError, match=r"cannot be read in parts: .* answered 200 instead of 206"):
        answer_with((200, None, OBJECT)).read_range("x", 0, 4)


@pytest.mark.parametrize(
    ("content_range", "body"),
    [
        (None, OBJECT[2:6]),
        ("bytes 3-6/10", OBJECT[3:7]),
        ("bytes 2-6/10", OBJECT[2:7]),
        ("bytes 2-4/10", OBJECT[2:5]),
        ("bytes 2-5/*", OBJECT[2:6]),
        ("bytes */10", b""),
    ],
)
def test_another_range_than_the_one_asked_for_is_refused(
    answer_with: AnswerWith, content_range: str | None, body: bytes
) -> None:
    with pytest.raises(StorageError, match="answered with Content-Range"):
        answer_with((206, content_range, body)).read_range("x", 2, 4)


def test_a_body_of_another_length_than_its_range_is_refused(answer_with: AnswerWith) -> None:
    with pytest.raises(StorageError, match="announced 4 bytes and sent 3"):
        answer_with((206, "bytes 2-5/10", OBJECT[2:5])).read_range("x", 2, 4)
