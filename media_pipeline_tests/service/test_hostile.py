"""Requests made to harm: each is refused with a reason, and nothing is left or written elsewhere."""

import asyncio
import socket
import time

import pytest
import uvicorn
from uvicorn.server import ServerState

from media_pipeline.service.limits import Limits
from media_pipeline.service.protocol import guarded_protocol
from media_pipeline_tests.service.running import FIELDS, received, serving
from media_pipeline_tests.voices import wav

BOUNDARY = "abc"
END = f"--{BOUNDARY}--\r\n".encode()


def part(name: str, value: bytes, more: str = "", headers: str = "") -> bytes:
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n{headers}\r\n'.encode()
        + value
        + b"\r\n"
    )


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + END


FIELD_PARTS = [part(name, value.encode()) for name, value in FIELDS.items()]
FILE_PART = part("file", wav(), '; filename="a.wav"', "Content-Type: audio/wav\r\n")


def send(service, content: bytes, kind: str = f"multipart/form-data; boundary={BOUNDARY}"):
    return service.call("POST", "/voice-messages", "voice-messages", headers={"Content-Type": kind}, content=content)


def head(service, *headers: str) -> bytes:
    lines = ["POST /voice-messages HTTP/1.1", "Host: x", f"Content-Type: multipart/form-data; boundary={BOUNDARY}"]
    lines += [f"{name}: {value}" for name, value in service.bearer("voice-messages").items()]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def named(name: str | bytes) -> bytes:
    raw = name if isinstance(name, bytes) else name.encode()
    piece = part("file", wav(), '; filename="NAME"', "Content-Type: audio/wav\r\n")
    return body(*FIELD_PARTS, piece.replace(b"NAME", raw))


def test_the_plain_body_of_these_tests_is_accepted(service):
    assert send(service, body(*FIELD_PARTS, FILE_PART)).status_code == 202


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/cron.d/x",
        "..",
        "/etc/passwd",
        "..\\\\..\\\\boot.ini",
        "voice\0.wav",
        "voice\x1b[31m.wav",
        "voice\u202evaw.exe",
        "voice\u2066.wav",
        "x" * 5000 + ".wav",
        b"voice\xff\xfe.wav",
    ],
)
def test_a_file_name_made_to_mislead_is_refused(service, name):
    answer = send(service, named(name))
    assert answer.status_code in (400, 422)
    assert answer.json()["reason"] in ("file_name", "not_utf8", "malformed")
    assert "passwd" not in answer.text
    assert service.files() == set()


@pytest.mark.parametrize("name", ["voice.mp3", "Grüße an 田中.wav", "", "a b (1).wav"])
def test_a_fair_file_name_is_accepted_and_forgotten(service, name):
    answer = send(service, named(name))
    assert answer.status_code == 202
    key = answer.json()["message_key"]
    assert service.files() == {f"inbox/{key}.wav", f"inbox/{key}.json"}
    if name:
        assert name not in (service.inbox.folder / f"{key}.json").read_text()


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (body(*FIELD_PARTS, FIELD_PARTS[0], FILE_PART), 422, "duplicate"),
        (body(*FIELD_PARTS, FILE_PART, FILE_PART), 422, "duplicate"),
        (body(*FIELD_PARTS, FILE_PART, part("x", b"1")), 422, "unknown"),
        (body(*FIELD_PARTS, FILE_PART, *(part("x", b"1") for _ in range(1000))), 422, "unknown"),
        (body(part("conversation_id", b"c", '; filename="c.txt"'), FIELD_PARTS[1], FILE_PART), 422, "not_text"),
        (body(part("conversation_id", b"\xff\xfe"), FIELD_PARTS[1], FILE_PART), 422, "not_utf8"),
        (body(part("sender_id", b"s" * 60_000), FILE_PART), 422, "too_long"),
        (body(part("sender_id", b"s", headers="X: " + "y" * 9_000 + "\r\n"), FILE_PART), 400, "malformed"),
        (body(part("sender_id", b"s", headers="X: y\r\n" * 50), FILE_PART), 422, "duplicate_header"),
        (body(part("sender_id", b"s", headers="".join(f"X{n}: y\r\n" for n in range(50)))), 400, "malformed"),
        (body(*FIELD_PARTS, FILE_PART).replace(b"--abc", b"--abd"), 400, "malformed"),
        (b"".join([*FIELD_PARTS, FILE_PART]), 400, "malformed"),
        (b"", 400, "malformed"),
        (END, 400, "malformed"),
        (b"\0" * 1000, 400, "malformed"),
    ],
)
def test_a_body_that_is_not_as_documented_is_refused(service, content, status, reason):
    answer = send(service, content)
    assert (answer.status_code, answer.json().get("reason")) in ((status, reason), (422, "missing"))
    assert service.files() == set()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 415),
        ("", 415),
        ("multipart/mixed; boundary=abc", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        (f"multipart/form-data; boundary={'x' * 5000}", 400),
        ("multipart/form-data; boundary=other", 400),
    ],
)
def test_a_content_type_that_is_not_taken_is_refused(service, kind, status):
    assert send(service, body(*FIELD_PARTS, FILE_PART), kind).status_code == status


