"""What analytics, content types and file states mean in our words."""

import pytest

from media_pipeline.genesys.permissions import FEATURES, named_in, needed_for
from media_pipeline.genesys.platform_facts import conversation_of, file_state_of, format_of, media_type_of


def session(session_id, **more):
    return {"sessionId": session_id, "mediaType": "voice"} | more


def test_a_conversations_facts_are_collected_from_its_participants():
    entry = {
        "conversationId": "c",
        "conversationStart": "2026-11-20T23:59:59.999+01:00",
        "participants": [
            {"purpose": "customer", "sessions": [session("plain"), session("recorded", recording=True)]},
            {"purpose": "agent", "userId": "z", "sessions": [session("a", segments=[{"queueId": "q2"}, {}])]},
            {"purpose": "agent", "userId": "b", "sessions": [session("b", segments=[{"queueId": "q1"}])]},
            {"purpose": "agent", "userId": "b", "sessions": None},
            "not a participant",
        ],
    }
    found = conversation_of(entry)
    assert found.started_at.isoformat() == "2026-11-20T22:59:59.999000+00:00"
    assert found.communication_ids == ("recorded", "plain")
    assert (found.agent_ids, found.queue_ids) == (("b", "z"), ("q1", "q2"))
    assert found.media_type == "call"


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {"conversationId": "c"},
        {"conversationId": "c", "conversationStart": "soon"},
        {"conversationStart": "2026-11-20"},
    ],
)
def test_an_entry_without_id_or_start_is_no_conversation(entry):
    assert conversation_of(entry) is None


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("audio/wav", "wav"),
        ("audio/WAV; charset=binary", "wav"),
        ("audio/mpeg", "mp3"),
        ("audio/ogg", "ogg"),
        ("audio/ogg; codecs=opus", "opus"),
        ("video/mp4", "mp4"),
        ("audio/x-something", "something"),
        ("audio/../../etc", None),
        ("application/octet-stream", None),
        ("", None),
        (None, None),
    ],
)
def test_formats_follow_from_content_types(content_type, expected):
    assert format_of(content_type) == expected


def test_media_types_follow_from_the_file_else_from_the_session():
    assert media_type_of("voice", "video/mp4") == "screen"
    assert media_type_of("chat", "audio/wav") == "call"
    assert media_type_of("chat", "application/json") == "chat"
    assert media_type_of("audio") == media_type_of("voice") == "call"
    assert media_type_of("screenshare") == "screen"
    assert media_type_of(None) is None


def test_an_unknown_state_may_still_come_and_an_available_one_should_have_come():
    assert file_state_of("SOMETHING_NEW") == file_state_of(None) == "pending"
    assert file_state_of("AVAILABLE") == file_state_of("RESTORED") == "undelivered"
    assert file_state_of("ERROR") == "error"


def test_permissions_are_read_out_of_a_refusal_or_looked_up():
    said = "You are missing the following permission(s): recording:recording:view, a:b:*"
    assert named_in(said) == "recording:recording:view or a:b:*"
    assert named_in("2026-11-20T10:00:00 no permission") == ""
    assert needed_for("query") == "analytics:conversationDetail:view"
    assert needed_for("usage") == needed_for("anything") == "none"
    assert all(feature.without for feature in FEATURES)
