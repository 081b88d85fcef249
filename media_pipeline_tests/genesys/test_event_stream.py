"""The event stream over HTTP: what a server may do to its reader."""

import contextlib
import datetime as dt
import itertools
import time
import tracemalloc
from email.utils import format_datetime
from typing import ClassVar

import pytest

from media_pipeline.genesys.endpoints import Endpoints
from media_pipeline.genesys.errors import (
    AuthenticationError,
    MalformedReply,
    NotFound,
    PermissionMissing,
    RateLimited,
    ServerError,
)
from media_pipeline.genesys.event_stream import Bounds, EventStream, Listening
from media_pipeline.genesys.pacing import CallStats, Pacer, Patience
from media_pipeline.genesys.transport import Transport
from media_pipeline_tests.genesys.raw_server import RawServer, reset, status, stay, stream


@pytest.fixture(autouse=True)
def opened():
    """Transports of the test, closed after it."""
    transports = []
    Reader.opened = transports
    yield
    for transport in transports:
        transport.close()


class Reader:
    """The stream of a scripted server and what is read of it."""

    opened: ClassVar[list[Transport]] = []

    def __init__(self, url, *, first_wait_seconds=0.01):
        self.stats = CallStats()
        self.transport = Transport(
            Endpoints.of(region="", base_url=url),
            client_id="sandbox-client",
            client_secret="sandbox-secret",
            credential_style="form",
            pacer=Pacer(0),
            stats=self.stats,
            patience=Patience(first_wait_seconds=0.01),
            connections=2,
        )
        self.stream = EventStream(
            self.transport, "events", "/events", permission="conversation:read", first_wait_seconds=first_wait_seconds
        )
        self.listening = Listening()
        self.opened.append(self.transport)

    def read(self, last_id="", *, seconds=30.0, quiet=1.0, silence=30.0):
        bounds = Bounds(until=time.monotonic() + seconds, quiet_seconds=quiet, silence_seconds=silence)
        return [event.data for event in self.stream.events(last_id, bounds, self.listening)]


def read(script, last_id="", **bounds):
    with RawServer(script) as server:
        reader = Reader(server.url)
        return reader.read(last_id, **bounds), server.asked, reader.listening


def ids(asked):
    return [request.headers.get("last-event-id") for request in asked]


A, B, C = b"id: 1\ndata: a\n\n", b"id: 2\ndata: b\n\n", b"id: 3\ndata: c\n\n"
QUIET = [stream(stay())]
NO_MORE = [status(204)]


def test_the_request_asks_for_an_event_stream_with_the_token_and_no_compression():
    _, (asked, *_), listening = read(QUIET)
    assert asked.line == "GET /events HTTP/1.1"
    assert asked.headers["accept"] == b"text/event-stream"
    assert asked.headers["authorization"] == b"Bearer token-1"
    assert asked.headers["accept-encoding"] == b"identity"
    assert "last-event-id" not in asked.headers
    assert listening.ended == "quiet"


@pytest.mark.parametrize("end", [b"", reset], ids=["ended", "reset"])
def test_a_stream_that_breaks_is_connected_again_from_the_last_event(end):
    got, asked, _ = read([stream(A, b"id: 9\nda", 0.05, end), stream(B), stream(C), *NO_MORE])
    assert got == ["a", "b", "c"]
    assert ids(asked) == [None, b"1", b"2", b"3"], "an id counts with the blank line after it"


def test_an_id_without_data_is_gone_on_from_and_an_empty_one_forgotten():
    got, asked, _ = read([stream(A, b"id: 5\n\n"), stream(B, b"id\n\n"), *NO_MORE], "0")
    assert (got, ids(asked)) == (["a", "b"], [b"0", b"5", None])


def test_an_id_travels_as_utf_8_and_one_that_no_header_can_hold_is_not_gone_on_from():
    odd = b"id: a\x01b\ndata: odd\n\n"
    got, asked, _ = read([stream("id: ö ✓\ndata: a\n\n".encode()), stream(odd), *NO_MORE])
    assert (got, ids(asked)) == (["a", "odd"], [None, "ö ✓".encode(), "ö ✓".encode()])


def test_204_ends_it():
    got, asked, listening = read([stream(A), *NO_MORE, stream(B)])
    assert (got, len(asked), listening.ended) == (["a"], 2, "stopped")


