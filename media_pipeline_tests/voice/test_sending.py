"""A voice message on its way to a guest: what goes wrong, and that nobody hears it twice."""

from __future__ import annotations

import datetime as dt
import hashlib
import json

import pytest

from media_pipeline.messaging import voice_run
from media_pipeline.messaging.retention_days import Days
from media_pipeline.messaging.voice_settling import Unsettleable, send_again, settle_as_sent
from media_pipeline_tests import voices
from media_pipeline_tests.messaging_org import Guests, today


def _sha(audio: bytes) -> str:
    return hashlib.sha256(audio).hexdigest()


def _events(desk):
    found = []
    for path in desk.tables.store.sizes(f"audit/date={today()}/"):
        with desk.tables.store.open(path) as file:
            found += [json.loads(line) for line in file.read().splitlines()]
    return found


def test_a_message_reaches_its_guest_and_leaves_the_inbox(desk):
    audio = voices.mp3(0.5)
    key = desk.put(audio, "mp3", transcript="Hello there")
    row = desk.sent()[key]
    assert (row["status"], row["reason"], row["content_type"]) == ("sent", None, "audio/mpeg")
    assert row["sha256"] == _sha(audio)
    assert 480 <= row["duration_ms"] <= 560
    if desk.settings.dialect == "guide":
        assert desk.heard == [_sha(audio)]
    else:
        assert desk.heard == [_sha(audio), "Hello there"]
        assert row["transcript_message_id"]
    assert [path.name for path in desk.inbox.folder.iterdir() if path.is_file()] == []
    assert desk.tables.store.sizes("voice/") == {}


def test_without_the_switch_nothing_is_asked_and_the_message_stays(desk):
    key = desk.put()
    row = desk.sent(allow_write_back=False)[key]
    assert (row["status"], row["reason"]) == ("would_send", "switched_off")
    assert desk.writes == []
    assert desk.inbox.depth() == 1
    assert desk.sent()[key]["status"] == "sent"


def test_a_lost_reply_is_in_doubt_where_nobody_can_be_asked(guide):
    guide.sandbox.break_with({"fault": "reset", "on": ["message_send"], "headers": False})
    key = guide.put()
    row = guide.sent()[key]
    assert (row["status"], row["reason"]) == ("in_doubt", "unconfirmed")
    guide.sandbox.break_with()
    assert guide.sent()[key]["status"] == "in_doubt"
    assert len(guide.heard) == 1
    assert guide.aside("in_doubt") == {key}


@pytest.mark.parametrize("fault", ["error_after", "server_error"])
def test_a_failure_of_the_server_is_no_reason_to_send_again(guide, fault):
    guide.sandbox.break_with({"fault": fault, "on": ["message_send"], "times": 1, "code": 500})
    key = guide.put()
    assert guide.sent()[key]["status"] == "in_doubt"
    assert len(guide.heard) == (fault == "error_after")
    assert guide.writes.count("message_send") == (fault == "error_after")


@pytest.mark.parametrize("fault", ["error_after", "server_error", "reset"])
def test_what_can_be_looked_up_is_looked_up(platform, fault):
    how = {"headers": False} if fault == "reset" else {"code": 500}
    platform.sandbox.break_with({"fault": fault, "on": ["message_create"], "times": 2, **how})
    audio = voices.wav(0.3)
    key = platform.put(audio)
    for _ in range(4):
        row = platform.sent()[key]
    assert (row["status"], row["reason"]) == ("sent", None)
    assert platform.heard == [_sha(audio), "It is me"]


def test_a_send_without_an_answer_is_given_time_to_appear(platform, monkeypatch):
    monkeypatch.setattr("media_pipeline.messaging.voice_way.SETTLED", dt.timedelta(minutes=1))
    platform.sandbox.break_with({"fault": "server_error", "on": ["message_create"], "times": 1})
    key = platform.put()
    row = platform.sent()[key]
    assert (row["status"], row["reason"]) == ("waiting", "unconfirmed")
    assert platform.sent()[key]["status"] == "waiting"
    assert platform.heard == []
    monkeypatch.setattr("media_pipeline.messaging.voice_way.SETTLED", dt.timedelta())
    assert platform.sent()[key]["status"] == "sent"
    assert len(platform.heard) == 2


def test_a_send_is_given_time_to_appear_since_its_last_try(platform, monkeypatch):
    monkeypatch.setattr("media_pipeline.messaging.voice_way.SETTLED", dt.timedelta(seconds=1.5))
    platform.sandbox.break_with(
        {"fault": "rate_limit", "on": ["message_create"], "times": 1, "wait": 2},
        {"fault": "server_error", "on": ["message_create"], "times": 1, "code": 500},
    )
    key = platform.put()
    row = platform.sent()[key]
    assert (row["status"], row["reason"]) == ("waiting", "unconfirmed"), (
        "the first try was limited, the last one was not"
    )


