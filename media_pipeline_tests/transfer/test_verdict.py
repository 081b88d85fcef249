"""What a reply to a ranged request means, as a table."""

import pytest

from media_pipeline.genesys.pacing import TryAgain
from media_pipeline.transfer.outcome import REASONS, Ending
from media_pipeline.transfer.verdict import (
    Body,
    FreshLinkNeeded,
    StartOver,
    is_document,
    judged,
    refused_status,
    strong_etag,
    unsatisfied,
)

ACCEPTED = [
    # status, headers, offset, expected -> body
    (206, {"Content-Range": "bytes 0-99/100", "Content-Length": "100"}, 0, 100, Body(0, 100, 100)),
    (206, {"Content-Range": "bytes 40-99/100"}, 40, 100, Body(40, 100, 100)),
    (206, {"Content-Range": "bytes 40-59/100"}, 40, None, Body(40, 60, 100)),
    (206, {"Content-Range": "bytes 0-99/*"}, 0, 100, Body(0, 100, 100)),
    (206, {"Content-Range": "BYTES 0-99/100"}, 0, 100, Body(0, 100, 100)),
    (206, {"Content-Range": "bytes 0-99/100", "Content-Length": "50"}, 0, 100, Body(0, 100, 100)),
    (200, {"Content-Length": "100"}, 0, 100, Body(0, 100, 100)),
    (200, {"Content-Length": "100"}, 40, 100, Body(0, 100, 100)),
    (200, {}, 0, 100, Body(0, None, 100)),
    (200, {}, 0, None, Body(0, None, None)),
]
REFUSED = [
    (206, {}, 0, 100, "bad_range"),
    (206, {"Content-Range": "bytes 1-99/100"}, 0, 100, "bad_range"),
    (206, {"Content-Range": "bytes 0-99/100"}, 40, 100, "bad_range"),
    (206, {"Content-Range": "bytes 50-40/100"}, 50, 100, "bad_range"),
    (206, {"Content-Range": "bytes 0-100/100"}, 0, 100, "bad_range"),
    (206, {"Content-Range": "items 0-99/100"}, 0, 100, "bad_range"),
    (206, {"Content-Range": "bytes */100"}, 0, 100, "bad_range"),
    (206, {"Content-Range": "bytes 0-99/*"}, 0, None, "bad_range"),
    (206, {"Content-Type": "multipart/byteranges; boundary=x"}, 0, 100, "bad_range"),
    (206, {"Content-Range": "bytes 0-49/50", "Content-Length": "100"}, 0, 100, "bad_range"),
    (206, {"Content-Range": "bytes 0-199/200"}, 0, 100, "bad_range"),
    (206, {"Content-Range": "bytes 0-49/50"}, 0, 100, "short_body"),
    (200, {"Content-Length": "50"}, 0, 100, "short_body"),
    (200, {"Content-Length": "150"}, 0, 100, "bad_range"),
]


@pytest.mark.parametrize(("status", "headers", "offset", "expected", "body"), ACCEPTED)
def test_a_consistent_reply_is_taken_for_what_it_is(status, headers, offset, expected, body):
    assert judged(status, headers, offset=offset, expected=expected) == body


@pytest.mark.parametrize(("status", "headers", "offset", "expected", "reason"), REFUSED)
def test_a_reply_that_contradicts_the_request_or_itself_is_refused(status, headers, offset, expected, reason):
    with pytest.raises(TryAgain) as refused:
        judged(status, headers, offset=offset, expected=expected)
    assert refused.value.error.reason == reason


def test_an_unsatisfied_range_means_done_only_when_the_length_is_ours():
    unsatisfied({"Content-Range": "bytes */100"}, offset=100, expected=100)
    unsatisfied({"Content-Range": "bytes */100"}, offset=100, expected=None)
    with pytest.raises(Ending) as empty:
        unsatisfied({"Content-Range": "bytes */0"}, offset=0, expected=None)
    assert empty.value.reason == "zero_bytes"
    for headers, offset, expected in [
        ({"Content-Range": "bytes */80"}, 100, 100),  # our part is longer than the file
        ({"Content-Range": "bytes */100"}, 100, 120),
        ({"Content-Range": "bytes */0"}, 0, 100),
        ({}, 100, 100),
    ]:
        with pytest.raises(StartOver):
            unsatisfied(headers, offset=offset, expected=expected)


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (403, "forbidden", FreshLinkNeeded),
        (401, "forbidden", FreshLinkNeeded),
        (404, "no_file", FreshLinkNeeded),
        (410, "no_file", FreshLinkNeeded),
        (400, "not_media", FreshLinkNeeded),
        (204, "not_media", FreshLinkNeeded),
        (429, "rate_limited", TryAgain),
        (408, "server_error", TryAgain),
        (503, "server_error", TryAgain),
    ],
)
def test_each_other_status_has_one_meaning(status, reason, kind):
    error = refused_status(status, {})
    assert isinstance(error, kind)
    ending = error.ending if isinstance(error, FreshLinkNeeded) else error.error
    assert ending.reason == reason


