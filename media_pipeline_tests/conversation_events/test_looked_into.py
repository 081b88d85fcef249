"""conversation_events by the published API: conversations are looked into, messages asked for once."""

import datetime as dt
import json

import httpx

from media_pipeline.genesys import platform_messages
from media_pipeline_tests.conversation_events.conftest import files, gapless
from media_pipeline_tests.messaging_org import today


def test_the_published_api_tells_time_and_hash_and_the_row_goes_to_the_day_of_the_message(guests, poller):
    now = dt.datetime.now(dt.UTC)
    yesterday_seconds = now.hour * 3600 + now.minute * 60 + now.second + 60
    sent = guests.send(3) + guests.send(1, age_seconds=yesterday_seconds)
    truth = {f["file_id"]: (m, f) for c in guests.get("conversations") for m in c["messages"] for f in m["files"]}
    poller.heard()
    days = [today() - dt.timedelta(days=n) for n in (1, 0)]
    for day in days:
        for row in poller.rows(day):
            message, file = truth[row["file_id"]]
            assert row["source_sha256"] == file["sha256"]
            assert row["sent_at"] == dt.datetime.fromisoformat(message["at"])
            assert row["sent_at"].date() == day
    assert sorted(files(poller.rows())) == sorted(each["file_id"] for each in sent)
    assert poller.rows(days[0])


def test_nothing_but_files_that_came_in_is_an_event_of_the_published_api(guests, poller):
    (made,) = guests.send(1)
    guests.post("texts", conversation_id=made["conversation_id"], text="Hello?")
    assert poller.heard()["rows_added"] == 1
    assert files(poller.rows()) == [made["file_id"]]


def test_few_conversations_are_looked_into_with_a_run_and_the_next_goes_on(guests, poller, monkeypatch):
    monkeypatch.setattr(platform_messages, "MAX_CONVERSATIONS", 10)
    sent = guests.send(25)
    added = [poller.heard()["rows_added"] for _ in range(3)]
    assert added == [10, 10, 5]
    assert sorted(files(poller.rows())) == sorted(each["file_id"] for each in sent)


def test_details_of_a_message_are_asked_for_once(guests, poller):
    (made,) = guests.send(1)
    poller.heard()
    httpx.post(f"{guests.sandbox.url}/_sandbox/stats/reset").raise_for_status()
    guests.send(1, conversation_id=made["conversation_id"])
    assert poller.heard()["rows_added"] == 1
    requests = httpx.get(f"{guests.sandbox.url}/_sandbox/stats").json()["requests"]
    assert requests["message_conversation"] == {"200": 1}
    assert requests["message_details"] == {"200": 1}
    poller.heard()
    requests = httpx.get(f"{guests.sandbox.url}/_sandbox/stats").json()["requests"]
    assert requests["message_details"] == {"200": 1}, "known, though still within the overlap"


def test_a_conversation_that_the_source_fails_on_holds_up_no_other_and_is_looked_into_again(guests, poller):
    sent = guests.send(4)
    poison = min(each["conversation_id"] for each in sent)
    guests.sandbox.break_with({"fault": "server_error", "on": ["message_conversation"], "ids": [poison], "times": 0})
    for added in (3, 0):
        heard = poller.heard()
        assert (heard["rows_added"], heard["conversations_unreadable"], heard["caught_up"]) == (added, 1, True)
    guests.sandbox.break_with()
    assert poller.heard()["rows_added"] == 1
    assert sorted(files(poller.rows())) == sorted(each["file_id"] for each in sent)


def test_a_source_that_fails_on_every_conversation_fails_the_run_and_costs_no_file(guests, poller):
    sent = guests.send(8)
    guests.sandbox.break_with({"fault": "server_error", "on": ["message_conversation"], "times": 0})
    for _ in range(3):
        assert not poller.drain().success
    assert len(json.loads(poller.cursor.position)[4]) == platform_messages.SICK - 1, "it does not grow with each run"
    guests.sandbox.break_with()
    assert poller.heard()["rows_added"] == 8
    assert sorted(files(poller.rows())) == sorted(each["file_id"] for each in sent)


def test_a_conversation_that_is_owed_for_a_day_is_given_up_and_said(guests, poller, monkeypatch):
    (sent,) = guests.send(1)
    fault = {"fault": "server_error", "on": ["message_conversation"], "ids": [sent["conversation_id"]], "times": 0}
    guests.sandbox.break_with(fault)
    poller.heard()
    monkeypatch.setattr(platform_messages, "OWED_FOR", dt.timedelta(seconds=-1))
    monkeypatch.setattr(platform_messages, "OVERLAP", dt.timedelta())
    check = gapless(poller.drain())
    assert not check.passed
    assert sent["conversation_id"] in check.description
