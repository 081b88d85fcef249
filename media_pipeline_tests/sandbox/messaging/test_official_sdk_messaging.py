"""The official SDK speaks messaging with the sandbox: M1 to M5, W1, D1 and D4, looked at as parsed values."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from typing import Any, get_args

import httpx
import pytest

from media_pipeline.sandbox.messaging.samples import png
from media_pipeline.sandbox.wire import S3_OPERATIONS, PlatformMessagingOperation
from media_pipeline_tests.sandbox.messaging.conftest import NOON, moved, planted
from media_pipeline_tests.sandbox.messaging.test_outbound import VOICE
from media_pipeline_tests.sandbox.test_official_sdk import DAY, OUTDATED

PICTURE = png(3)


@pytest.fixture
def conversations(sdk, client) -> Any:
    return sdk.ConversationsApi(client)


def uploaded(sdk, conversations, files, made: dict[str, str], data: bytes, name: str) -> str:
    ids = (made["conversation_id"], made["communication_id"])
    body = sdk.UploadMediaRequest()
    body.file_name, body.content_length_bytes = name, len(data)
    body.content_md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    medium = conversations.post_conversations_message_communication_messages_media_uploads(*ids, body)
    assert files.put(medium.upload_url, headers=medium.upload_headers, content=data).status_code == 200
    state_of = conversations.get_conversations_message_communication_messages_media_media_id
    assert [state_of(*ids, medium.id).status for _ in range(2)] == ["uploading", "valid"]
    listed = conversations.get_conversations_message_communication_messages_media(*ids, status="valid")
    assert medium.id in {each.id for each in listed.entities}
    return medium.id


def test_message_conversations_of_a_day_are_found_by_query_and_by_job(sdk, client, admin):
    mine = [each for each in admin.get("/messaging/conversations").json() if each["start"].startswith("2026-11-20")]
    analytics = sdk.AnalyticsApi(client)
    predicates = [{"type": "dimension", "dimension": "mediaType", "operator": "matches", "value": "message"}]
    query = {"interval": DAY, "segmentFilters": [{"type": "and", "predicates": predicates}]}
    page = analytics.post_analytics_conversations_details_query(query | {"paging": {"pageSize": 100, "pageNumber": 1}})
    job = analytics.post_analytics_conversations_details_jobs(query)
    for _ in range(2):
        analytics.get_analytics_conversations_details_job(job.job_id)
    results = analytics.get_analytics_conversations_details_job_results(job.job_id)
    for found in (page.conversations, results.conversations):
        by_id = {each.conversation_id: each for each in found}
        for true in mine:
            people = {each.purpose: each for each in by_id[true["conversation_id"]].participants}
            assert people["agent"].participant_id == true["agent_participant_id"]
            session = people["agent"].sessions[0]
            assert (session.session_id, session.media_type) == (true["communication_id"], "message")
            assert session.message_type == "webmessaging"


def test_a_guest_file_is_found_through_its_conversation_and_message(sdk, conversations, admin, files):
    made = planted(admin, data=PICTURE, name="photo.png")
    found = conversations.get_conversations_message(made["conversation_id"])
    guest = next(each for each in found.participants if each.purpose == "customer")
    (said,) = guest.messages
    assert (said.message_id, said.message_status) == (made["message_id"], "received")
    assert [(each.id, each.name, each.content_length_bytes) for each in said.media] == [
        (made["file_id"], "photo.png", len(PICTURE))
    ]
    ids = (made["conversation_id"], said.message_id)
    one = conversations.get_conversations_message_message(*ids)
    (several,) = conversations.post_conversations_message_messages_bulk(ids[0], body=[ids[1]]).entities
    for message in (one, several):
        assert OUTDATED not in (message.direction, message.messenger_type, message.status)
        assert OUTDATED not in (message.normalized_message.type, message.normalized_message.direction)
        assert message.timestamp.replace(tzinfo=dt.UTC) - NOON < dt.timedelta(minutes=1)
        (content,) = message.normalized_message.content
        attachment = content.attachment
        assert (attachment.id, attachment.media_type, attachment.mime) == (made["file_id"], "Image", "image/png")
        assert (attachment.filename, attachment.content_size_bytes) == ("photo.png", len(PICTURE))
        assert attachment.sha256 == hashlib.sha256(files.get(attachment.url).content).hexdigest()


def test_the_sessions_of_a_conversation_are_those_media_are_sent_in(sdk, conversations, admin):
    made = admin.post("/messaging/conversations", json={}).json()
    found = conversations.get_conversation(made["conversation_id"])
    sessions = {each.purpose: [session.id for session in each.messages] for each in found.participants}
    assert sessions == {"customer": [made["guest_communication_id"]], "agent": [made["communication_id"]]}
    assert {session.state for each in found.participants for session in each.messages} == {"connected"}


def test_a_voice_message_is_uploaded_sent_and_followed_by_its_text(sdk, conversations, admin, files):
    made = admin.post("/messaging/conversations", json={}).json()
    ids = (made["conversation_id"], made["communication_id"])
    medium = uploaded(sdk, conversations, files, made, VOICE["ogg"], "voice.ogg")
    body = sdk.AdditionalMessage()
    body.media_ids = [medium]
    with pytest.raises(sdk.rest.ApiException) as refused:
        conversations.post_conversations_message_communication_messages(*ids, body)
    assert refused.value.status == 400
    admin.put("/options", json={"outbound_audio": 1})
    sent = [conversations.post_conversations_message_communication_messages(*ids, body)]
    text = sdk.AdditionalMessage()
    text.text_body = "Voice message from guest"
    sent.append(conversations.post_conversations_message_communication_messages(*ids, text))
    assert [each.direction for each in sent] == ["outbound", "outbound"]
    assert sent[0].normalized_message.content[0].attachment.media_type == "Audio"
    assert sent[1].normalized_message.text == "Voice message from guest"
    assert [each["message_id"] for each in admin.get("/messaging/guest").json()] == [each.id for each in sent]


def test_attributes_are_merged_and_seen_in_the_conversation(sdk, client, conversations, admin):
    made = planted(admin)
    ids = (made["conversation_id"], made["guest_participant_id"])
    for attributes in ({"sha256_checksum": "ab", "file_size": "1"}, {"file_size": "2"}):
        body = sdk.ParticipantAttributes()
        body.attributes = attributes
        assert conversations.patch_conversation_participant_attributes(*ids, body) is None
        assert client.last_response.status == 202
    guest = conversations.get_conversation(ids[0]).participants[0]
    assert (guest.id, guest.attributes) == (ids[1], {"sha256_checksum": "ab", "file_size": "2"})


def test_a_recordings_date_of_deletion_is_set_and_a_hold_outlives_it(sdk, client, sandbox, truth):
    record = next(e for e in truth if e["kind"] == "ordinary" and not e["platform"]["sensitive"])
    ids = (record["platform"]["conversation_id"], record["id"])
    api, body = sdk.RecordingApi(client), sdk.Recording()
    body.delete_date = NOON + dt.timedelta(hours=1)
    assert api.put_conversation_recording(*ids, body).delete_date == body.delete_date
    metadata = api.get_conversation_recordingmetadata_recording_id
    assert metadata(*ids).delete_date == body.delete_date
    hold = sdk.ConversationDeletionProtectionQuery()
    hold.conversation_ids = [ids[0]]
    api.put_recordings_deletionprotection(protect=True, body=hold)
    assert [each.id for each in api.post_recordings_deletionprotection(hold)] == [ids[0]]
    moved(sandbox, hours=2)
    assert metadata(*ids).file_state == "AVAILABLE"
    api.put_recordings_deletionprotection(protect=False, body=hold)
    assert metadata(*ids).file_state == "DELETED"


def test_the_sdk_reaches_every_published_messaging_operation(sdk, client, conversations, sandbox, admin, files, truth):
    made = planted(admin)
    ids = (made["conversation_id"], made["communication_id"])
    conversations.get_conversations_message(ids[0])
    conversations.get_conversations_message_message(ids[0], made["message_id"])
    medium = uploaded(sdk, conversations, files, made, PICTURE, "a.png")
    conversations.post_conversations_message_communication_messages(*ids, {"mediaIds": [medium]})
    participant = conversations.get_conversation(ids[0]).participants[0].id
    conversations.patch_conversation_participant_attributes(ids[0], participant, {"attributes": {"a": "b"}})
    sdk.RecordingApi(client).put_conversation_recording(truth[3]["platform"]["conversation_id"], truth[3]["id"], {})
    counted = httpx.get(f"{sandbox.url}/_sandbox/stats").json()["requests"]
    assert {*get_args(PlatformMessagingOperation)} - {*S3_OPERATIONS} | {"media_put"} <= set(counted)
    assert all(status < "300" for statuses in counted.values() for status in statuses)
