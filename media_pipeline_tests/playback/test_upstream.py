"""What is not archived is played from its source: proved, renewed once, and told of in our own words only."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.harness import DAY, Org, settings_for
from media_pipeline_tests.playback.conftest import BEFORE, Call
from media_pipeline_tests.playback.serving import TOKEN, Answer, Served, served
from media_pipeline_tests.transfer.serving import plain, serving

CONTENT = bytes(range(256)) * 400
PART = ("Range", "bytes=10-19")
File = Callable[[BaseHTTPRequestHandler], None]


def file_requests(org: Org) -> int:
    return sum(org.stats()["requests"].get("file", {}).values())


def reason(answer: Answer) -> str:
    assert answer["Content-Type"] == "application/problem+json"
    return str(json.loads(answer.body)["reason"])


def test_a_seek_costs_one_request_to_the_media_host_and_none_to_the_api(player: Served, speaking_org, elsewhere: Call):
    path = player.path(elsewhere.recording_id)
    assert player.ask(path, PART).body == elsewhere.content[10:20]
    speaking_org.forget_stats()
    for start in (500_000, 3, 65_280):
        answer = player.ask(path, ("Range", f"bytes={start}-{start + 99}"))
        assert answer.body == elsewhere.content[start : start + 100]
    requests = speaking_org.stats()["requests"]
    assert {name: sum(counts.values()) for name, counts in requests.items()} == {"file": 3}


def test_listeners_who_come_together_ask_the_api_once(speaking_org, exported, elsewhere, tmp_path):
    def asked(operation: str) -> int:
        return sum(speaking_org.stats()["requests"].get(operation, {}).values())

    with served(exported.settings.model_copy(update={"spool": tmp_path})) as fresh, ThreadPoolExecutor(12) as pool:
        before = asked("media")
        path = fresh.path(elsewhere.recording_id)
        speaking_org.break_with({"fault": "stall", "on": "media", "seconds": 0.5, "times": 1})
        answers = list(pool.map(lambda _: fresh.ask(path, PART), range(12)))
        assert [answer.status for answer in answers] == [206] * 12
        assert asked("media") - before == 1


def test_an_expired_link_is_renewed_once_and_without_a_word(player: Served, speaking_org, elsewhere: Call):
    path = player.path(elsewhere.recording_id)
    player.ask(path, PART)
    speaking_org.break_with({"fault": "expired_link", "on": "file", "times": 1})
    assert player.ask(path, PART).body == elsewhere.content[10:20]


def test_a_link_that_is_refused_again_is_a_502_without_a_word_of_the_source(player, speaking_org, elsewhere):
    speaking_org.break_with({"fault": "expired_link", "on": "file"})
    answer = player.ask(player.path(elsewhere.recording_id), PART)
    assert (answer.status, reason(answer)) == (502, "source_refused")
    assert_nothing_leaks(answer, speaking_org)


@pytest.mark.parametrize(
    ("rule", "status", "word"),
    [
        ({"fault": "not_found", "on": "media"}, 404, "not_found"),
        ({"fault": "forbidden", "on": "media"}, 502, "source_refused"),
        ({"fault": "html", "on": "file"}, 502, "not_media"),
        ({"fault": "xml", "on": "file", "as_media": True}, 502, "not_media"),
        ({"fault": "json", "on": "file"}, 502, "not_media"),
        ({"fault": "server_error", "on": "media"}, 502, "source_failed"),
        ({"fault": "bad_url", "on": "media"}, 502, "source_refused"),
        ({"fault": "bad_url", "on": "media", "url": "file:///etc/passwd"}, 502, "source_refused"),
        ({"fault": "bad_url", "on": "media", "url": "https://10.0.0.1/x"}, 502, "source_refused"),
        ({"fault": "bad_url", "on": "media", "url": "https://evil.example/x"}, 502, "source_refused"),
        ({"fault": "redirect", "on": "file", "to": "http://169.254.169.254/latest"}, 502, "source_refused"),
        ({"fault": "redirect", "on": "file", "to": "https://192.168.0.1/x"}, 502, "source_refused"),
        ({"fault": "redirect", "on": "file", "to": "https://[fd00::1]/x"}, 502, "source_refused"),
        ({"fault": "wrong_content_range", "on": "file"}, 502, "not_media"),
        ({"fault": "reset", "on": "file", "headers": False}, 502, "source_failed"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
def test_what_goes_wrong_at_the_source_is_told_in_json(rule, status, word, speaking_org, exported, elsewhere, tmp_path):
    speaking_org.break_with(rule)
    with served(exported.settings.model_copy(update={"spool": tmp_path})) as fresh:
        answer = fresh.ask(fresh.path(elsewhere.recording_id), PART)
    assert (answer.status, reason(answer)) == (status, word)
    assert_nothing_leaks(answer, speaking_org)


def test_a_link_whose_name_leads_inside_is_not_followed(speaking_org, exported, elsewhere, tmp_path, monkeypatch):
    host, real, asked = "bucket.s3.amazonaws.com", socket.getaddrinfo, []
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))]

    def looked_up(name: str, *rest: object, **more: object) -> object:
        asked.append(name)
        return inside if name == host else real(name, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    speaking_org.break_with({"fault": "bad_url", "on": "media", "url": f"https://{host}/x?X-Amz-Signature=s"})
    with served(exported.settings.model_copy(update={"spool": tmp_path})) as fresh:
        answer = fresh.ask(fresh.path(elsewhere.recording_id), PART)
    assert (answer.status, reason(answer)) == (502, "source_refused")
    assert asked.count(host) == 1
    assert host not in str(answer)


def test_a_source_without_an_answer_is_a_504(speaking_org, exported, elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr("media_pipeline.playback.app.OPEN_SECONDS", 0.5)
    speaking_org.break_with({"fault": "stall", "on": "media", "seconds": 3.0})
    with served(exported.settings.model_copy(update={"spool": tmp_path})) as fresh:
        answer = fresh.ask(fresh.path(elsewhere.recording_id), PART)
    assert (answer.status, reason(answer)) == (504, "source_silent")


def test_a_recording_nobody_knows_is_a_404(player: Served):
    answer = player.ask(player.path("nobody-knows-this"))
    assert (answer.status, reason(answer)) == (404, "not_found")


def test_no_other_file_or_day_of_a_known_recording_is_played_from_the_source(
    player: Served, archived: Call, elsewhere: Call
):
    for query in ("?file=1", "?file=9999", f"?date={BEFORE}"):
        answer = player.ask(player.path(archived.recording_id, query))
        assert (answer.status, reason(answer)) == (404, "not_found"), query
    assert player.ask(player.path(archived.recording_id, f"?file=0&date={DAY}"), PART).status == 206
    answer = player.ask(player.path(elsewhere.recording_id, "?file=3"))
    assert (answer.status, reason(answer)) == (404, "not_found")


def test_who_leaves_before_the_first_byte_keeps_a_place_until_its_thread_is_free(
    speaking_org, exported, elsewhere, tmp_path
):
    speaking_org.break_with({"fault": "stall", "on": "media", "seconds": 2.0, "times": 1})
    with served(exported.settings.model_copy(update={"spool": tmp_path})) as fresh:
        began = time.monotonic()
        leaving = http.client.HTTPConnection(urlsplit(fresh.url).netloc)
        leaving.request("GET", fresh.path(elsewhere.recording_id), headers={"Authorization": f"Bearer {TOKEN}"})
        while fresh.app.source_slots._value == 64:
            assert time.monotonic() - began < 2
            time.sleep(0.02)
        leaving.close()
        time.sleep(0.5)  # the listener has left by now
        assert fresh.app.source_slots._value == 63
        while fresh.app.source_slots._value == 63:
            assert time.monotonic() - began < 10
            time.sleep(0.05)
        assert fresh.ask(fresh.path(elsewhere.recording_id), PART).status == 206


def test_a_body_that_breaks_off_at_the_source_is_gone_on_with(player: Served, speaking_org, elsewhere: Call):
    path = player.path(elsewhere.recording_id)
    player.ask(path, PART)
    speaking_org.break_with({"fault": "reset", "on": "file", "after_bytes": 300_000, "times": 1})
    assert player.ask(path).body == elsewhere.content
    assert file_requests(speaking_org) == 2


def test_a_whole_file_with_another_md5_never_arrives_whole(player: Served, speaking_org, elsewhere: Call):
    path = player.path(elsewhere.recording_id)
    player.ask(path, PART)
    speaking_org.break_with({"fault": "corrupt", "on": "file"})
    answer = player.ask(path)
    assert answer.status == 200
    assert len(answer.body) < len(elsewhere.content)


def test_another_version_at_the_source_is_noticed_before_a_byte_is_sent(player: Served, speaking_org, elsewhere: Call):
    path = player.path(elsewhere.recording_id)
    first = player.ask(path, PART)
    speaking_org.break_with({"fault": "changed_etag", "on": "file"})
    answer = player.ask(path, PART, ("If-Range", first["ETag"] or ""))
    assert answer.status in (200, 502)
    assert answer["ETag"] != first["ETag"]


def test_a_listener_who_leaves_ends_the_request_to_the_source(player: Served, speaking_org, elsewhere: Call):
    path = player.path(elsewhere.recording_id)
    player.ask(path, PART)
    speaking_org.break_with({"fault": "slow_drip", "on": "file", "bytes_per_second": 20_000})
    began = time.monotonic()
    player.ask(path, read=False)
    while player.app.source_slots._value < 64:
        assert time.monotonic() - began < 10
        time.sleep(0.05)
    while (counted := speaking_org.stats()["recordings"].get(elsewhere.recording_id)) is None:
        assert time.monotonic() - began < 10, "the source still sends"
        time.sleep(0.05)
    assert counted["bytes"] < len(elsewhere.content) / 2


def test_the_platform_dialect_plays_what_a_listing_knows(speaking_org, elsewhere: Call, tmp_path):
    """Its conversation has to be known; the bytes come by a batch job."""
    listed = httpx.get(f"{speaking_org.url}/_sandbox/truth", params={"date": str(BEFORE), "body": "0"}, timeout=60)
    record = next(each for each in listed.json() if each["id"] == elsewhere.recording_id)
    row = {"recording_id": record["id"], "conversation_id": record["conversation_id"], "file_index": 0}
    row |= {"codec_supported": True, "file_state": "available"}
    settings = settings_for(speaking_org.url, tmp_path, dialect="platform")
    with served(settings) as player:
        unknown = player.ask(player.path(elsewhere.recording_id), PART)
        assert (unknown.status, reason(unknown)) == (404, "not_found")
        Tables(LocalStore(tmp_path / "media")).write("recording_inventory", BEFORE, [row])
        time.sleep(1.1)
        assert player.ask(player.path(elsewhere.recording_id), PART).body == elsewhere.content[10:20]


@contextmanager
def source(folder: Path, answer: File, size: int | None = len(CONTENT)) -> Iterator[Served]:
    """A player whose source is a server that a test writes itself: any id leads to the one file."""

    def all_calls(handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        if path.startswith("/api/v2/media/"):
            facts = {"id": "x", "file_size": size, "content_type": "audio/wav", "download_url": f"{base[0]}/file?sig=s"}
            plain(handler, 200, json.dumps(facts).encode(), Content_Type="application/json")
        elif path == "/oauth/token":
            token = {"access_token": "t", "token_type": "bearer", "expires_in": 3600}
            plain(handler, 200, json.dumps(token).encode(), Content_Type="application/json")
        else:
            answer(handler)

    base: list[str] = []
    with serving(all_calls) as url:
        base.append(url.rpartition("/")[0])
        with served(settings_for(base[0], folder)) as player:
            yield player


def ranged(handler: BaseHTTPRequestHandler, **headers: str) -> None:
    first, _, last = handler.headers["Range"].removeprefix("bytes=").partition("-")
    part = CONTENT[int(first) : int(last) + 1] if last else CONTENT[int(first) :]
    said = f"bytes {first}-{int(first) + len(part) - 1}/{len(CONTENT)}"
    plain(handler, 206, part, Content_Range=said, Content_Type="audio/wav", **headers)


def test_without_a_tag_at_the_source_none_is_invented_and_if_range_gets_the_whole(tmp_path):
    with source(tmp_path, ranged) as player:
        answer = player.ask(player.path("x"), PART)
        assert (answer.status, answer["ETag"], answer["Last-Modified"]) == (206, None, None)
        assert player.ask(player.path("x"), PART, ("If-Range", '"a"')).status == 200
        assert player.ask(player.path("x"), PART, ("If-Range", "Thu, 01 Jan 1970 00:00:10 GMT")).status == 200
        assert player.ask(player.path("x"), ("If-None-Match", '"a"')).body == CONTENT
        assert player.ask(player.path("x"), ("If-Match", '"a"')).status == 412
        several = player.ask(player.path("x"), ("Range", "bytes=0-1,10-11"))
        assert (several.status, several["ETag"]) == (206, None)


def test_a_weak_tag_is_passed_on_and_vouches_for_no_range(tmp_path):
    with source(tmp_path, lambda handler: ranged(handler, ETag='W/"v1"')) as player:
        assert player.ask(player.path("x"), PART)["ETag"] == 'W/"v1"'
        assert player.ask(player.path("x"), PART, ("If-Range", 'W/"v1"')).status == 200
        assert player.ask(player.path("x"), ("If-None-Match", '"v1"')).status == 304


@pytest.mark.parametrize("tag", ["unquoted", '"a" , "b"', '"a b"', '"' + "x" * 300 + '"', '"\xe9"'])
def test_a_tag_that_is_none_is_not_passed_on(tmp_path, tag):
    with source(tmp_path, lambda handler: ranged(handler, ETag=tag)) as player:
        answer = player.ask(player.path("x"), PART)
    assert (answer.status, answer["ETag"]) == (206, None)


def test_a_source_that_ignores_ranges_is_played_whole_and_says_so(tmp_path):
    with source(tmp_path, lambda handler: plain(handler, 200, CONTENT, ETag='"v1"')) as player:
        answer = player.ask(player.path("x"), PART)
        assert (answer.status, answer["Accept-Ranges"], answer.body) == (200, "none", CONTENT)
        assert player.ask(player.path("x"), ("Range", "bytes=999999999-")).status == 200


def test_headers_of_the_source_stay_there(tmp_path):
    hostile = {"Set_Cookie": "a=b", "X_Amz_Id_2": "secret", "Location": "https://evil.example", "Link": "</x>"}
    hostile |= {"Cache_Control": "public, max-age=9", "Content_Disposition": "attachment; filename=x.exe"}
    with source(tmp_path, lambda handler: ranged(handler, ETag='"v1"', Server="AmazonS3", **hostile)) as player:
        answer = player.ask(player.path("x"), PART)
    assert answer.status == 206
    assert {name.lower() for name in answer.headers} <= {
        "date", "server", "content-type", "content-length", "content-range", "content-disposition", "accept-ranges",
        "etag", "last-modified", "cache-control", "vary", "x-content-type-options", "cross-origin-resource-policy",
        "referrer-policy", "content-security-policy",
    }  # fmt: skip
    assert answer["Cache-Control"] == "private, no-cache"
    assert answer["Server"] != "AmazonS3"


def assert_nothing_leaks(answer: Answer, org: Org) -> None:
    shown = answer.body.decode() + str(answer.headers)
    for secret in ("X-Amz", "Signature", "AccessDenied", org.url, "/files/", "169.254", "10.0.0.1", "evil.example"):
        assert secret not in shown