@pytest.mark.parametrize("status", [200, 206, 416])
def test_statuses_with_a_verdict_of_their_own_pass(status):
    assert refused_status(status, {}) is None


@pytest.mark.parametrize(
    ("headers", "head", "expected"),
    [
        ({"Content-Type": "text/html; charset=utf-8"}, b"RIFF", True),
        ({"Content-Type": "application/json"}, b"", True),
        ({"Content-Type": "audio/wav"}, b"<!DOCTYPE html>", True),
        ({"Content-Type": "audio/wav"}, b"\xef\xbb\xbf  <?xml version='1.0'?>", True),
        ({"Content-Type": "audio/wav"}, b'{"message": "expired"}', True),
        ({"Content-Type": "audio/wav"}, b'[{"a": 1}]', True),
        ({"Content-Type": "audio/wav", "Content-Encoding": "gzip"}, b"RIFF", True),
        ({"Content-Type": "audio/wav"}, b"RIFF....WAVE", False),
        ({"Content-Type": "binary/octet-stream"}, b"{random bytes", False),
        ({"Content-Type": "audio/wav"}, b"<ListBucketResult xmlns='x'>", True),
        ({"Content-Type": "audio/wav"}, b"{}", True),
        ({"Content-Type": "application/problem+json"}, b"", True),
        ({"Content-Type": "audio/wav, text/html"}, b"RIFF", True),
        ({}, "<!DOCTYPE html>".encode("utf-16"), True),
        ({}, b"<", False),
        ({}, b"ID3", False),
        ({}, b"\xff\xfeID3", False),
    ],
)
def test_a_document_is_told_from_media_by_type_and_content(headers, head, expected):
    assert is_document(headers, head) is expected


@pytest.mark.parametrize(
    ("media_format", "headers", "head", "expected"),
    [
        ("json", {"Content-Type": "application/json"}, b'{"messages": []}', False),
        ("json", {"Content-Type": "text/html"}, b"<!DOCTYPE html>", True),
        ("html", {"Content-Type": "text/html"}, b"<!DOCTYPE html>", False),
        ("eml", {"Content-Type": "message/rfc822"}, b"<x>", False),
        ("html", {"Content-Type": "text/html", "Content-Encoding": "gzip"}, b"\x1f\x8b", True),
        ("wav", {"Content-Type": "application/json"}, b"", True),
        ("wav", {"Content-Type": "text/plain; charset=utf-8"}, "Bitte später".encode(), True),
        ("opus", {"Content-Type": "text/plain"}, b"OggS\0\2", False),
        ("csv", {"Content-Type": "text/plain"}, b"a,b", False),
        (None, {"Content-Type": "text/plain"}, b"Hello", False),
    ],
)
def test_a_chat_or_an_email_may_be_a_document(media_format, headers, head, expected):
    assert is_document(headers, head, media_format) is expected


def test_only_a_strong_entity_tag_vouches_for_bytes():
    assert strong_etag({"ETag": '"abc"'}) == '"abc"'
    for value in ('W/"abc"', "abc", '""', "", '"a", "b"'):
        assert strong_etag({"ETag": value}) is None


def test_every_reason_says_what_to_do():
    for reason in REASONS:
        assert Ending(reason).sentence.endswith(".")
        assert Ending(reason, "The connection broke.").sentence.startswith("The connection broke. ")


def test_sizes_of_thousands_of_digits_are_no_sizes():
    endless = "9" * 5_000
    with pytest.raises(TryAgain) as refused:
        judged(206, {"Content-Range": f"bytes 0-{endless}/{endless}"}, offset=0, expected=None)
    assert refused.value.error.reason == "bad_range"
    with pytest.raises(StartOver):
        unsatisfied({"Content-Range": f"bytes */{endless}"}, offset=5, expected=None)
