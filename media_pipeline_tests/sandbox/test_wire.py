"""Token, listing, metadata and transcripts as the guide dialect has them."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

import httpx
import pytest

DAY = "start_time:2026-11-20T00:00:00Z end_time:2026-11-21T00:00:00Z"
ERROR_KEYS = {"message", "code", "status", "contextId"}


def listing(api: httpx.Client, query: str = DAY, **arguments) -> list[dict]:
    answer = api.get("/api/v2/recordings", params={"query": query, "pageSize": 200, **arguments})
    assert answer.status_code == 200, answer.text
    return answer.json()["entities"]


def truth(api: httpx.Client) -> list[dict]:
    return api.get("/_sandbox/truth", params={"date": "2026-11-20"}).json()


def of_kind(api: httpx.Client, kind: str) -> str:
    return next(each["id"] for each in truth(api) if each["kind"] == kind)


def test_a_token_is_given_to_the_client_by_form_and_by_basic(sandbox):
    url, grant = f"{sandbox.url}/oauth/token", {"grant_type": "client_credentials"}
    by_form = httpx.post(url, data={**grant, "client_id": "sandbox-client", "client_secret": "sandbox-secret"})
    by_basic = httpx.post(url, data=grant, auth=("sandbox-client", "sandbox-secret"))
    for answer in (by_form, by_basic):
        assert answer.status_code == 200
        assert answer.json()["expires_in"] == 86_400
        assert set(answer.json()) == {"access_token", "token_type", "expires_in"}


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic !!!"}, {"Authorization": "Basic " + base64.b64encode(b"a:b").decode()}]
)
def test_a_wrong_client_is_refused_in_oauth_and_genesys_words(sandbox, headers):
    answer = httpx.post(f"{sandbox.url}/oauth/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert answer.status_code == 401
    assert ERROR_KEYS | {"error", "description"} <= set(answer.json())
    assert answer.json()["error"] == "invalid_client"


def test_another_grant_is_refused(sandbox):
    assert httpx.post(f"{sandbox.url}/oauth/token", data={"grant_type": "password"}).status_code == 400


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer forged", "Bearer é", "Basic YTpi", "Bearer MS4yLjM"])
def test_the_api_asks_for_a_token_of_its_own(sandbox, authorization):
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    answer = httpx.get(f"{sandbox.url}/api/v2/recordings/quota", headers=headers)
    assert answer.status_code == 401
    assert set(answer.json()) >= ERROR_KEYS


def test_a_token_ends_with_its_time(sandbox, api):
    assert api.get("/api/v2/recordings/quota").status_code == 200
    sandbox.state.clock.offset_seconds = 86_401
    assert api.get("/api/v2/recordings/quota").status_code == 401


def test_pages_together_are_the_day_and_the_page_after_the_last_is_empty(api):
    pages = [listing(api, pageSize=15, pageNumber=number) for number in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [15, 15, 10, 0]
    assert [each["id"] for page in pages for each in page] == [each["id"] for each in truth(api)]


def test_an_entity_has_the_keys_of_the_dialect_and_no_conversation_where_there_is_none(api):
    entities = listing(api)
    required = {"id", "format", "media_type", "created_time", "duration_seconds", "status"}
    assert {frozenset(entity) - {"conversation_id"} for entity in entities} == {frozenset(required)}
    assert 0 < sum("conversation_id" not in entity for entity in entities) < 5
    assert all(entity["created_time"].startswith("2026-11-20T") for entity in entities)


def test_the_end_of_a_query_is_exclusive_and_its_start_is_not(api):
    exact = "start_time:2026-11-20T00:00:00.000Z end_time:2026-11-20T00:00:00.999Z"
    assert len(listing(api, exact)) == 1
    assert len(listing(api, exact.replace(".999Z", ".999500+00:00"))) == 2
    assert listing(api, "start_time:2026-11-23T00:00:00Z end_time:2026-11-24T00:00:00Z") == []


def test_a_query_filters_by_type_and_status(api):
    assert {each["media_type"] for each in listing(api, f"{DAY} type:chat")} == {"chat"}
    assert {each["status"] for each in listing(api, f"{DAY} status:complete")} == {"complete"}
    assert {each["status"] for each in listing(api)} == {"complete", "processing"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"pageSize": 201},
        {"pageSize": 0},
        {"pageSize": "many"},
        {"pageNumber": 0},
        {"query": "start_time:2026-11-20T00:00:00Z"},
        {"query": "start_time:yesterday end_time:today"},
        {"query": f"{DAY} agent:7"},
        {"query": ""},
    ],
)
def test_a_query_that_makes_no_sense_is_a_400(api, arguments):
    answer = api.get("/api/v2/recordings", params={"query": DAY, **arguments})
    assert answer.status_code == 400
    assert set(answer.json()) >= ERROR_KEYS


def test_metadata_names_the_size_and_md5_of_exactly_the_bytes_behind_the_link(api, files):
    records = {each["id"]: each for each in truth(api)}
    seen = 0
    for recording_id, record in records.items():
        media = api.get(f"/api/v2/media/{recording_id}").json()
        if record["kind"] in ("missing", "no_file", "processing"):
            continue
        body = files.get(media["download_url"])
        assert body.status_code == 200
        assert body.headers["content-type"] == media["content_type"] == record["content_type"]
        assert len(body.content) == media["file_size"] == record["size"]
        assert hashlib.md5(body.content, usedforsecurity=False).hexdigest() == media["md5"] == record["md5"]
        assert hashlib.sha256(body.content).hexdigest() == record["sha256"]
        seen += 1
    assert seen == 37


def test_tiny_wav_bodies_are_small_and_well_formed(api, files):
    url = api.get(f"/api/v2/media/{of_kind(api, 'ordinary')}").json()["download_url"]
    body = files.get(url).content
    assert 64 <= len(body) <= 200
    assert body[:4] == b"RIFF"
    assert int.from_bytes(body[4:8], "little") == len(body) - 8
    assert body[8:12] == b"WAVE"


@pytest.mark.parametrize("kind", ["processing", "no_file"])
def test_a_recording_without_a_file_has_metadata_and_a_null_link(api, kind):
    recording_id = of_kind(api, kind)
    media = api.get(f"/api/v2/media/{recording_id}").json()
    assert media["download_url"] is None
    assert media["md5"] is None
    assert api.get(f"/api/v2/recordings/{recording_id}/download").json() == {"download_url": None}


def test_an_empty_recording_has_a_link_to_no_bytes(api, files):
    media = api.get(f"/api/v2/media/{of_kind(api, 'empty')}").json()
    assert media["file_size"] == 0
    assert files.get(media["download_url"]).content == b""
    assert files.get(media["download_url"], headers={"Range": "bytes=0-"}).status_code == 416


@pytest.mark.parametrize("path", ["media/{}", "recordings/{}/download"])
def test_a_missing_recording_and_a_stranger_are_404(api, path):
    for recording_id in (of_kind(api, "missing"), "no-such-id", quote("../../etc/passwd", safe="")):
        answer = api.get("/api/v2/" + path.format(recording_id))
        assert answer.status_code == 404
        assert set(answer.json()) >= ERROR_KEYS


def test_transcripts_answer_as_the_truth_says(api):
    statuses = {"available": 200, "unavailable": 404, "forbidden": 403}
    for record in truth(api):
        answer = api.get(f"/api/v2/recordings/{record['id']}/transcript")
        assert answer.status_code == statuses[record["transcript"]]
        if answer.status_code == 200:
            assert len(answer.json()["segments"]) == record["transcript_segments"] > 0


def test_some_segments_name_no_speaker_and_some_no_confidence(api):
    available = [each["id"] for each in truth(api) if each["transcript"] == "available"]
    segments = [s for id_ in available for s in api.get(f"/api/v2/recordings/{id_}/transcript").json()["segments"]]
    for key in ("speaker", "confidence"):
        assert 0 < sum(key not in segment for segment in segments) < len(segments) / 4
    assert {segment.get("speaker") for segment in segments} == {"customer", "agent", None}


def test_the_quota_names_what_is_used_and_a_limit_that_can_be_lowered(sandbox, api):
    assert set(api.get("/api/v2/recordings/quota").json()) == {"storage_used_mb", "storage_limit_mb"}
    limit = sandbox.state.settings.storage_limit_mb
    api.put("/_sandbox/options", json={"storage_limit_mb": 100})
    assert api.get("/api/v2/recordings/quota").json()["storage_limit_mb"] == 100
    sandbox.state.settings.storage_limit_mb = limit


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/api/v2/users"), ("POST", "/api/v2/recordings")])
def test_what_is_not_an_operation_is_404(api, method, path):
    answer = api.request(method, path)
    assert answer.status_code == 404
    assert set(answer.json()) >= ERROR_KEYS
