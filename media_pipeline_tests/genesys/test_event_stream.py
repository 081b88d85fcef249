"""The event stream: what the HTML standard says of its bytes, and what a server may do to its reader."""

import contextlib
import datetime as dt
import itertools
import random
import time
import tracemalloc
from email.utils import format_datetime
from typing import ClassVar

import httpx
import httpx_sse
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
from media_pipeline.genesys.event_decoder import MAX_EVENT_BYTES, MAX_ID_BYTES, EventDecoder
from media_pipeline.genesys.event_stream import Bounds, EventStream, Listening
from media_pipeline.genesys.pacing import CallStats, Pacer, Patience
from media_pipeline.genesys.transport import Transport
from media_pipeline_tests.genesys.raw_server import RawServer, reset, status, stay, stream

# name, bytes, events as (kind, data, last id), whether httpx-sse reads it so, too
BYTES = [
    ("one event", b"data: a\n\n", [("message", "a", "")], True),
    ("a kind", b"event: conversation\ndata: a\n\n", [("conversation", "a", "")], True),
    ("an empty kind is a message", b"event:\ndata: a\n\n", [("message", "a", "")], True),
    ("a kind holds for one event", b"event: k\ndata: a\n\ndata: b\n\n", [("k", "a", ""), ("message", "b", "")], True),
    ("several lines of data", b"data: a\ndata: b\ndata: c\n\n", [("message", "a\nb\nc", "")], True),
    ("fields in any order", b"data: a\nid: 7\nevent: k\n\n", [("k", "a", "7")], True),
    ("comments", b":\n: heartbeat\ndata: a\n:in between\n\n", [("message", "a", "")], True),
    ("only comments", b": a\n\n: b\n\n", [], True),
    ("one space after the colon is dropped", b"data:  a\n\n", [("message", " a", "")], True),
    ("no space after the colon", b"data:a\n\n", [("message", "a", "")], True),
    ("a tab is no space", b"data:\ta\n\n", [("message", "\ta", "")], True),
    ("colons in the value", b"data: a:b: c\n\n", [("message", "a:b: c", "")], True),
    ("a field without a colon", b"data\n\n", [("message", "", "")], True),
    ("two fields without a colon", b"data\ndata\n\n", [("message", "\n", "")], True),
    ("data that is empty", b"data:\n\n", [("message", "", "")], True),
    ("an unknown field", b"date: a\ndata: b\n\n", [("message", "b", "")], True),
    ("names are case-sensitive", b"Data: a\n\ndata: b\n\n", [("message", "b", "")], True),
    ("names with a space are unknown", b" data: a\n\ndata : b\n\n", [], True),
    ("blank lines", b"\n\n\ndata: a\n\n\n\n", [("message", "a", "")], True),
    ("no data, no event", b"event: k\n\ndata: a\n\n", [("message", "a", "")], False),
    ("an id without data moves the last id", b"id: 7\n\ndata: a\n\n", [("message", "a", "7")], False),
    ("the last id stays", b"id: 7\ndata: a\n\ndata: b\n\n", [("message", "a", "7"), ("message", "b", "7")], True),
    ("an empty id resets", b"id: 7\ndata: a\n\nid\ndata: b\n\n", [("message", "a", "7"), ("message", "b", "")], True),
    ("an id with NUL is ignored", b"id: 7\n\nid: 8\x009\ndata: a\n\n", [("message", "a", "7")], False),
    ("an id is text", "id: ö-✓\ndata: a\n\n".encode(), [("message", "a", "ö-✓")], True),
    ("LF", b"id: 1\ndata: a\n\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "1")], True),
    ("CR LF", b"id: 1\r\ndata: a\r\n\r\ndata: b\r\n\r\n", [("message", "a", "1"), ("message", "b", "1")], True),
    ("CR", b"id: 1\rdata: a\r\rdata: b\r\r", [("message", "a", "1"), ("message", "b", "1")], True),
    (
        "all line ends",
        b"data: a\ndata: b\rdata: c\r\n\n\rdata: d\r\n\r",
        [("message", "a\nb\nc", ""), ("message", "d", "")],
        True,
    ),
    ("LF CR is two lines", b"data: a\n\rdata: b\n\r", [("message", "a", ""), ("message", "b", "")], True),
    (
        "other line ends are text",
        "data: a\u2028b\x0bc\x0cd\x85e\x1cf\n\n".encode(),
        [("message", "a\u2028b\x0bc\x0cd\x85e\x1cf", "")],
        True,
    ),
    ("a byte order mark", b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "")], False),
    ("a mark before a blank line", b"\xef\xbb\xbf\ndata: a\n\n", [("message", "a", "")], True),
    ("a second mark is text", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("message", "b", "")], True),
    ("a mark inside is text", b"data: \xef\xbb\xbfa\n\n", [("message", "\ufeffa", "")], True),
    ("many-byte characters", "data: ä€😀\n\n".encode(), [("message", "ä€😀", "")], True),
    ("broken UTF-8", b"data: a\xffb\xe2\x82\n\n", [("message", "a\ufffdb\ufffd", "")], True),
    ("NUL in data", b"data: a\x00b\n\n", [("message", "a\x00b", "")], True),
    ("no blank line, no event", b"data: a\n\ndata: b\n", [("message", "a", "")], True),
    ("cut in a line", b"data: a\n\ndata: b", [("message", "a", "")], True),
    ("nothing", b"", [], True),
]