def test_messages_that_wait_for_themselves_do_not_hold_up_the_others(platform, monkeypatch):
    monkeypatch.setattr(voice_run, "SICK", 2)
    monkeypatch.setattr("media_pipeline.messaging.voice_way.SETTLED", dt.timedelta(minutes=1))
    guests = Guests(platform.sandbox)
    others = [guests.post("conversations")["conversation_id"] for _ in range(4)]
    platform.sandbox.break_with({"fault": "server_error", "on": ["message_create"], "times": 1, "code": 500})
    for conversation in others:
        platform.put(conversation_id=conversation)
    rows = platform.sent(concurrency=1)
    assert len(rows) == 4
    assert {row["reason"] for row in rows.values()} <= {"unconfirmed", "transcript_unconfirmed", None}


def test_a_limited_send_waits_as_long_as_it_is_told_and_is_sent_once(desk):
    desk.sandbox.break_with({"fault": "rate_limit", "on": [desk.send], "times": 1, "wait": 1})
    key = desk.put()
    assert desk.sent()[key]["status"] == "sent"
    assert len(desk.heard) == (1 if desk.settings.dialect == "guide" else 2)


def test_a_source_that_keeps_limiting_is_asked_again_with_the_next_run(guide):
    guide.sandbox.break_with({"fault": "rate_limit", "on": ["message_send"], "wait": 30})
    key = guide.put()
    row = guide.sent()[key]
    assert (row["status"], row["reason"]) == ("waiting", "rate_limited")
    assert guide.inbox.depth() == 1
    guide.sandbox.break_with()
    row = guide.sent()[key]
    assert (row["status"], row["attempts"]) == ("sent", 2)
    assert len(guide.heard) == 1


def test_a_source_that_cannot_be_reached_leaves_nothing_in_doubt(guide):
    key = guide.put()
    result = guide.run(base_url="http://127.0.0.1:9")
    assert result.success
    row = guide.rows[key]
    assert (row["status"], row["reason"]) == ("waiting", "server_error") or row["reason"] == "unreached"
    assert guide.sent()[key]["status"] == "sent"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"fault": "forbidden", "permission": "conversation:message:create"}, "forbidden"),
        ({"fault": "not_found"}, "not_found"),
    ],
)
def test_a_refused_message_failed_and_can_be_sent_again_by_a_person(desk, fault, reason):
    desk.sandbox.break_with({**fault, "on": [desk.send]})
    key = desk.put()
    result = desk.run()
    row = desk.rows[key]
    assert (row["status"], row["reason"]) == ("failed", reason)
    if reason == "forbidden":
        assert "conversation:message:create" in row["detail"]
    check = desk.check(result)
    assert not check.passed
    assert key in check.description
    assert desk.aside("failed") == {key}
    desk.sandbox.break_with()
    send_again(desk.tables, desk.inbox, key, who="Ada", emit=lambda *_, **__: None, now=dt.datetime.now(dt.UTC))
    assert desk.sent()[key]["status"] == "sent"
    assert len(desk.heard) == (1 if desk.settings.dialect == "guide" else 2)
    assert desk.aside("failed") == set()


def test_audio_that_the_org_does_not_let_out_says_what_to_set(platform):
    platform.sandbox.state.settings.outbound_audio = 0
    key = platform.put()
    row = platform.sent()[key]
    assert (row["status"], row["reason"]) == ("failed", "not_accepted")
    assert "supported content profile" in row["detail"]


def test_a_person_settles_a_doubt_either_way(guide):
    events = []
    guide.sandbox.break_with({"fault": "reset", "on": ["message_send"], "headers": False, "times": 1})
    heard = guide.put(voices.wav(0.2))
    assert guide.sent()[heard]["status"] == "in_doubt"
    told = {"who": "Ada", "emit": lambda event, **facts: events.append((event, facts)), "now": dt.datetime.now(dt.UTC)}
    row = settle_as_sent(guide.tables, guide.inbox, heard, **told)
    assert (row["status"], row["reason"]) == ("sent", "settled_by_person")
    assert events == [
        ("voice_message_resolved", {"message_key": heard, "resolution": "sent", "who": "Ada", "before": "in_doubt"})
    ]
    assert guide.aside("in_doubt") == set()
    with pytest.raises(Unsettleable, match="is sent"):
        send_again(guide.tables, guide.inbox, heard, **told)
    guide.sandbox.break_with({"fault": "server_error", "on": ["message_send"]})
    unheard = guide.put(voices.wav(0.3))
    assert guide.sent()[unheard]["status"] == "in_doubt"
    guide.sandbox.break_with()
    send_again(guide.tables, guide.inbox, unheard, **told)
    assert guide.rows[unheard]["status"] == "waiting"
    assert guide.sent()[unheard]["status"] == "sent"
    assert guide.heard == [_sha(voices.wav(0.2)), _sha(voices.wav(0.3))]