def test_a_length_stated_too_large_is_refused_before_the_body_is_sent(service):
    answer = service.raw(head(service, "Content-Length: 10000000000"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"too_large" in answer


def test_more_bytes_than_stated_are_not_part_of_the_body(service):
    """10 GB that say they are 1 KB: what follows the first KB is another request, and no good one."""
    with socket.create_connection(service.address, timeout=10) as connection:
        connection.sendall(head(service, "Content-Length: 1000") + part("file", b"", '; filename="a"')[:-2])
        try:
            for _ in range(10_000):
                connection.sendall(bytes(1_000_000))
        except (ConnectionResetError, BrokenPipeError, TimeoutError):
            pass
        else:
            pytest.fail("10 GB were taken")
    assert service.files() == set()


def test_an_endless_chunked_body_is_refused_at_the_limit(tmp_path):
    limits = Limits(file_bytes=2_000_000, linger_seconds=0.5)
    with serving(tmp_path, limits) as service, socket.create_connection(service.address, timeout=10) as connection:
        connection.sendall(head(service, "Transfer-Encoding: chunked"))
        start = part("file", b"", '; filename="a.wav"')[:-2]
        sent = 0
        try:
            connection.sendall(b"%x\r\n%s\r\n" % (len(start), start))
            while sent < 10**10:
                connection.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")
                sent += 65_536
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert sent < 10**10
        assert service.files() == set()
        assert service.call("GET", "/health").status_code == 200


def test_a_sender_that_is_refused_reads_the_reason_although_it_is_still_sending(service):
    answer = send(service, body(*FIELD_PARTS, part("file", bytes(20_000_000), '; filename="a.wav"')))
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
    assert answer.headers["connection"] == "close"


@pytest.fixture
def hasty(tmp_path):
    limits = Limits(head_seconds=0.5, idle_seconds=0.5, body_seconds=1.5, linger_seconds=1.0, keep_alive_seconds=1)
    with serving(tmp_path, limits) as running:
        yield running


def test_a_head_that_comes_too_slowly_is_cut_off(hasty):
    with socket.create_connection(hasty.address, timeout=10) as connection:
        connection.sendall(b"GET /health HT")
        assert received(connection).startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_says_nothing_is_cut_off(hasty):
    assert hasty.raw(b"").startswith(b"HTTP/1.1 408 ")


def test_the_next_head_on_a_connection_has_its_time_limit_too(hasty):
    answer = hasty.raw(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /he")
    assert answer.startswith(b"HTTP/1.1 200 ")  # and it ends, or this waits for ever
    answer = hasty.raw(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    assert answer.count(b"HTTP/1.1 200 ") == 3


def test_a_body_that_stops_is_refused(hasty):
    answer = hasty.raw(head(hasty, "Content-Length: 1000") + b"--abc")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too_slow" in answer
    assert hasty.files() == set()


def test_a_body_that_drips_is_refused_at_its_deadline(hasty):
    with socket.create_connection(hasty.address, timeout=10) as connection:
        connection.sendall(head(hasty, "Content-Length: 1000000") + part("file", b"", '; filename="a.wav"')[:-2])
        connection.settimeout(0.2)
        answer, started = b"", time.monotonic()
        while not answer and time.monotonic() - started < 10:
            connection.sendall(b"x")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")
    assert hasty.files() == set()


def test_a_reader_that_does_not_read_is_cut_off(hasty):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)  # smaller ones lose acknowledgements
        connection.settimeout(60)
        connection.connect(hasty.address)
        request = f"GET /docs HTTP/1.1\r\nHost: x\r\nAuthorization: {hasty.bearer('docs')['Authorization']}\r\n\r\n"
        deadline = time.monotonic() + 60  # on a busy machine it takes long to fill the kernel's buffers
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while time.monotonic() < deadline:
                connection.sendall(request.encode())
                time.sleep(0.01)


class Unread(asyncio.Transport):
    """A connection whose last bytes nobody takes: closing it never ends."""

    closing = aborted = False

    def get_extra_info(self, name, default=None):
        return default

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    def abort(self):
        self.aborted = True


def test_a_connection_that_cannot_be_closed_in_peace_is_cut_off():
    async def closed() -> Unread:
        config = uvicorn.Config(lambda *_: None, http=guarded_protocol(Limits(idle_seconds=0.05)), lifespan="off")
        config.load()
        transport = Unread()
        config.http_protocol_class(config=config, server_state=ServerState(), app_state={}).connection_made(transport)
        transport.close()
        await asyncio.sleep(0.5)
        return transport

    assert asyncio.run(closed()).aborted


def test_a_head_that_is_too_large_is_refused(service):
    assert service.raw(b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000).startswith(b"HTTP/1.1 400 ")
    assert service.raw(b"GET /" + b"x" * 100_000).startswith(b"HTTP/1.1 400 ")


def test_more_requests_than_allowed_are_told_to_come_again_and_health_is_answered(tmp_path):
    limits = Limits(requests=2, idle_seconds=30)
    with serving(tmp_path, limits) as service:
        waiting = [socket.create_connection(service.address, timeout=10) for _ in range(2)]
        for connection in waiting:
            connection.sendall(head(service, "Content-Length: 1000") + b"--abc")
        deadline = time.monotonic() + 10
        while (answer := service.call("GET", "/docs", "docs")).status_code != 503:
            assert time.monotonic() < deadline
        assert answer.json()["reason"] == "busy"
        assert int(answer.headers["retry-after"]) > 0
        assert service.call("GET", "/health").status_code == 200
        for connection in waiting:
            connection.close()
        while service.call("GET", "/docs", "docs").status_code != 200:
            assert time.monotonic() < deadline


def test_refused_senders_that_go_on_sending_keep_nobody_out(tmp_path):
    with serving(tmp_path, Limits(requests=2, linger_seconds=30)) as service:
        stuck = [socket.create_connection(service.address, timeout=10) for _ in range(5)]
        for connection in stuck:
            connection.sendall(b"POST /voice-messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nx")
            assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
        assert service.call("GET", "/docs", "docs").status_code == 200
        for connection in stuck:
            connection.close()


def test_more_connections_than_allowed_are_cut_off(tmp_path):
    with serving(tmp_path, Limits(connections=3, head_seconds=30)) as service:
        held = [socket.create_connection(service.address, timeout=10) for _ in range(3)]
        time.sleep(0.2)
        with socket.create_connection(service.address, timeout=10) as extra:
            assert received(extra) == b""
        for connection in held:
            connection.close()


def test_a_sender_that_goes_away_leaves_nothing(service):
    with socket.create_connection(service.address, timeout=10) as connection:
        connection.sendall(head(service, "Content-Length: 100000") + FIELD_PARTS[0] + FILE_PART[:8000])
        deadline = time.monotonic() + 10
        while not list((service.inbox.folder / ".incoming").glob("*")):
            assert time.monotonic() < deadline
    while service.files():
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/etc/passwd", "/docs/../metrics", "//health", "/health/", "/%00"]
)
def test_a_path_leads_nowhere_but_to_a_route(service, path):
    answer = service.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"application/problem+json" in answer


def test_two_lengths_and_a_length_beside_chunks_are_refused(service):
    smuggled = head(service, "Content-Length: 5", "Content-Length: 6") + b"--abc"
    assert service.raw(smuggled).startswith(b"HTTP/1.1 400 ")
    smuggled = (
        head(service, "Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close")
        + b"0\r\n\r\nGET /metrics HTTP/1.1\r\n"
    )
    assert b" 200 " not in service.raw(smuggled)


def test_a_request_that_names_the_whole_address_is_answered_as_its_path(service):
    for target in (f"{service.url}/health", "/health", "http://elsewhere.example/health"):
        with socket.create_connection(service.address, 5) as connection:
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert received(connection).startswith(b"HTTP/1.1 200"), target
