"""Faults of replies: limits, errors, tokens, listings and links, and how each heals."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.client
from email.utils import parsedate_to_datetime
from itertools import pairwise
from urllib.parse import quote, urlsplit

import httpx
import pytest

from media_pipeline.sandbox.fault_kinds import HOSTILE_NAMES
from media_pipeline.sandbox.listing import HOSTILE_IDS
from media_pipeline_tests.sandbox.faults.conftest import DAY, fresh, listing

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
