"""Presigned links: who may open them, for how long, and which bytes a range gives."""

from __future__ import annotations

import httpx
import pytest

from media_pipeline.sandbox.ranges import UnsatisfiableError, resolve


@pytest.fixture
def link(api: httpx.Client) -> str:
    records = api.get("/_sandbox/truth", params={"date": "2026-11-20"}).json()
    recording_id = next(each["id"] for each in records if each["kind"] == "ordinary")
    return api.get(f"/api/v2/recordings/{recording_id}/download").json()["download_url"]


def test_any_authorization_header_is_a_400(api, link):
    answer = api.get(link)
    assert answer.status_code == 400
    assert "Only one auth mechanism allowed" in answer.text
    assert answer.headers["content-type"] == "application/xml"


def test_a_link_looks_like_one_of_s3_and_two_are_never_the_same(api, link):
    query = httpx.URL(link).params
    assert {"X-Amz-Expires", "X-Amz-Date", "X-Amz-Signature"} <= set(query)
    assert query["X-Amz-Expires"] == "3600"
    path = f"/api/v2/recordings/{httpx.URL(link).path.split('/')[-1]}/download"
    assert api.get(path).json()["download_url"] != link


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Expires=3600", "X-Amz-Expires=9999"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("/_files/", "/_files/0"),
    ],
)
def test_a_tampered_link_is_403(files, link, old, new):
    answer = files.get(link.replace(old, new))
    assert answer.status_code == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in answer.text
    assert files.get(link.partition("?")[0]).status_code == 403


def test_a_link_expires_with_the_clock(sandbox, files, link):
    sandbox.state.clock.offset_seconds = 3_590
    assert files.get(link).status_code == 200
    sandbox.state.clock.offset_seconds = 3_601
    expired = files.get(link)
    assert expired.status_code == 403
    assert "<Message>Request has expired</Message>" in expired.text


def test_the_life_of_links_can_be_changed(api, files, sandbox, link):
    assert api.put("/_sandbox/options", json={"link_seconds": 5}).status_code == 200
    path = f"/api/v2/recordings/{httpx.URL(link).path.split('/')[-1]}/download"
    short = api.get(path).json()["download_url"]
    sandbox.state.clock.offset_seconds = 10
    assert files.get(short).status_code == 403
    assert files.get(link).status_code == 200


def test_head_tells_what_get_would_send(files, link):
    whole, head = files.get(link), files.head(link)
    assert head.content == b""
    for name in ("content-length", "content-type", "etag", "last-modified", "accept-ranges"):
        assert head.headers[name] == whole.headers[name]


def test_the_etag_is_the_strong_md5(api, files, link):
    recording_id = httpx.URL(link).path.split("/")[-1]
    assert files.get(link).headers["etag"] == f'"{api.get(f"/api/v2/media/{recording_id}").json()["md5"]}"'


RANGES = [
    ("bytes=0-9", (0, 10)),
    ("bytes=10-", (10, None)),
    ("bytes=-7", (-7, None)),
    ("bytes=0-", (0, None)),
    ("bytes=5-5", (5, 6)),
    ("bytes=3-99999", (3, None)),
    ("bytes=-99999", (0, None)),
]


@pytest.mark.parametrize(("header", "part"), RANGES)
def test_a_single_range_gives_those_bytes(files, link, header, part):
    whole = files.get(link).content
    answer = files.get(link, headers={"Range": header})
    assert answer.status_code == 206
    assert answer.content == whole[slice(*part)]
    start = whole.index(answer.content)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(answer.content) - 1}/{len(whole)}"


@pytest.mark.parametrize("header", ["bytes=0-1,4-5", "bytes=9-3", "items=0-1", "bytes=-", "bytes=a-b", "0-5", ""])
def test_what_is_no_single_range_gives_the_whole_file(files, link, header):
    answer = files.get(link, headers={"Range": header})
    assert answer.status_code == 200
    assert "content-range" not in answer.headers
    assert len(answer.content) == int(answer.headers["content-length"])


@pytest.mark.parametrize("header", ["bytes=99999-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_past_the_end_is_416_with_the_size(files, link, header):
    size = len(files.get(link).content)
    answer = files.get(link, headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize(
    ("if_range", "status"), [("{}", 206), ('"other"', 200), ("W/{}", 200), ("Sat, 21 Nov 2026 00:00:00 GMT", 200)]
)
def test_if_range_holds_only_for_exactly_the_strong_etag(files, link, if_range, status):
    etag = files.get(link).headers["etag"]
    answer = files.get(link, headers={"Range": "bytes=1-", "If-Range": if_range.format(etag)})
    assert answer.status_code == status


def test_an_empty_file_satisfies_no_range():
    for header in ("bytes=0-", "bytes=-5", "bytes=0-0"):
        with pytest.raises(UnsatisfiableError):
            resolve(header, 0)
