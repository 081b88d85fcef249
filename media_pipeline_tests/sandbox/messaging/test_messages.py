"""Message conversations of the published API: found by analytics among the others, and what is in them."""

from __future__ import annotations

import dataclasses

import httpx
import pytest

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline_tests.sandbox.conftest import END
from media_pipeline_tests.sandbox.messaging.conftest import planted
from media_pipeline_tests.sandbox.platform.conftest import DAY, DETAILS

MESSAGES = "/api/v2/conversations/messages"
OF_MESSAGES = [
    {"type": "and", "predicates": [{"type": "dimension", "dimension": "mediaType", "value": "message"}]},
]
RECORDED = [{"type": "and", "predicates": [{"type": "dimension", "dimension": "recording", "value": "true"}]}]


def queried(api, **query) -> list[dict]:
    found, number = [], 1
    while True:
        body = {"interval": DAY, "paging": {"pageSize": 25, "pageNumber": number}, **query}
        page = api.post(f"{DETAILS}/query", json=body).json()
        found += page.get("conversations", [])
        if number * 25 >= page["totalHits"]:
            assert len(found) == page["totalHits"]
            return found
        number += 1


def seeded(admin) -> dict[str, dict]:
    found = admin.get("/messaging/conversations").json()
    return {each["conversation_id"]: each for each in found if each["start"].startswith("2026-11-20")}


def test_the_query_and_the_job_find_message_conversations_among_the_recorded_ones_by_start(api, admin, platform):
    mine = seeded(admin)
    everything = queried(api)
    assert len(mine) == 24
    assert mine.keys() < {each["conversationId"] for each in everything}
    starts = [each["conversationStart"] for each in everything]
    assert starts == sorted(starts)
    assert [each["conversationStart"] for each in queried(api, order="desc")] == starts[::-1]
    assert {each["conversationId"] for each in everything} <= set(platform.listed())


def test_who_asks_for_messages_gets_their_sessions(api, admin):
    mine = seeded(admin)
    found = {each["conversationId"]: each for each in queried(api, segmentFilters=OF_MESSAGES)}
    assert mine.keys() <= found.keys()
    assert len(found) - len(mine) == 1, "the one recorded message conversation of the day"
    for id_, true in mine.items():
        sessions = {each["purpose"]: each["sessions"][0] for each in found[id_]["participants"]}
        assert sessions["customer"]["sessionId"] == true["guest_communication_id"]
        assert sessions["agent"]["sessionId"] == true["communication_id"]
        assert not any("recording" in each for each in sessions.values())


def test_who_asks_for_recordings_gets_none_of_them(api, admin, platform, truth):
    found = {each["conversationId"] for each in queried(api, segmentFilters=RECORDED)}
    assert found == {e["platform"]["conversation_id"] for e in truth if e["platform"]["date"] == "2026-11-20"}
    assert not found & seeded(admin).keys()
    assert not set(platform.listed(segmentFilters=RECORDED)) & seeded(admin).keys()


def test_a_conversation_of_now_is_found_at_once(api, admin):
    made = planted(admin)
    today = "2026-11-21T00:00:00Z/2026-11-22T00:00:00Z"
    found = queried(api, interval=today, segmentFilters=OF_MESSAGES)
    assert found[-1]["conversationId"] == made["conversation_id"]
    assert "conversationEnd" not in found[-1]


@pytest.mark.parametrize("path", [MESSAGES, "/api/v2/conversations"])
def test_a_conversation_names_its_people_and_what_they_said(api, admin, path):
    made = planted(admin, name="photo.png")
    found = api.get(f"{path}/{made['conversation_id']}").json()
    people = {each["purpose"]: each for each in found["participants"]}
    assert people["customer"]["id"] == made["guest_participant_id"]
    said = people["customer"]["messages"]
    if path != MESSAGES:
        assert [each["id"] for each in said] == [made["guest_communication_id"]]
        assert [each["id"] for each in people["agent"]["messages"]] == [made["communication_id"]]
        said = said[0]["messages"]
    assert [each["messageId"] for each in said] == [made["message_id"]]
    assert [(each["id"], each["name"]) for each in said[0]["media"]] == [(made["file_id"], "photo.png")]


