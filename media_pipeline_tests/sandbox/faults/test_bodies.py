"""Faults of bodies: documents, ranges, cuts, resets and waits, byte by byte."""

from __future__ import annotations

import datetime as dt
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline_tests.sandbox.faults.conftest import fresh, listing


def raw(url: str, headers: str = "") -> tuple[bytes, bool]:
    """What arrives on a plain socket until it ends, and whether it ended in a reset."""
    parts = urlsplit(url)
    request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n{headers}Connection: close\r\n\r\n"
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request.encode())
        try:
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionResetError:
            return received, True
    return received, False


@pytest.mark.parametrize(
    ("kind", "content_type"), [("html", "text/html"), ("xml", "application/xml"), ("json", "application/json")]
)
def test_a_document_comes_instead_of_media_and_may_claim_to_be_audio(sandbox, fetch, kind, content_type):
    sandbox.break_with({"fault": kind})
    assert (fetch().status_code, fetch().headers["content-type"]) == (200, content_type)
    sandbox.break_with({"fault": kind, "as_media": True})
    assert fetch().headers["content-type"] == "audio/wav"
    assert fetch().content[:1] in (b"<", b"{")


# The file


def test_a_range_is_ignored(sandbox, fetch):
    sandbox.break_with({"fault": "ignore_range", "times": 1})
    assert fetch().status_code == 200
    ignored, healed = fetch(Range="bytes=10-"), fetch(Range="bytes=10-")
    assert (ignored.status_code, healed.status_code) == (200, 206)
    assert ignored.content == fetch().content


def test_a_wrong_content_range_lies_about_honest_bytes(sandbox, fetch):
    whole = fetch().content
    sandbox.break_with({"fault": "wrong_content_range", "shift": 4})
    answer = fetch(Range="bytes=10-19")
    assert answer.content == whole[10:20]
    assert answer.headers["content-range"] == f"bytes 14-23/{len(whole)}"


def test_a_short_body_is_shorter_than_its_content_range(sandbox, fetch):
    whole = fetch().content
    sandbox.break_with({"fault": "short_body", "keep": 0.25})
    ranged, plain = fetch(Range="bytes=0-39"), fetch()
    assert ranged.content == whole[:10]
    assert ranged.headers["content-length"] == "10"
    assert ranged.headers["content-range"] == f"bytes 0-39/{len(whole)}"
    assert plain.content == whole[: len(whole) // 4]


def test_a_changed_etag_starts_over_unless_the_server_disobeys(sandbox, fetch):
    sandbox.break_with({"fault": "changed_etag"})
    etag = fetch().headers["etag"]
    assert fetch().headers["etag"] != etag
    assert fetch(Range="bytes=1-", If_Range=etag).status_code == 200
    sandbox.break_with({"fault": "changed_etag", "obey": False})
    careless = fetch(Range="bytes=1-", If_Range=etag)
    assert careless.status_code == 206
    assert careless.headers["etag"] != etag


def test_a_corrupt_body_has_its_length_and_one_other_byte(sandbox, fetch):
    whole = fetch().content
    sandbox.break_with({"fault": "corrupt", "times": 2})
    corrupt, ranged, healed = fetch().content, fetch(Range="bytes=20-39").content, fetch().content
    assert healed == whole
    assert [a != b for a, b in zip(whole, corrupt, strict=True)].count(True) == 1
    assert [a != b for a, b in zip(whole[20:40], ranged, strict=True)].count(True) == 1


# The way


def test_a_reset_breaks_the_connection_after_exactly_the_bytes_asked_for(sandbox, api, ids):
    link = fresh(api, ids[0])
    sandbox.break_with({"fault": "reset", "after_bytes": 40, "times": 1})
    received, reset = raw(link)
    head, _, body = received.partition(b"\r\n\r\n")
    assert reset
    assert head.startswith(b"HTTP/1.1 200")
    assert body[:4] == b"RIFF"
    assert len(body) == 40
    assert raw(link)[1] is False


@pytest.mark.parametrize("headers", [True, False])
def test_a_reset_may_come_before_the_body_or_before_any_answer(sandbox, api, ids, headers):
    link = fresh(api, ids[0])
    sandbox.break_with({"fault": "reset", "headers": headers})
    received, reset = raw(link)
    assert reset
    assert received.startswith(b"HTTP/1.1 200") == headers
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        httpx.get(link)


def test_a_reset_can_hit_the_api_as_well(sandbox, api):
    sandbox.break_with({"fault": "reset", "on": "list", "after_bytes": 10, "times": 1})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        listing(api)
    assert len(listing(api)) == 40


def test_megabytes_arrive_before_a_late_reset(files):
    options = SandboxOptions(port=0, bodies="tiny", per_day=1, days=1, end=dt.date(2026, 11, 20), huge_mb=8)
    with running(options) as sandbox:
        recording = sandbox.state.org.recording(sandbox.state.org.day(dt.date(2026, 11, 20))[0])
        link = sandbox.state.signer.link(sandbox.url, recording.id, 60)
        sandbox.break_with({"fault": "reset", "after_bytes": 7_000_001})
        received, reset = raw(link)
        assert reset
        assert len(received.partition(b"\r\n\r\n")[2]) == 7_000_001


def test_a_slow_drip_takes_its_time(sandbox, fetch):
    whole = fetch(Range="bytes=0-59").content
    sandbox.break_with({"fault": "slow_drip", "bytes_per_second": 100})
    started = time.monotonic()
    assert fetch(Range="bytes=0-59").content == whole
    assert 0.45 < time.monotonic() - started < 3


def test_a_stall_sends_headers_and_keeps_the_body_back(sandbox, api, ids):
    link = fresh(api, ids[0])
    sandbox.break_with({"fault": "stall", "seconds": 0.6})
    with httpx.stream("GET", link, timeout=0.2) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            answer.read()
    assert httpx.get(link, timeout=5).content[:4] == b"RIFF"