def test_the_reconnection_time_of_the_stream_is_waited_and_kept():
    _, asked, _ = read([stream(b"retry: 300\n\n", A), stream(B), *NO_MORE])
    assert all(later.at - earlier.at >= 0.3 for earlier, later in itertools.pairwise(asked))


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited_before_the_next_try(code, form):
    until = time.time() + 3.9
    date = format_datetime(dt.datetime.fromtimestamp(int(until), dt.UTC), usegmt=True)
    script = [status(code, f"Retry-After: {'2' if form == 'seconds' else date}"), stream(A), *NO_MORE]
    got, asked, _ = read(script, seconds=60)
    assert got == ["a"]
    if form == "seconds":
        assert asked[1].at - asked[0].at >= 2
    else:
        assert asked[1].at + time.time() - time.monotonic() >= int(until)


def test_a_wait_past_the_end_is_not_begun():
    started = time.monotonic()
    with pytest.raises(RateLimited):
        read([status(429, "Retry-After: 60")])
    assert time.monotonic() - started < 25


@pytest.mark.parametrize("answer", [status(500), status(503, "Retry-After: 0")], ids=["silent", "at once"])
def test_connections_that_fail_are_further_and_further_apart(answer):
    with RawServer([answer]) as server:
        with pytest.raises(ServerError):
            Reader(server.url).read(seconds=0.7)
        waits = [later.at - earlier.at for earlier, later in itertools.pairwise(server.asked)]
    assert len(waits) <= 7
    assert waits[-1] > 4 * waits[0]


def test_a_server_that_closes_when_it_has_no_more_has_no_more():
    got, asked, listening = read(
        [stream(A, B), stream(b":\n\n"), stream(), stream(b"retry: 30\n\n")], seconds=9, quiet=9
    )
    assert (got, len(asked), listening.ended) == (["a", "b"], 4, "quiet")


def test_the_wait_before_a_connection_is_no_quiet_of_the_stream():
    script = [stream(b"retry: 600\n\n", A), stream(B), stream(0.1, C), *NO_MORE]
    got, _, listening = read(script, quiet=0.4)
    assert (got, listening.ended) == (["a", "b", "c"], "stopped")


def test_a_refused_token_is_renewed_once():
    with RawServer([status(401), stream(A), *NO_MORE]) as server:
        assert Reader(server.url).read() == ["a"]
        assert [request.headers["authorization"] for request in server.asked[:2]] == [
            b"Bearer token-1",
            b"Bearer token-2",
        ]
    with RawServer([status(401)]) as server:
        with pytest.raises(AuthenticationError):
            Reader(server.url).read()
        assert (len(server.asked), server.tokens) == (2, 2)


def test_a_token_that_ends_between_two_connections_is_renewed_again():
    with RawServer([stream(A), status(401), stream(B), status(401), stream(C), *NO_MORE]) as server:
        assert Reader(server.url).read() == ["a", "b", "c"]
        assert server.tokens == 3


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_and_the_next_connection_begins_at_its_start(code):
    moved = status(code, "Location: /elsewhere?shard=2")
    got, asked, _ = read([moved, stream(A), moved, stream(B), *NO_MORE], "0")
    assert got == ["a", "b"]
    lines = [request.line.split()[1] for request in asked]
    assert lines == ["/events", "/elsewhere?shard=2", "/events", "/elsewhere?shard=2", "/events"]
    assert ids(asked) == [b"0", b"0", b"1", b"1", b"2"]
    assert all(request.headers["authorization"] == b"Bearer token-1" for request in asked)


def test_the_token_never_goes_to_another_host():
    with RawServer([stream(A), stream(B)]) as other:
        there = status(307, f"Location: {other.url}/stream")
        got, _, _ = read([there, there, *NO_MORE])
        assert got == ["a", "b"]
        assert [request.headers.get("authorization") for request in other.asked] == [None, None]
        assert ids(other.asked) == [None, b"1"]


@pytest.mark.parametrize(
    "target",
    ["http://example.org/stream", "https://example.org/", "ftp://127.0.0.1/", "file:///etc/passwd", "http://[", "//"],
)
def test_a_redirect_to_who_knows_where_is_refused(target):
    with pytest.raises(MalformedReply, match=r"redirects 'events'|No answer"):
        read([status(302, f"Location: {target}")])


def test_redirects_in_circles_are_refused():
    with RawServer([status(302, "Location: /events")]) as server:
        with pytest.raises(MalformedReply, match="in circles"):
            Reader(server.url).read()
        assert len(server.asked) < 10


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (status(403, body=b'{"message": "missing conversation:events:view"}'), PermissionMissing),
        (status(404), NotFound),
        (status(400), MalformedReply),
        (status(302), MalformedReply),
        (status(200, "Content-Type: text/html", body=b"<html>"), MalformedReply),
        (status(200, "Content-Type: text/event-stream-of-mine", body=A), MalformedReply),
        (status(200, body=A), MalformedReply),
        (status(200, "Content-Type: text/event-stream", "Content-Encoding: gzip", body=A), MalformedReply),
    ],
)
def test_what_is_no_event_stream_fails_at_once(reply, error):
    with RawServer([reply]) as server:
        with pytest.raises(error):
            Reader(server.url).read()
        assert len(server.asked) == 1


