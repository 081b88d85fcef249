"""Every case of the table, against an archived recording and one that is played from its source."""

from __future__ import annotations

import email.parser
import email.policy
import re

import pytest

from media_pipeline_tests.playback.cases import CASES, FAILED, PART, SAME, UNSATISFIABLE, WHOLE, Case, filled, moment
from media_pipeline_tests.playback.conftest import Call
from media_pipeline_tests.playback.published_cases import PUBLISHED
from media_pipeline_tests.playback.serving import Answer, Served


def test_there_are_as_many_cases_as_promised():
    assert len({str(case) for case in CASES}) >= 160
    assert len({(case.method, case.fields) for case in CASES + PUBLISHED}) >= 400


@pytest.mark.parametrize("where", ["archived", "elsewhere"])
@pytest.mark.parametrize("case", CASES + PUBLISHED, ids=str)
def test_a_reply_is_what_the_rfc_says(case: Case, where: str, player: Served, request: pytest.FixtureRequest) -> None:
    call: Call = request.getfixturevalue(where)
    path = player.path(call.recording_id)
    plain = player.ask(path, method="HEAD")
    size, etag, modified = len(call.content), plain["ETag"], moment(plain["Last-Modified"] or "")
    assert plain.status == WHOLE
    assert etag
    assert not etag.startswith("W/")
    fields = [(name, filled(value, size, etag, modified)) for name, value in case.fields]

    answer = player.ask(path, *fields, method=case.method)

    assert answer.status == case.status
    assert answer["Content-Encoding"] is None
    if answer.status in (WHOLE, PART):
        assert answer["Accept-Ranges"] == "bytes"
        assert answer["X-Content-Type-Options"] == "nosniff"
    if answer.status in (WHOLE, PART, SAME):
        assert answer["ETag"] == etag
        assert (answer["Cache-Control"] or "").startswith("private, ")
        assert ("immutable" in (answer["Cache-Control"] or "")) == (where == "archived")
    else:
        assert answer["Cache-Control"] == "no-store"
        assert answer["Content-Type"] == "application/problem+json"
    _assert_body(case, answer, call.content, [filled(span, size, etag, modified) for span in case.spans])


def _assert_body(case: Case, answer: Answer, content: bytes, spans: list[str]) -> None:
    size = len(content)
    if case.method == "HEAD" or case.status == SAME:
        assert answer.body == b""
        assert (answer["Content-Length"] == str(size)) == (case.status == WHOLE)
        assert answer["Content-Range"] is None
    elif case.status == WHOLE:
        assert answer.body == content
        assert answer["Content-Range"] is None
    elif case.status == UNSATISFIABLE:
        assert answer["Content-Range"] == f"bytes */{size}"
    elif case.status == FAILED:
        assert answer["Content-Range"] is None
    elif len(spans) == 1:
        assert answer["Content-Range"] == f"bytes {spans[0]}/{size}"
        assert answer["Content-Type"] == "audio/wav"
        assert answer.body == _cut(content, spans[0])
    else:
        assert answer["Content-Range"] is None
        assert answer["Content-Length"] == str(len(answer.body))
        parts = _parts(answer)
        assert [part for part, _ in parts] == [f"bytes {span}/{size}" for span in spans]
        assert [data for _, data in parts] == [_cut(content, span) for span in spans]


def _cut(content: bytes, span: str) -> bytes:
    first, _, last = span.partition("-")
    return content[int(first) : int(last) + 1]


def _parts(answer: Answer) -> list[tuple[str, bytes]]:
    """Content-Range and bytes of each part, taken apart to the last byte (RFC 2046, section 5.1)."""
    found = re.fullmatch(r"multipart/byteranges; boundary=([0-9A-Za-z]+)", answer["Content-Type"] or "")
    assert found is not None
    mark = b"--" + found[1].encode()
    body = b"\r\n" + answer.body
    assert body.endswith(b"\r\n" + mark + b"--\r\n")
    parts = []
    for part in body.removesuffix(b"\r\n" + mark + b"--\r\n").split(b"\r\n" + mark + b"\r\n")[1:]:
        head, _, data = part.partition(b"\r\n\r\n")
        fields = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + b"\r\n\r\n")
        assert fields["Content-Type"] == "audio/wav"
        parts.append((fields["Content-Range"], data))
    return parts
