"""What clients of the guide dialect send and change: effects, refusals, and what is left when a reply is lost."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest

from media_pipeline.sandbox.audio import Codec, encode
from media_pipeline.sandbox.messaging.contents import content_type_of
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline_tests.sandbox.conftest import logged_in
from media_pipeline_tests.sandbox.messaging.conftest import moved, planted

UPLOAD = "/api/v2/media/attachments/upload"
MESSAGES = "/api/v2/conversations/messages"


def spoken(codec: Codec) -> bytes:
    """A second of a tone."""
    import numpy as np

    tone = (np.sin(np.arange(8_000) * 0.2) * 8_000).astype(np.int16).reshape(-1, 1)
    return encode(tone, codec)


_CODECS: tuple[Codec, ...] = ("wav", "mp3", "ogg")
VOICE = {codec: spoken(codec) for codec in _CODECS}


@pytest.fixture
def conversation_id(admin: httpx.Client) -> str:
    return admin.post("/messaging/conversations", json={}).json()["conversation_id"]


def uploaded(api: httpx.Client, data: bytes = VOICE["wav"], name: str = "voice.wav") -> dict[str, str]:
    answer = api.post(UPLOAD, params={"filename": name}, content=data, headers={"Content-Type": "audio/wav"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def message(conversation_id: str, medium: dict[str, str], **more: Any) -> dict[str, Any]:
    media = {"media_id": medium["mediaId"], "media_url": medium["mediaUrl"], "media_type": "audio/wav", **more}
    return {"conversation_id": conversation_id, "messages": [{"sender_id": "guest-1", "media": [media]}]}


def test_audio_is_known_by_its_content(api):
    types = {name: content_type_of(data) for name, data in VOICE.items()}
    assert types == {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg"}
    assert content_type_of(VOICE["mp3"][VOICE["mp3"].index(b"\xff") :]) == "audio/mpeg"
    for data in VOICE.values():
        assert uploaded(api, data).keys() == {"mediaId", "mediaUrl"}
    for data in (b"", b"RIFF0000AVI ", b"\x89PNG\r\n\x1a\n", b"<html>", b"\xff\xfe\xff\xff"):
        answer = api.post(UPLOAD, content=data, headers={"Content-Type": "audio/wav"})
        assert (answer.status_code, answer.json()["code"]) == (400, "unsupported.media.type")


def test_a_medium_is_read_behind_its_url_for_15_minutes(sandbox, api, files):
    made = uploaded(api)
    assert files.get(made["mediaUrl"]).content == VOICE["wav"]
    moved(sandbox, minutes=14)
    assert files.get(made["mediaUrl"]).status_code == 200
    moved(sandbox, minutes=1, seconds=1)
    assert files.get(made["mediaUrl"]).status_code == 403


def test_a_message_reaches_the_guest_exactly_as_often_as_it_was_sent(api, admin, conversation_id):
    made = uploaded(api)
    body = message(conversation_id, made, transcript="Voice message")
    ids = [api.post(MESSAGES, json=body).json()["messages"][0]["message_id"] for _ in range(2)]
    assert len(set(ids)) == 2
    received = admin.get("/messaging/guest").json()
    assert [each["message_id"] for each in received] == ids
    assert {each["conversation_id"] for each in received} == {conversation_id}
    (medium,) = received[0]["media"]
    assert medium == {
        "media_id": made["mediaId"],
        "content_type": "audio/wav",
        "size": len(VOICE["wav"]),
        "sha256": hashlib.sha256(VOICE["wav"]).hexdigest(),
        "transcript": "Voice message",
    }
    assert received[0]["sender_id"] == "guest-1"
    shown = api.get(f"{MESSAGES}/{conversation_id}/messages/{ids[0]}").json()
    assert shown["normalizedMessage"]["content"][0]["attachment"]["id"] == made["mediaId"]
    assert shown["direction"] == "outbound"


def test_a_message_whose_reply_is_lost_was_sent_all_the_same(sandbox, api, admin, conversation_id):
    body = message(conversation_id, uploaded(api))
    sandbox.break_with({"fault": "reset", "on": "message_send", "headers": False, "times": 1})
    with pytest.raises(httpx.HTTPError):
        api.post(MESSAGES, json=body)
    assert len(admin.get("/messaging/guest").json()) == 1
    writes = [each["operation"] for each in admin.get("/messaging/writes").json()]
    assert writes == ["attachment_upload", "message_send"]
    assert api.post(MESSAGES, json=body).status_code == 200
    assert len(admin.get("/messaging/guest").json()) == 2


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"fault": "rate_limit", "wait": 5}, 429),
        ({"fault": "server_error", "code": 500}, 500),
        ({"fault": "forbidden"}, 403),
    ],
)
def test_a_message_that_was_refused_was_not_sent(sandbox, api, admin, conversation_id, fault, status):
    body = message(conversation_id, uploaded(api))
    sandbox.break_with({**fault, "on": "message_send", "ids": [conversation_id], "times": 1})
    answer = api.post(MESSAGES, json=body)
    assert answer.status_code == status
    assert status != 429 or answer.headers["retry-after"] == "5"
    assert admin.get("/messaging/guest").json() == []
    assert api.post(MESSAGES, json=body).status_code == 200


def test_a_message_with_an_expired_foreign_or_deleted_medium_is_refused_whole(sandbox, api, admin, conversation_id):
    good, other = uploaded(api), uploaded(api)
    forged = {**good, "mediaUrl": good["mediaUrl"].replace("X-Amz-Signature=", "X-Amz-Signature=0")}
    for medium in ({**good, "mediaId": other["mediaId"]}, {**good, "mediaId": "none"}, forged):
        body = message(conversation_id, medium)
        body["messages"].insert(0, message(conversation_id, good)["messages"][0])
        assert api.post(MESSAGES, json=body).status_code == 400
    assert api.delete(f"/api/v2/media/attachments/{other['mediaId']}").status_code == 204
    assert api.post(MESSAGES, json=message(conversation_id, other)).status_code == 400
    moved(sandbox, minutes=15, seconds=1)
    assert api.post(MESSAGES, json=message(conversation_id, good)).status_code == 400
    assert admin.get("/messaging/guest").json() == []


def test_a_message_is_refused_for_its_size_its_conversation_and_a_missing_permission(api, admin, conversation_id):
    made = uploaded(api)
    too_large = message(conversation_id, made, transcript="x" * 2_000_000)
    assert api.post(MESSAGES, json=too_large).status_code == 413
    just = message(conversation_id, made, transcript="x" * 1_990_000)
    assert api.post(MESSAGES, json=just).status_code == 200
    assert api.post(MESSAGES, json=message("nobody", made)).status_code == 404
    for body in ({}, {"conversation_id": conversation_id, "messages": []}, [1]):
        assert api.post(MESSAGES, json=body).status_code == 400
    lacks = ["conversation:message:create", "conversation:webmessaging:create"]
    admin.put("/permissions", json={"lacks": lacks})
    refused = api.post(MESSAGES, json=message(conversation_id, made))
    assert refused.status_code == 403
    assert lacks[0] in refused.json()["message"]


def test_context_is_what_was_written_last(api, admin):
    made = planted(admin)
    path = f"/api/v2/conversations/{made['conversation_id']}/context"
    for context in ({"media_processed": True, "file_size": 1}, {"sha256_checksum": "ab"}):
        assert api.put(path, json={"context": context}).status_code == 200
    found = {each["conversation_id"]: each for each in admin.get("/messaging/conversations").json()}
    assert found[made["conversation_id"]]["context"] == {"sha256_checksum": "ab"}
    assert api.put("/api/v2/conversations/nobody/context", json={"context": {}}).status_code == 404
    assert api.put(path, json={"context": "text"}).status_code == 400
    writes = admin.get("/messaging/writes").json()
    assert [each["status"] for each in writes] == [200, 200, 404, 400]
    assert [each["at"] for each in writes] == sorted(each["at"] for each in writes)
    assert writes[0]["body"] == {"context": {"media_processed": True, "file_size": 1}}


def test_an_attachment_is_deleted_once_and_gone_after(api, files):
    made = uploaded(api)
    path = f"/api/v2/media/attachments/{made['mediaId']}"
    assert [api.delete(path).status_code for _ in range(2)] == [204, 404]
    assert files.get(made["mediaUrl"]).status_code == 404
    assert api.delete("/api/v2/media/attachments/none").status_code == 404


def test_retention_ends_a_medium_after_its_minutes(sandbox, api, admin):
    made = uploaded(api)
    path = f"/api/v2/media/recordings/{made['mediaId']}/retention"
    for wrong in ("15", "15 m", "0m", "-1m", "15min", "P15M", 15, None):
        assert api.post(path, json={"retention": {"duration": wrong}}).status_code == 400
    assert api.post(path, json={"retention": {"duration": "15m"}}).status_code == 200
    moved(sandbox, minutes=14)
    assert [each["gone"] for each in admin.get("/messaging/media").json()] == [False]
    moved(sandbox, minutes=1)
    assert [each["gone"] for each in admin.get("/messaging/media").json()] == [True]
    assert api.delete(f"/api/v2/media/attachments/{made['mediaId']}").status_code == 404
    assert api.post(path, json={"retention": {"duration": "15m"}}).status_code == 404


def test_retention_of_a_recording_is_its_date_of_deletion_in_both_dialects(sandbox, api, truth):
    record = next(each for each in truth if each["kind"] == "ordinary")
    path = f"/api/v2/media/recordings/{record['id']}/retention"
    assert api.post(path, json={"retention": {"duration": "60m"}}).status_code == 200
    one = f"/api/v2/conversations/{record['platform']['conversation_id']}/recordingmetadata/{record['id']}"
    assert api.get(one).json()["deleteDate"].startswith("2026-11-21T13:00")
    moved(sandbox, minutes=60)
    assert api.get(one).json()["fileState"] == "DELETED"
    assert api.get(f"/api/v2/media/{record['id']}").status_code == 404


def test_a_sandbox_that_speaks_logs_the_writes_of_both_dialects_too():
    with running(SandboxOptions(port=0, per_day=1, days=1)) as speaking, logged_in(speaking.url) as api:
        admin = f"{speaking.url}/_sandbox/messaging"
        made = httpx.post(f"{admin}/conversations", json={}).json()
        sending = f"{MESSAGES}/{made['conversation_id']}/communications/{made['communication_id']}/messages"
        assert api.post(sending, json={"textBody": "Hello"}).status_code == 200
        assert api.put(f"/api/v2/conversations/{made['conversation_id']}/context", json={"context": {}}).is_success
        logged = [each["operation"] for each in httpx.get(f"{admin}/writes").json()]
        assert logged == ["message_create", "context"]
