"""Each kind of fault as a client meets it, and the rules that bring it about."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.client
import socket
import time
from email.utils import parsedate_to_datetime
from itertools import pairwise
from urllib.parse import quote, urlsplit

import httpx
import pytest

from media_pipeline.sandbox.fault_kinds import HOSTILE_NAMES, KINDS
from media_pipeline.sandbox.faults import RuleError, Rules
from media_pipeline.sandbox.listing import HOSTILE_IDS
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running

DAY = "start_time:2026-11-20T00:00:00Z end_time:2026-11-21T00:00:00Z"


@pytest.fixture
def ids(sandbox, api) -> list[str]:
    """Ordinary recordings of the last day, with transcripts."""
    records = api.get("/_sandbox/truth", params={"date": "2026-11-20", "body": 0}).json()
    return [each["id"] for each in records if (each["kind"], each["transcript"]) == ("ordinary", "available")]


@pytest.fixture
def fetch(api, files, ids):
    """Fetch the first ordinary recording by a fresh link."""

    def fetch(**headers: str) -> httpx.Response:
        return files.get(fresh(api, ids[0]), headers={name.replace("_", "-"): text for name, text in headers.items()})

    return fetch


def fresh(api: httpx.Client, recording_id: str) -> str:
    return api.get(f"/api/v2/recordings/{recording_id}/download").json()["download_url"]


def listing(api: httpx.Client, **arguments) -> list[dict]:
    return api.get("/api/v2/recordings", params={"query": DAY, "pageSize": 200, **arguments}).json()["entities"]


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


# Answers in place of the answer


@pytest.mark.parametrize(
    ("form", "in_header", "in_message"),
    [("seconds", True, True), ("date", True, False), ("message", False, True), ("none", False, False)],
)
def test_a_rate_limit_says_when_to_come_back_in_each_form_and_heals(sandbox, api, ids, form, in_header, in_message):
    sandbox.break_with({"fault": "rate_limit", "on": "media", "times": 2, "wait": 7, "retry_after": form})
    for recording_id in ids[:2]:
        answers = [api.get(f"/api/v2/media/{recording_id}") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [429, 429, 200]
        limited = answers[0]
        assert ("[7] seconds" in limited.json()["message"]) == in_message
        assert ("retry-after" in limited.headers) == in_header
        if form == "seconds":
            assert limited.headers["retry-after"] == "7"
        if form == "date":
            wait = parsedate_to_datetime(limited.headers["retry-after"]) - dt.datetime.now(dt.UTC)
            assert dt.timedelta(seconds=4) < wait <= dt.timedelta(seconds=7)


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_a_server_error_is_json_from_the_api_and_xml_from_a_link(sandbox, api, files, ids, code):
    link = fresh(api, ids[0])
    sandbox.break_with({"fault": "server_error", "code": code}, {"fault": "server_error", "code": code, "on": "file"})
    answer = api.get("/api/v2/recordings/quota")
    assert (answer.status_code, answer.json()["status"]) == (code, code)
    assert {"message", "code", "contextId"} <= set(answer.json())
    assert files.get(link).text.startswith("<?xml")


def test_forbidden_names_the_permission(sandbox, api):
    sandbox.break_with({"fault": "forbidden", "on": ["list"], "permission": "recording:recording:view"})
    answer = api.get("/api/v2/recordings", params={"query": DAY})
    assert (answer.status_code, answer.json()["code"]) == (403, "missing.permissions")
    assert "recording:recording:view" in answer.json()["message"]


def test_not_found_hits_the_recordings_it_names_only(sandbox, api, ids):
    sandbox.break_with({"fault": "not_found", "on": ["media", "transcript"], "ids": [ids[3]]})
    assert [api.get(f"/api/v2/media/{id_}").status_code for id_ in ids[2:5]] == [200, 404, 200]
    assert api.get(f"/api/v2/recordings/{ids[3]}/transcript").status_code == 404


def test_not_json_is_a_page_with_status_200(sandbox, api):
    sandbox.break_with({"fault": "not_json", "on": "quota"})
    answer = api.get("/api/v2/recordings/quota")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")


@pytest.mark.parametrize(
    ("kind", "content_type"), [("html", "text/html"), ("xml", "application/xml"), ("json", "application/json")]
)
def test_a_document_comes_instead_of_media_and_may_claim_to_be_audio(sandbox, fetch, kind, content_type):
    sandbox.break_with({"fault": kind})
    assert (fetch().status_code, fetch().headers["content-type"]) == (200, content_type)
    sandbox.break_with({"fault": kind, "as_media": True})
    assert fetch().headers["content-type"] == "audio/wav"
    assert fetch().content[:1] in (b"<", b"{")


def test_an_expired_link_stays_expired_and_the_next_one_works(sandbox, api, files, ids):
    sandbox.break_with({"fault": "expired_link", "times": 1})
    link = fresh(api, ids[0])
    assert [files.get(link).status_code for _ in range(3)] == [403, 403, 403]
    assert "Request has expired" in files.get(link).text
    assert files.get(fresh(api, ids[0])).status_code == 200


def test_a_redirect_leads_to_itself_or_elsewhere(sandbox, api, files, ids):
    link = fresh(api, ids[0])
    sandbox.break_with({"fault": "redirect"})
    answer = files.get(link)
    assert answer.status_code == 302
    assert httpx.URL(link).join(answer.headers["location"]) == httpx.URL(link)
    sandbox.break_with({"fault": "redirect", "to": "http://example.com/x", "times": 1})
    assert files.get(link).headers["location"] == "http://example.com/x"
    assert files.get(link).status_code == 200


def test_a_token_is_revoked_after_its_calls_and_a_new_one_works(sandbox, api):
    sandbox.break_with({"fault": "revoke_token", "after_calls": 3, "times": 1})
    assert [api.get("/api/v2/recordings/quota").status_code for _ in range(6)] == [200] * 3 + [401] * 3
    form = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    api.headers["Authorization"] = f"Bearer {api.post('/oauth/token', data=form).json()['access_token']}"
    assert [api.get("/api/v2/recordings/quota").status_code for _ in range(6)] == [200] * 6


# The listing


def test_duplicates_begin_each_page_with_the_end_of_the_last_and_lose_nothing(sandbox, api):
    everything = [each["id"] for each in listing(api)]
    sandbox.break_with({"fault": "duplicates"})
    pages = []
    while page := [each["id"] for each in listing(api, pageSize=12, pageNumber=len(pages) + 1)]:
        pages.append(page)
    assert len(pages) == 5
    for before, page in pairwise(pages):
        assert page[:5] == before[-5:]
    assert list(dict.fromkeys(each for page in pages for each in page)) == everything


def test_late_recordings_appear_when_the_clock_has_moved_far_enough(sandbox, api):
    everything = listing(api)
    sandbox.break_with({"fault": "late", "share": 0.3, "hours": 24 * 365 * 50})
    early = listing(api)
    assert 0 < len(early) < len(everything)
    assert api.put("/_sandbox/clock", json={"offset_seconds": 86_400 * 366 * 50}).status_code == 200
    form = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    api.headers["Authorization"] = f"Bearer {api.post('/oauth/token', data=form).json()['access_token']}"
    assert listing(api) == everything


def test_neighbours_are_listed_although_created_on_another_day(sandbox, api):
    sandbox.break_with({"fault": "neighbours", "count": 2})
    entities = listing(api)
    days = [each["created_time"][:10] for each in entities]
    assert days == ["2026-11-19"] * 2 + ["2026-11-20"] * 40 + ["2026-11-21"] * 2
    assert api.get(f"/api/v2/media/{entities[-1]['id']}").status_code == 200


def test_hostile_ids_can_be_asked_for_when_they_are_encoded(sandbox, api, files):
    sandbox.break_with({"fault": "hostile_ids"})
    listed = {each["id"] for each in listing(api)}
    assert listed >= set(HOSTILE_IDS)
    assert len(listed) == 40
    for hostile in HOSTILE_IDS:
        encoded = "".join(f"%{byte:02X}" for byte in hostile.encode())
        connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc)
        connection.request("GET", f"/api/v2/media/{encoded}", headers={"Authorization": api.headers["Authorization"]})
        answer = connection.getresponse()
        assert answer.status == 200
        assert hostile in str(httpx.Response(200, content=answer.read()).json()["id"])
        connection.close()
        transcript = f"/api/v2/recordings/{quote(hostile, safe='')}/transcript"
        if hostile != "..":  # clients fold dots that are not encoded
            assert api.get(transcript).status_code in (200, 404, 403)
    link = fresh(api, quote("a/b", safe=""))
    assert files.get(link).status_code == 200


def test_hostile_names_replace_the_file_name(sandbox, api, ids):
    sandbox.break_with({"fault": "hostile_names"})
    names = {api.get(f"/api/v2/media/{id_}").json()["file_name"] for id_ in ids}
    assert len(names) > 3
    assert names <= set(HOSTILE_NAMES)


def test_a_malformed_entity_has_lost_its_id_until_the_fault_heals(sandbox, api):
    sandbox.break_with({"fault": "malformed", "times": 1})
    assert ["id" in each for each in listing(api, pageSize=10)] == [True] * 9 + [False]
    assert all("id" in each for each in listing(api, pageSize=10))


# Metadata


def test_a_wrong_md5_is_told_as_often_as_asked(sandbox, api, files, ids):
    sandbox.break_with({"fault": "wrong_md5", "times": 1})
    lie, honest = (api.get(f"/api/v2/media/{ids[0]}").json() for _ in range(2))
    body = files.get(honest["download_url"]).content
    assert lie["md5"] != honest["md5"] == hashlib.md5(body, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://169.254.169.254/latest", "http://example.com/x"])
def test_a_bad_url_is_given_by_both_operations(sandbox, api, ids, url):
    sandbox.break_with({"fault": "bad_url", "url": url})
    assert api.get(f"/api/v2/media/{ids[0]}").json()["download_url"] == url
    assert api.get(f"/api/v2/recordings/{ids[0]}/download").json()["download_url"] == url


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


# The rules


def test_faults_of_different_stages_compose_and_of_one_stage_the_first_wins(sandbox, fetch):
    whole = fetch().content
    sandbox.break_with(
        {"fault": "corrupt"},
        {"fault": "wrong_content_range", "shift": 3},
        {"fault": "wrong_content_range", "shift": 9},
        {"fault": "changed_etag"},
        {"fault": "slow_drip", "bytes_per_second": 1_000},
    )
    answer = fetch(Range="bytes=0-9")
    assert answer.headers["content-range"] == f"bytes 3-12/{len(whole)}"
    assert answer.headers["etag"] != fetch().headers["etag"]
    assert answer.content != whole[:10]


def test_a_share_hits_the_same_recordings_each_time_and_about_as_many_as_asked(sandbox, api, ids):
    def hit() -> list[str]:
        sandbox.break_with({"fault": "not_found", "share": 0.5})
        return [id_ for id_ in ids if api.get(f"/api/v2/media/{id_}").status_code == 404]

    first = hit()
    assert hit() == first
    assert 0.2 * len(ids) < len(first) < 0.8 * len(ids)


def test_a_glob_selects_recordings(sandbox, api, ids):
    sandbox.break_with({"fault": "not_found", "match": f"{ids[0][:8]}*"})
    assert [api.get(f"/api/v2/media/{id_}").status_code for id_ in ids[:2]] == [404, 200]


def test_rules_come_over_http_as_json_and_are_shown_with_their_hits(sandbox, api, ids):
    written = {"rules": [{"fault": "not_found", "on": ["media"], "times": 1}]}
    assert api.put("/_sandbox/rules", json=written).status_code == 200
    api.get(f"/api/v2/media/{ids[0]}")
    (shown,) = api.get("/_sandbox/rules").json()["rules"]
    assert (shown["fault"], shown["on"], shown["times"], shown["hits"]) == ("not_found", ["media"], 1, 1)
    api.put("/_sandbox/rules", json=written)
    assert api.get("/_sandbox/rules").json()["rules"][0]["hits"] == 0


def test_rules_come_from_a_toml_file(tmp_path):
    file = tmp_path / "rules.toml"
    file.write_text('[[rules]]\nfault = "rate_limit"\non = ["media", "link"]\nshare = 0.1\nwait = 3\n')
    rules = Rules(KINDS, seed=7)
    rules.load(file)
    assert [(rule.fault, rule.on, rule.params["wait"]) for rule in rules.active] == [
        ("rate_limit", ("media", "link"), 3)
    ]
    file.write_text("[[rules]\n")
    with pytest.raises(RuleError, match=r"rules\.toml"):
        rules.load(file)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"fault": "gremlins"}, "unknown fault 'gremlins'"),
        ({"fault": "corrupt", "on": "list"}, "on must be among file"),
        ({"fault": "rate_limit", "on": []}, "on must be among token"),
        ({"fault": "rate_limit", "until": 3}, "rate_limit has no parameter until"),
        ({"fault": "rate_limit", "wait": "long"}, "wait must be a int"),
        ({"fault": "rate_limit", "retry_after": "soon"}, "retry_after must be one of seconds"),
        ({"fault": "server_error", "code": 200}, "code must be one of 500"),
        ({"fault": "not_found", "share": 2}, "share is a number"),
        ({"fault": "not_found", "times": -1}, "times is a count"),
        ({"fault": "not_found", "ids": "one"}, "ids is a list"),
        ("corrupt", "a rule is a table"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_a_reason_and_changes_nothing(sandbox, api, rule, said):
    sandbox.break_with({"fault": "not_found"})
    answer = api.put("/_sandbox/rules", json={"rules": [{"fault": "corrupt"}, rule]})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"rule 2: {said}")
    assert [each.fault for each in sandbox.state.rules.active] == ["not_found"]
