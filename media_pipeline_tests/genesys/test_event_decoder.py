"""Bytes of an event stream, however they are cut: read to the letter of the standard, in bounded memory."""

import random
import tracemalloc

import httpx
import httpx_sse
import pytest

from media_pipeline.genesys.event_decoder import MAX_EVENT_BYTES, MAX_ID_BYTES, EventDecoder

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
