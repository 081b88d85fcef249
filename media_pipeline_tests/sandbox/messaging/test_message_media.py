"""Media in the published API: announced, put, polled and sent; and dates of recordings, which holds outlive."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx
import pytest

from media_pipeline.sandbox.messaging.samples import png
from media_pipeline_tests.sandbox.messaging.conftest import moved, planted
from media_pipeline_tests.sandbox.messaging.test_outbound import VOICE

MESSAGES = "/api/v2/conversations/messages"
PICTURE = png(1)


@pytest.fixture
def made(admin: httpx.Client) -> dict[str, Any]:
    return admin.post("/messaging/conversations", json={}).json()


def sending(made: dict[str, Any]) -> str:
    return f"{MESSAGES}/{made['conversation_id']}/communications/{made['communication_id']}/messages"


def announced(api: httpx.Client, made: dict[str, Any], data: bytes, name: str = "photo.png") -> dict[str, Any]:
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    body = {"fileName": name, "contentLengthBytes": len(data), "contentMd5": md5}
    answer = api.post(f"{sending(made)}/media/uploads", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def valid(api: httpx.Client, files: httpx.Client, made: dict[str, Any], data: bytes, name: str) -> str:
    medium = announced(api, made, data, name)
    assert files.put(medium["uploadUrl"], headers=medium["uploadHeaders"], content=data).status_code == 200
    states = [api.get(f"{sending(made)}/media/{medium['id']}").json()["status"] for _ in range(2)]
    assert states == ["uploading", "valid"]
    return medium["id"]


def test_a_picture_is_put_becomes_valid_and_reaches_the_guest(api, admin, files, made):
    id_ = valid(api, files, made, PICTURE, "photo.png")
    medium = api.get(f"{sending(made)}/media/{id_}").json()
    assert (medium["mediaType"], medium["contentLengthBytes"]) == ("image/png", len(PICTURE))
    assert files.get(medium["url"]).content == PICTURE
    written = [(each["operation"], each["status"]) for each in admin.get("/messaging/writes").json()]
    assert written == [("message_media_upload", 200), ("media_put", 200)]
    answer = api.post(sending(made), json={"mediaIds": [id_]})
    assert answer.status_code == 200
    (received,) = admin.get("/messaging/guest").json()
    assert received["message_id"] == answer.json()["id"]
    assert received["media"][0]["sha256"] == hashlib.sha256(PICTURE).hexdigest()
    found = api.get(f"{MESSAGES}/{made['conversation_id']}").json()
    agent = next(each for each in found["participants"] if each["purpose"] == "agent")
    assert agent["messages"][0]["media"][0]["id"] == id_


def test_what_is_put_is_what_was_announced_with_all_its_headers(sandbox, api, files, made):
    medium = announced(api, made, PICTURE)
    url, headers = medium["uploadUrl"], medium["uploadHeaders"]
    for name in headers:
        left = {key: value for key, value in headers.items() if key != name}
        assert files.put(url, headers=left, content=PICTURE).status_code == 403
    assert files.put(url, headers=headers, content=PICTURE + b"!").status_code == 400
    assert b"BadDigest" in files.put(url, headers=headers, content=b"other").content
    assert api.put(url, headers=headers, content=PICTURE).status_code == 400, "a token beside the signature"
    moved(sandbox, seconds=601)
    assert b"expired" in files.put(url, headers=headers, content=PICTURE).content
    assert api.get(f"{sending(made)}/media/{medium['id']}").json()["status"] == "uploading"


def test_audio_goes_out_only_where_the_content_profile_lets_it(sandbox, api, admin, files, made):
    id_ = valid(api, files, made, VOICE["mp3"], "voice.mp3")
    refused = api.post(sending(made), json={"mediaIds": [id_]})
    assert (refused.status_code, refused.json()["code"]) == (400, "unsupported.media.type")
    assert "supported content profile" in refused.json()["message"]
    assert admin.get("/messaging/guest").json() == []
    admin.put("/options", json={"outbound_audio": 1})
    assert api.post(sending(made), json={"mediaIds": [id_]}).status_code == 200


def test_a_medium_that_is_not_valid_cannot_be_sent(sandbox, api, files, made):
    junk = announced(api, made, b"MZ junk", "photo.png")
    files.put(junk["uploadUrl"], headers=junk["uploadHeaders"], content=b"MZ junk")
    states = [api.get(f"{sending(made)}/media/{junk['id']}").json()["status"] for _ in range(3)]
    assert states == ["uploading", "invalid", "invalid"]
    waiting = announced(api, made, PICTURE)
    for id_ in (junk["id"], waiting["id"], "none"):
        assert api.post(sending(made), json={"mediaIds": [id_]}).status_code == 400
    sandbox.break_with({"fault": "media_state", "state": "invalid"})
    files.put(waiting["uploadUrl"], headers=waiting["uploadHeaders"], content=PICTURE)
    assert api.get(f"{sending(made)}/media/{waiting['id']}").json()["status"] == "invalid"


def test_media_are_listed_by_status_and_page(api, files, made):
    ids = [announced(api, made, PICTURE)["id"] for _ in range(3)] + [valid(api, files, made, PICTURE, "a.png")]
    page = api.get(f"{sending(made)}/media", params={"pageSize": 2, "pageNumber": 2}).json()
    assert [each["id"] for each in page["entities"]] == ids[2:]
    found = api.get(f"{sending(made)}/media", params={"status": "valid"}).json()
    assert ([each["id"] for each in found["entities"]], found["total"]) == (ids[3:], 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"textBody": "a", "mediaIds": ["b"]},
        {"textBody": "x" * 2_001},
        {"textBody": 1},
        {"mediaIds": "a"},
        {"messagingTemplate": {"responseId": "a"}},
        {"colour": "red"},
    ],
)
def test_a_message_is_text_or_media_and_nothing_else(api, admin, made, body):
    assert api.post(sending(made), json=body).status_code == 400
    assert admin.get("/messaging/guest").json() == []
    assert api.post(sending(made), json={"textBody": "x" * 2_000}).status_code == 200


@pytest.mark.parametrize("name", ["", ".hidden", "a b.png", "folder/", "a[1].png", "tab\t.png"])
def test_a_file_name_the_api_does_not_take_is_refused(api, made, name):
    body = {"fileName": name, "contentLengthBytes": 1, "contentMd5": "0" * 32}
    assert api.post(f"{sending(made)}/media/uploads", json=body).status_code == 400


@pytest.mark.parametrize(
    "change", [{"contentLengthBytes": 0}, {"contentLengthBytes": 25_000_001}, {"contentMd5": "ab"}]
)
def test_a_size_or_hash_the_api_does_not_take_is_refused(api, made, change):
    body = {"fileName": "a.png", "contentLengthBytes": 1, "contentMd5": "0" * 32} | change
    assert api.post(f"{sending(made)}/media/uploads", json=body).status_code == 400


def test_nobody_sends_for_the_customer_or_in_another_conversation(api, admin, made):
    guest = f"{MESSAGES}/{made['conversation_id']}/communications/{made['guest_communication_id']}/messages"
    assert api.post(guest, json={"textBody": "a"}).status_code == 400
    other = admin.post("/messaging/conversations", json={}).json()
    mixed = f"{MESSAGES}/{made['conversation_id']}/communications/{other['communication_id']}/messages"
    assert api.post(mixed, json={"textBody": "a"}).status_code == 404
    assert api.post(sending({**made, "conversation_id": "no"}), json={"textBody": "a"}).status_code == 404


def test_each_call_has_its_permissions(api, admin, made, truth):
    record = truth[3]
    recording = f"/api/v2/conversations/{record['platform']['conversation_id']}/recordings/{record['id']}"
    held = admin.get("/permissions").json()["held"]
    for method, path, body, entity in (
        ("POST", sending(made), {"textBody": "a"}, "essage"),
        ("POST", f"{sending(made)}/media/uploads", {}, "ia:create"),
        ("GET", f"{sending(made)}/media/x", None, "view"),
        ("GET", f"{sending(made)}/media", None, "messageMedia"),
        ("PUT", recording, {}, "recording:"),
    ):
        admin.put("/permissions", json={"lacks": []})
        assert api.request(method, path, json=body).status_code != 403
        lacks = [each for each in held if entity in each or "essag" in each]
        admin.put("/permissions", json={"lacks": lacks})
        refused = api.request(method, path, json=body)
        assert (refused.status_code, refused.json()["code"][:8]) == (403, "missing."), path


def test_attributes_of_a_participant_are_merged_and_seen_in_the_conversation(api, admin, truth):
    made = planted(admin)
    recorded = truth[3]["platform"]["conversation_id"]
    for conversation_id in (made["conversation_id"], recorded):
        whole = f"/api/v2/conversations/{conversation_id}"
        person = api.get(whole).json()["participants"][0]["id"]
        for attributes in ({"sha256": "ab", "case": "1"}, {"case": "2"}):
            answer = api.patch(f"{whole}/participants/{person}/attributes", json={"attributes": attributes})
            assert (answer.status_code, answer.content) == (202, b"")
        assert api.get(whole).json()["participants"][0]["attributes"] == {"sha256": "ab", "case": "2"}
        wrong = api.patch(f"{whole}/participants/{person}/attributes", json={"attributes": {"a": 1}})
        assert wrong.status_code == 400
        assert api.patch(f"{whole}/participants/nobody/attributes", json={"attributes": {}}).status_code == 404


def test_a_recording_is_deleted_at_its_date_unless_its_conversation_is_protected(sandbox, api, truth):
    record = next(e for e in truth if e["kind"] == "ordinary" and not e["platform"]["sensitive"])
    conversation_id = record["platform"]["conversation_id"]
    path = f"/api/v2/conversations/{conversation_id}/recordings/{record['id']}"
    metadata = path.replace("/recordings/", "/recordingmetadata/")
    answer = api.put(path, json={"deleteDate": "2026-11-21T12:30:00Z"})
    assert (answer.status_code, answer.json()["deleteDate"]) == (200, "2026-11-21T12:30:00.000Z")
    assert api.put(path, json={"deleteDate": "soon"}).status_code == 400
    assert api.put(path, json={"fileState": "RESTORED"}).status_code == 400
    hold = {"conversationIds": [conversation_id]}
    api.put("/api/v2/recordings/deletionprotection", params={"protect": "true"}, json=hold)
    moved(sandbox, minutes=31)
    assert api.get(metadata).json()["fileState"] == "AVAILABLE"
    api.put("/api/v2/recordings/deletionprotection", params={"protect": "false"}, json=hold)
    assert api.get(metadata).json()["fileState"] == "DELETED"
    assert api.put(path.replace(record["id"], "none"), json={}).status_code == 404