def decoded(pieces):
    decoder = EventDecoder()
    return [(event.kind, event.data, event.last_id) for piece in pieces for event in decoder.feed(piece)]


def cut(data, chance):
    places = sorted(chance.sample(range(len(data) + 1), min(len(data), 5)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@pytest.mark.parametrize(("data", "expected"), [row[1:3] for row in BYTES], ids=[row[0] for row in BYTES])
def test_bytes_are_read_as_the_standard_says_however_they_are_cut(data, expected):
    assert decoded([data]) == expected
    assert decoded(data[n : n + 1] for n in range(len(data))) == expected
    chance = random.Random(7)
    for _ in range(50):
        assert decoded(cut(data, chance)) == expected


@pytest.mark.parametrize(("data", "expected", "agrees"), [row[1:] for row in BYTES], ids=[row[0] for row in BYTES])
def test_the_library_that_is_not_used_would_read_it_so(data, expected, agrees):
    """Should all agree one day, the decoder of our own can go."""
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=data)
    library = [(event.event, event.data, event.id) for event in httpx_sse.EventSource(response).iter_sse()]
    assert (library == expected) == agrees, library


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("2500", 2.5), ("0", 0), ("007", 0.007), ("9" * 5000, 3600), ("1" + "0" * 9, 3600)]
    + [(bad, None) for bad in ("", "-1", "+5", " 5", "5 ", "1.5", "1_000", "0x10", "٣", "5s")],
)
def test_a_reconnection_time_is_digits_only_and_no_longer_than_an_hour(value, seconds):
    decoder = EventDecoder()
    assert list(decoder.feed(f"retry: {value}\n\n".encode())) == []
    assert decoder.retry_seconds == seconds


def test_an_event_that_ends_with_a_lone_cr_does_not_wait_for_more():
    assert decoded([b"data: a\r\r"]) == [("message", "a", "")]


def test_an_event_knows_whether_the_id_is_its_own():
    events = list(EventDecoder("6").feed(b"data: a\n\nid: 7\ndata: b\n\ndata: c\n\n"))
    assert [(event.last_id, event.has_id) for event in events] == [("6", False), ("7", True), ("7", False)]


SMALL = 64 * 1024
"""A limit of the test's own: tracing a megabyte in small pieces takes long."""


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param([b"data: " + b"x" * 65_530] * 40, id="one line without an end"),
        pytest.param([b"data: xxxxxxxxxxxxxxxxxx\n" * 250] * 40, id="lines without a blank one"),
        pytest.param([b"data\n" * 2_000] * 40, id="empty lines of data"),
        pytest.param([b": " + b"x" * 65_530] * 40, id="a comment without an end"),
        pytest.param([b": x\n" * 2_000] * 20, id="comments without an end"),
        pytest.param([b"id: " + b"7" * 65_530] * 40, id="an id without an end"),
        pytest.param([b"x" * 65_536] * 40, id="a name without an end"),
    ],
)
def test_a_flood_fills_no_memory_and_what_follows_it_is_read(flood):
    decoder = EventDecoder("5", SMALL)
    tracemalloc.start()
    try:
        events = [event for piece in flood for event in decoder.feed(piece)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * SMALL
    events += decoder.feed(b"\nid: 6\n\nid: 7\ndata: a\n\n")
    assert (events[-1].data, events[-1].last_id) == ("a", "7")
    lost = [event for event in events if event.data is None]
    assert len(lost) == (flood[0].startswith(b"data")), "an event that is passed over is said"


def test_an_event_of_the_largest_size_is_read_and_one_larger_is_passed_over_with_its_id():
    largest = b"x" * (MAX_EVENT_BYTES - len("data: "))
    assert decoded([b"data: " + largest + b"\n\n"]) == [("message", largest.decode(), "")]
    sent = b"data: x" + largest + b"\nid: 8\n\ndata: a\n\n"
    assert decoded([sent]) == [("message", None, "8"), ("message", "a", "8")]
    assert decoded([b"id: " + b"9" * (MAX_ID_BYTES + 1) + b"\ndata: a\n\n"]) == [("message", "a", "")]


# ---------------------------------------------------------------------------------------------------------------------


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


def test_connections_that_fail_are_further_and_further_apart():
    with RawServer([status(500)]) as server:
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
