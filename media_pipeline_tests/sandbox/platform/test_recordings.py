"""R1-R3 and R7: transcoding, states, what is hidden, and the sweep over everything kept."""

from __future__ import annotations

import pytest


def path(record: dict, *, metadata: bool = False, one: bool = True) -> str:
    folder = "recordingmetadata" if metadata else "recordings"
    several = f"/api/v2/conversations/{record['platform']['conversation_id']}/{folder}"
    return f"{several}/{record['id']}" if one else several


def test_the_first_answer_is_an_empty_202(api, of):
    for one in (True, False):
        record = of(kind="ordinary") if one else of(kind="mp3")
        first, second = (api.get(path(record, one=one)) for _ in range(2))
        assert (first.status_code, first.content) == (202, b"")
        assert second.status_code == 200


def test_nothing_is_transcoded_for_format_none_or_without_sound(api, of):
    assert api.get(path(of(kind="ordinary")), params={"formatId": "NONE"}).status_code == 200
    assert api.get(path(of(kind="chat"))).status_code == 200
    assert api.get(path(of(kind="ordinary")), params={"formatId": "FLAC"}).status_code == 400


def test_202_may_last_for_ever(sandbox, api, of):
    record = of(kind="ordinary")
    sandbox.break_with({"fault": "transcoding", "ids": [record["id"]]})
    assert {api.get(path(record)).status_code for _ in range(5)} == {202}


def test_what_is_still_uploading_is_202_and_what_is_archived_has_no_media(api, of):
    assert {api.get(path(of(kind="processing"))).status_code for _ in range(3)} == {202}
    archived = api.get(path(of(kind="no_file"))).json()
    assert (archived["fileState"], "mediaUris" in archived, archived["outputSizeInBytes"]) == ("ARCHIVED", False, 0)


def test_two_files_have_two_numbered_links(api, of, files):
    record = of(files=2)
    api.get(path(record))
    links = api.get(path(record)).json()["mediaUris"]
    assert list(links) == ["0", "1"]
    assert [files.get(each["mediaUri"]).headers["etag"].strip('"') for each in links.values()] == [
        record["md5"],
        record["second_file"]["md5"],
    ]
    assert list(api.get(path(of(kind="chat"))).json()["mediaUris"]) == ["S"]


def test_sensitive_recordings_are_hidden_with_their_media(api, of):
    record = of(sensitive=True)
    api.put("/_sandbox/permissions", json={"lacks": ["recording:recording:viewSensitiveData"]})
    assert api.get(path(record)).status_code == 404
    assert record["id"] not in {each["id"] for each in api.get(path(record, one=False)).json()}
    assert api.get(path(record, metadata=True)).status_code == 200


def test_a_recording_is_only_in_its_own_conversation(api, of):
    one, other = of(kind="ordinary"), of(kind="mp3")
    mixed = f"/api/v2/conversations/{one['platform']['conversation_id']}/recordingmetadata/{other['id']}"
    assert api.get(mixed).status_code == 404
    assert api.get("/api/v2/conversations/stranger/recordings").status_code == 404
    assert api.get("/api/v2/conversations/stranger/recordingmetadata").status_code == 404


def test_the_second_recording_of_a_conversation_leads_to_no_conversation_of_its_own(sandbox, truth):
    org = sandbox.state.org
    ordinals = [org.find(each["id"]).ordinal for each in truth]
    seconds = [each for each in ordinals if org.first_of_conversation(each) != each]
    assert seconds
    assert all(sandbox.state.conversations.find(org.conversation_id(each)) is None for each in seconds)


def test_hostile_ids_reach_this_side_too(sandbox, api, platform, truth):
    sandbox.break_with({"fault": "hostile_ids", "on": ["list"]})
    records = api.get("/_sandbox/truth", params={"date": "2026-11-20"}).json()
    hostile = [each for each in records if each["id"] not in {known["id"] for known in truth}]
    assert len(hostile) == 9
    wanted = [{"conversationId": each["platform"]["conversation_id"], "recordingId": each["id"]} for each in hostile]
    results = platform.finished_batch(*wanted)["results"]
    assert {each["recordingId"] for each in results} == {each["id"] for each in hostile}


@pytest.mark.parametrize(
    "arguments",
    [{}, {"retentionThresholdDays": "few"}, {"retentionThresholdDays": 1, "pageSize": 501},
     {"retentionThresholdDays": 1, "cursor": "é"}],
)  # fmt: skip
def test_a_sweep_that_makes_no_sense_is_a_400(api, arguments):
    assert api.get("/api/v2/recordings/retention/query", params=arguments).status_code == 400


def test_the_sweep_can_be_followed_by_next_uri_and_shows_what_dies_soon(api, of, truth):
    uri, found = "/api/v2/recordings/retention/query?retentionThresholdDays=0&pageSize=7", []
    while uri is not None:
        page = api.get(uri).json()
        found += page["entities"]
        uri = page.get("nextUri")
    ids = [each["recordingId"] for each in found]
    assert len(ids) == len(set(ids)) == 120
    assert {each["recordingId"]: each["deleteDate"] for each in found}.items() >= {
        each["id"]: each["platform"]["delete_date"] for each in truth
    }.items()
    soon = min(truth, key=lambda each: each["platform"]["delete_date"])
    assert soon["platform"]["delete_date"].startswith("2026-11-25")


def test_what_may_not_be_deleted_needs_its_permission(api, of):
    ids = [of(kind="ordinary")["platform"]["conversation_id"]]
    uri = "/api/v2/recordings/deletionprotection"
    api.put("/_sandbox/permissions", json={"lacks": ["recording:deletionProtection:apply"]})
    refused = api.put(uri, json={"conversationIds": ids}, params={"protect": "true"})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing.permissions")
    assert api.put(uri, json={"conversationIds": ids * 101}).status_code == 400
    assert api.put(uri, json={"conversationIds": ids}, params={"protect": "false"}).status_code == 204