def test_the_same_pair_again_is_one_message_and_equal_audio_under_two_keys_two(guide):
    first, second = guide.put(), guide.put()
    assert {row["status"] for row in guide.sent().values()} == {"sent"}
    guide.put(message_key=first)
    assert set(guide.sent()) == {first, second}
    assert guide.heard == [_sha(voices.wav(0.2))] * 2
    assert guide.inbox.depth() == 0


def test_a_key_that_is_another_messages_is_refused(guide):
    key = guide.put()
    guide.sent()
    guide.put(voices.wav(0.4), message_key=key)
    rows = guide.sent()
    assert rows.pop(key)["status"] == "sent"
    ((row,),) = [tuple(rows.values())]
    assert (row["status"], row["reason"]) == ("rejected", "key_taken")
    assert len(guide.heard) == 1


def test_a_message_does_not_overtake_one_that_waits(guide):
    guide.sandbox.break_with({"fault": "rate_limit", "on": ["message_send"], "wait": 30})
    first = guide.put(voices.wav(0.2))
    second = guide.put(voices.wav(0.3), received_at=dt.datetime.now(dt.UTC) + dt.timedelta(milliseconds=5))
    assert set(guide.sent()) == {first}
    guide.sandbox.break_with()
    assert {row["status"] for row in guide.sent().values()} == {"sent"}
    assert second in guide.rows
    assert guide.heard == [_sha(voices.wav(0.2)), _sha(voices.wav(0.3))]


def test_an_upload_without_an_answer_is_repeated_and_told(guide):
    guide.sandbox.break_with({"fault": "reset", "on": ["attachment_upload"], "headers": False, "times": 1})
    key = guide.put()
    row = guide.sent()[key]
    assert (row["status"], row["uploads_lost"]) == ("sent", 1)
    assert len(guide.heard) == 1


def test_a_link_that_may_be_dead_is_not_used(guide, monkeypatch):
    monkeypatch.setattr("media_pipeline.genesys.guide_voice.GuideVoices.link_seconds", 0.5)
    guide.sandbox.break_with({"fault": "rate_limit", "on": ["message_send"], "times": 1, "wait": 1})
    key = guide.put()
    assert guide.sent()[key]["status"] == "sent"
    assert guide.writes == ["attachment_upload", "attachment_upload", "message_send"]


def test_every_upload_is_scheduled_for_deletion_after_its_message(desk):
    key = desk.put()
    row = desk.sent()[key]
    days = Days(desk.tables.store)
    days.take_in()
    (entry,) = desk.tables.rows("media_retention", today())
    assert (entry["subject_id"], entry["policy"], entry["sha256"]) == (row["media_id"], "voice_message", row["sha256"])
    assert entry["due"] - entry["scheduled_at"] >= dt.timedelta(minutes=15)
    assert entry["due"] >= entry["routed_at"] + dt.timedelta(seconds=30)


def test_what_was_said_and_links_are_nowhere(desk):
    desk.put(transcript="My number is 555-0134")
    result = desk.run()
    events = _events(desk)
    assert any(event["event"] == "voice_message_sent" for event in events)
    text = str(desk.rows) + json.dumps(events) + "".join(event.message or "" for event in result.all_events)
    assert "555-0134" not in text
    assert "sig" not in text.lower().replace("signed", "")
    assert "http" not in text.replace("http_", "")


def test_five_messages_that_wait_leave_the_source_alone(guide, monkeypatch):
    monkeypatch.setattr(voice_run, "SICK", 2)
    guide.sandbox.break_with({"fault": "rate_limit", "on": ["attachment_upload"], "wait": 30})
    for _ in range(12):
        guide.put(conversation_id=f"conversation-{_}")
    guide.sent(concurrency=1)
    assert len(guide.rows) == 2
    assert guide.inbox.depth() == 12


def test_a_pair_that_was_taken_away_while_it_was_sent_is_looked_up(platform, monkeypatch):
    monkeypatch.setattr("media_pipeline.messaging.voice_way.SETTLED", dt.timedelta(minutes=1))
    platform.sandbox.break_with({"fault": "server_error", "on": ["message_create"], "times": 1})
    key = platform.put()
    assert platform.sent()[key]["status"] == "waiting"
    for path in platform.inbox.folder.glob(f"{key}.*"):
        path.unlink()
    monkeypatch.setattr("media_pipeline.messaging.voice_way.SETTLED", dt.timedelta())
    row = platform.sent()[key]
    assert (row["status"], row["reason"]) == ("failed", "pair_gone")
    assert platform.tables.store.sizes("voice/") == {}