def test_messages_in_bulk_are_those_there_are_each_once(api, admin):
    made = planted(admin)
    path = f"{MESSAGES}/{made['conversation_id']}/messages/bulk"
    found = api.post(path, json=[made["message_id"], "unknown", made["message_id"]]).json()["entities"]
    assert [each["id"] for each in found] == [made["message_id"]]
    assert api.post(path, json=["x"] * 1_001).status_code == 400
    assert api.post(path, json={"ids": []}).status_code == 400


def test_unknown_ids_and_missing_permissions_are_refused(sandbox, api, admin):
    made = planted(admin)
    for path in (
        f"{MESSAGES}/nobody",
        f"{MESSAGES}/{made['conversation_id']}/messages/none",
        "/api/v2/conversations/no",
    ):
        assert api.get(path).status_code == 404
    lacks = ["conversation:message:view", "conversation:webmessaging:view", "conversation:communication:view"]
    admin.put("/permissions", json={"lacks": lacks})
    assert api.get(f"{MESSAGES}/{made['conversation_id']}/messages/{made['message_id']}").status_code == 403
    assert api.get(f"/api/v2/conversations/{made['conversation_id']}").status_code == 403
    assert api.get(f"{MESSAGES}/{made['conversation_id']}").status_code == 200


def test_a_recorded_conversation_has_participants_too(api, truth):
    record = next(each for each in truth if each["kind"] == "ordinary")
    found = api.get(f"/api/v2/conversations/{record['platform']['conversation_id']}").json()
    customer = next(each for each in found["participants"] if each["purpose"] == "customer")
    assert record["platform"]["communication_id"] in {each["id"] for each in customer["calls"]}


def test_a_recorded_message_conversation_has_people_and_no_messages_to_look_at(api, truth):
    record = next(each for each in truth if each["kind"] == "message")
    conversation_id = record["platform"]["conversation_id"]
    found = api.get(f"{MESSAGES}/{conversation_id}").json()
    assert "customer" in {each["purpose"] for each in found["participants"]}
    assert [each["messages"] for each in found["participants"]] == [[]] * len(found["participants"])
    assert api.post(f"{MESSAGES}/{conversation_id}/messages/bulk", json=["a"]).json() == {"entities": []}
    call = next(each for each in truth if each["kind"] == "ordinary")
    assert api.get(f"{MESSAGES}/{call['platform']['conversation_id']}").status_code == 404


def test_equal_options_give_equal_conversations_in_every_sandbox(sandbox, admin):
    mine = seeded(admin)
    options = SandboxOptions(port=0, bodies="tiny", per_day=1, days=2, end=END)
    with running(options) as other, running(dataclasses.replace(options, seed=8)) as stranger:
        for one in (other, stranger):
            one.state.clock.offset_seconds = sandbox.state.clock.offset_seconds
        urls = [f"{each.url}/_sandbox" for each in (other, stranger)]
        with httpx.Client(base_url=urls[0]) as same, httpx.Client(base_url=urls[1]) as different:
            assert seeded(same) == mine
            assert not seeded(different).keys() & mine.keys()


def test_an_org_of_years_has_messages_of_its_last_days_and_of_today(sandbox):
    with running(SandboxOptions(port=0, bodies="tiny", per_day=1, days=3_000, end=END)) as other:
        other.state.clock.offset_seconds = sandbox.state.clock.offset_seconds
        days = {str(each.start.date()) for each in other.state.messaging.conversations()}
    assert len(days) == 31
    assert (min(days), max(days)) == ("2026-10-22", "2026-11-21")