def test_parameters_and_case_of_the_content_type_do_not_matter():
    for kind in ("TEXT/Event-Stream", "text/event-stream; charset=iso-8859-1"):
        reply = status(200, f"Content-Type: {kind}", body="data: ö\n\n".encode())
        assert read([reply, *NO_MORE])[0] == ["ö"], "always UTF-8, whatever is declared"


def test_a_server_that_keeps_failing_is_said_at_the_end():
    for script, error in (([status(500)], ServerError), ([[reset]], ServerError), ([[stay()]], ServerError)):
        with pytest.raises(error):
            read(script, seconds=0.5)


def test_one_that_fails_after_it_worked_costs_nothing_that_was_read():
    got, _, listening = read([stream(A), status(500)], seconds=0.6, quiet=9)
    assert (got, listening.ended) == (["a"], "time_up")
    assert listening.broken


def test_silence_ends_a_connection_and_the_next_goes_on():
    got, asked, listening = read([stream(A, stay()), stream(B, stay()), *NO_MORE], silence=0.2, quiet=9)
    assert (got, ids(asked)) == (["a", "b"], [None, b"1", b"2"])
    assert listening.broken == 2


def test_an_event_that_comes_slowly_is_no_quiet():
    slow = [piece for byte in b"id: 9\ndata: slow" for piece in (bytes([byte]), 0.08)]
    got, _, listening = read([stream(A, *slow, b"\n\n", stay())], quiet=0.5, seconds=30)
    assert (got, listening.ended) == (["a", "slow"], "quiet")


def test_heartbeats_are_no_silence_but_no_events_either():
    heartbeats = [b":\n\n", 0.1] * 40
    got, asked, listening = read([stream(A, *heartbeats)], silence=0.3, quiet=1.0)
    assert (got, len(asked), listening.ended) == (["a"], 1, "quiet")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([stream(*[A, 0.05] * 200)], id="events without an end"),
        pytest.param([stream(*[b"x", 0.05] * 200)], id="a line that drips"),
        pytest.param([[b"HTTP/1.1 200 OK\r\n", *[b"X-A: 1\r\n", 0.05] * 200]], id="a head that drips"),
        pytest.param([stream(A, stay())], id="silence"),
        pytest.param([[b"HTTP/1.1 500 No\r\n\r\n", *[b"x", 0.05] * 200]], id="a refusal that drips"),
    ],
)
def test_it_ends_when_its_time_is_up_whatever_the_server_does(script):
    started = time.monotonic()
    with contextlib.suppress(ServerError):
        read(script, seconds=0.7, quiet=9)
    assert 0.6 < time.monotonic() - started < 3


def test_a_refusal_without_an_end_fills_no_memory():
    def pour(connection):
        for _ in range(300):
            connection.sendall(b"x" * 65_536)

    tracemalloc.start()
    try:
        with pytest.raises(PermissionMissing):
            read([[b"HTTP/1.1 403 No\r\n\r\n", pour]])
        assert tracemalloc.get_traced_memory()[1] < 10 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_time_that_the_reader_takes_is_not_the_streams_silence():
    with RawServer([stream(A, B, 0.1, C, stay())]) as server:
        reader = Reader(server.url)
        got = []
        bounds = Bounds(until=time.monotonic() + 10, quiet_seconds=0.4, silence_seconds=0.4)
        for event in reader.stream.events("", bounds, reader.listening):
            got.append(event.data)
            time.sleep(0.6)
        assert (got, len(server.asked), reader.listening.ended) == (["a", "b", "c"], 1, "quiet")


def test_no_token_and_no_address_is_in_an_error():
    for reply in (status(500), status(403), status(401), status(302, "Location: https://example.org/?token=abc")):
        with pytest.raises(Exception) as caught:  # noqa: PT011  each of them
            read([reply], seconds=0.3)
        assert "token-" not in str(caught.value)
        assert "abc" not in str(caught.value)


def test_calls_are_counted_as_all_others_are():
    with RawServer([stream(A), status(500), stream(B), *NO_MORE]) as server:
        reader = Reader(server.url)
        reader.read()
        assert {s: n for (operation, s), n in reader.stats.calls.items() if operation == "events"} == {
            200: 2,
            500: 1,
            204: 1,
        }
