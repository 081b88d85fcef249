"""T1 and T2: which communication has a transcript, and what may be wrong with it."""

from __future__ import annotations

import datetime as dt

import pytest

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.platform.people import BARGED_SLOT, TRANSFERRED_SLOT, stints
from media_pipeline.sandbox.state import State


def uri(record: dict, several: bool = False) -> str:
    ids = (record["platform"]["conversation_id"], record["platform"]["communication_id"])
    base = "/api/v2/speechandtextanalytics/conversations/{}/communications/{}/transcripturl".format(*ids)
    return base + ("s" if several else "")


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(("transcript", "status"), [("available", 200), ("unavailable", 404), ("forbidden", 403)])
def test_each_state_of_a_transcript_has_its_status(api, of, several, transcript, status):
    answer = api.get(uri(of(transcript=transcript, media_type="call"), several))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "missing.permissions"
        assert "speechAndTextAnalytics:data:view" in answer.json()["message"]


def test_both_permissions_are_needed_for_one_link_and_one_for_several(api, of):
    record = of(transcript="available")
    api.put("/_sandbox/permissions", json={"lacks": ["speechAndTextAnalytics:data:view"]})
    assert api.get(uri(record)).json()["code"] == "missing.permissions"
    assert api.get(uri(record, several=True)).status_code == 200


def test_a_communication_of_another_conversation_is_404(api, of):
    one, other = of(transcript="available"), of(transcript="available", kind="mp3")
    mixed = {"platform": {**one["platform"], "communication_id": other["platform"]["communication_id"]}}
    assert api.get(uri(mixed)).status_code == 404


def test_the_link_lives_ten_minutes(sandbox, api, files, of):
    url = api.get(uri(of(transcript="available"))).json()["url"]
    sandbox.state.clock.offset_seconds = 590
    assert files.get(url).status_code == 200
    sandbox.state.clock.offset_seconds = 610
    assert "Request has expired" in files.get(url).text


def test_a_transcript_begins_with_its_recording_not_with_its_conversation(api, files, truth):
    spoken = [each for each in truth if each["transcript"] == "available"]
    second = next(each for each in spoken if each["platform"]["conversation_start"] != each["created_time"])
    document = files.get(api.get(uri(second)).json()["url"]).json()
    assert document["conversationStartTime"] < document["startTime"]
    assert document["transcripts"][0]["startTime"] == document["startTime"]


@pytest.mark.parametrize(
    ("how", "broken"),
    [
        ("list", lambda document: isinstance(document, list)),
        ("no_transcripts", lambda document: "transcripts" not in document),
        ("no_phrases", lambda document: document["transcripts"][0]["phrases"] == []),
        ("no_times", lambda document: "startTimeMs" not in document["transcripts"][0]["phrases"][0]),
        ("text_times", lambda document: document["transcripts"][0]["phrases"][0]["startTimeMs"] == "soon"),
    ],
)
def test_a_document_may_be_broken(sandbox, api, files, of, how, broken):
    record = of(transcript="available")
    sandbox.break_with({"fault": "transcript_broken", "ids": [record["id"]], "how": how})
    assert broken(files.get(api.get(uri(record)).json()["url"]).json())


def test_a_document_may_hold_a_hundred_thousand_phrases(sandbox, api, files, of):
    sandbox.break_with({"fault": "transcript_long"})
    document = files.get(api.get(uri(of(transcript="available"))).json()["url"]).json()
    assert len(document["transcripts"][0]["phrases"]) == 100_000


def test_a_link_or_its_document_may_be_missing_or_no_json(sandbox, api, files, of):
    record = of(transcript="available")
    url = api.get(uri(record)).json()["url"]
    sandbox.break_with(
        {"fault": "not_found", "on": "transcript_url", "ids": [record["id"]]},
        {"fault": "html", "on": "transcript_file", "ids": [record["id"]]},
    )
    assert api.get(uri(record)).status_code == 404
    assert files.get(url).headers["content-type"] == "text/html"
    sandbox.break_with({"fault": "forbidden", "on": "transcript_url", "permission": "recording:recording:view"})
    assert api.get(uri(record)).status_code == 403


def test_two_agents_share_a_recording_at_once_or_one_after_the_other():
    state = State(SandboxOptions(bodies="tiny", per_day=180, days=1, end=dt.date(2026, 11, 20)))
    recordings = {each.slot: each for each in map(state.org.recording, state.org.day(state.org.last_day))}
    one, two = stints(state.org, recordings[BARGED_SLOT], 9_000)
    assert one.start_ms < two.start_ms < one.end_ms
    one, two = stints(state.org, recordings[TRANSFERRED_SLOT], 9_000)
    assert one.end_ms == two.start_ms == 4_500
    assert one.user_id != two.user_id
