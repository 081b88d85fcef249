"""R5 and R6: moving counts, files, errors, omissions, and what a batch must not be trusted with."""

from __future__ import annotations

import httpx
import pytest

from media_pipeline_tests.sandbox.platform.conftest import wanted


def test_the_counts_move_from_what_was_asked_to_what_was_found(platform, truth):
    ids = sorted({each["platform"]["conversation_id"] for each in truth})
    job_id = platform.batch(*({"conversationId": each} for each in ids))
    first, second = platform.batch_state(job_id), platform.batch_state(job_id)
    assert (first["status"], second["status"]) == ("InProgress", "Completed")
    assert first["expectedResultCount"] == len(ids)
    assert 0 < first["resultCount"] == len(first["results"]) < second["resultCount"] == second["expectedResultCount"]
    assert second["expectedResultCount"] > len(ids)
    assert second["errorCount"] == sum("errorMsg" in each for each in second["results"]) > 0


def test_one_recording_or_all_of_a_conversation_may_be_asked_for(platform, truth):
    ids = [each["platform"]["conversation_id"] for each in truth]
    pair = next(each for each in truth if ids.count(each["platform"]["conversation_id"]) == 2)
    both = platform.finished_batch({"conversationId": pair["platform"]["conversation_id"]})["results"]
    assert len({each["recordingId"] for each in both}) == 2
    assert {each["recordingId"] for each in platform.finished_batch(wanted(pair))["results"]} == {pair["id"]}


def test_what_is_not_known_has_an_error_each(platform, of):
    one, other = of(kind="ordinary"), of(kind="mp3")
    stranger = {"conversationId": one["platform"]["conversation_id"], "recordingId": other["id"]}
    results = platform.finished_batch({"conversationId": "stranger"}, stranger)["results"]
    assert [(each["conversationId"], bool(each["errorMsg"])) for each in results] == [
        ("stranger", True),
        (stranger["conversationId"], True),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"batchDownloadRequestList": []},
        {"batchDownloadRequestList": [{"recordingId": "x"}]},
        {"batchDownloadRequestList": [{"conversationId": 7}]},
        {"batchDownloadRequestList": [{"conversationId": "x", "colour": "red"}]},
        {"batchDownloadRequestList": [{"conversationId": "x"}] * 101},
        [],
    ],
)
def test_a_batch_that_makes_no_sense_is_a_400(api, body):
    answer = api.post("/api/v2/recording/batchrequests", json=body)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


def test_sensitive_recordings_are_left_out_without_a_word(api, platform, of):
    record = of(sensitive=True)
    assert len(platform.finished_batch(wanted(record))["results"]) == 1
    api.put("/_sandbox/permissions", json={"lacks": ["recording:recording:viewSensitiveData"]})
    withheld = platform.finished_batch(wanted(record))
    assert (withheld["status"], withheld["results"], withheld["expectedResultCount"]) == ("Completed", [], 0)
    metadata = api.get(f"/api/v2/conversations/{record['platform']['conversation_id']}/recordingmetadata")
    assert record["id"] in {each["id"] for each in metadata.json()}


def test_links_live_as_long_as_the_org_says_and_say_so_when_they_are_over(sandbox, api, platform, of, files):
    api.put("/api/v2/recording/settings", json={"recordingBatchDownloadUrlTtl": 2})
    url = platform.finished_batch(wanted(of(kind="ordinary")))["results"][0]["resultUrl"]
    assert files.get(url).status_code == 200
    sandbox.state.clock.offset_seconds = 121
    expired = files.get(url)
    assert (expired.status_code, "Request has expired" in expired.text) == (403, True)
    assert expired.headers["content-type"] == "application/xml"


def test_a_link_may_expire_early_and_a_fresh_one_opens(sandbox, platform, of, files):
    record = of(kind="ordinary")
    sandbox.break_with({"fault": "expired_link", "ids": [record["id"]], "times": 1})
    opened = [platform.finished_batch(wanted(record))["results"][0]["resultUrl"] for _ in range(2)]
    assert [files.get(url).status_code for url in opened] == [403, 200]


def test_a_batch_may_never_complete(sandbox, platform, of):
    sandbox.break_with({"fault": "batch_stuck"})
    job_id = platform.batch(*(wanted(of(kind=kind)) for kind in ("ordinary", "mp3", "ogg", "opus")))
    states = [platform.batch_state(job_id) for _ in range(6)]
    assert {each["status"] for each in states} == {"InProgress"}
    assert states[-1]["resultCount"] < states[-1]["expectedResultCount"]


def test_results_may_name_recordings_nobody_asked_for(sandbox, platform, of):
    sandbox.break_with({"fault": "batch_strangers", "count": 1})
    results = platform.finished_batch(wanted(of(kind="ordinary")), wanted(of(kind="mp3")))["results"]
    assert [each["recordingId"] for each in results][:2] == [of(kind="ordinary")["id"], of(kind="mp3")["id"]]
    assert len(results) == 3
    assert results[2]["recordingId"] not in {each["recordingId"] for each in results[:2]}


def test_an_item_may_fail_in_one_batch_and_be_there_in_the_next(sandbox, platform, of):
    record = of(kind="ordinary")
    sandbox.break_with({"fault": "batch_error", "ids": [record["id"]], "times": 1, "message": "No luck."})
    broken, healed = (platform.finished_batch(wanted(record), wanted(of(kind="mp3"))) for _ in range(2))
    assert [each.get("errorMsg") for each in broken["results"]] == ["No luck.", None]
    assert [each.get("errorMsg") for each in healed["results"]] == [None, None]


def test_an_item_may_be_left_out(sandbox, platform, of):
    record = of(kind="ordinary")
    sandbox.break_with({"fault": "batch_omitted", "ids": [record["id"]]})
    left = platform.finished_batch(wanted(record), wanted(of(kind="mp3")))
    assert [each["recordingId"] for each in left["results"]] == [of(kind="mp3")["id"]]


@pytest.mark.parametrize("state", ["ARCHIVED", "RESTORING", "UPLOADING", "ERROR", "DELETED", "RESTORED"])
def test_each_state_of_a_file_has_its_own_answer(sandbox, api, platform, of, state):
    record = of(kind="ordinary")
    sandbox.break_with({"fault": "file_state", "ids": [record["id"]], "state": state})
    results = platform.finished_batch(wanted(record))["results"]
    if state in ("RESTORED", "DELETED"):
        assert len(results) == (state == "RESTORED")
    else:
        assert results[0]["errorMsg"]
    ids = (record["platform"]["conversation_id"], record["id"])
    assert api.get("/api/v2/conversations/{}/recordingmetadata/{}".format(*ids)).json()["fileState"] == state


def test_a_link_may_lead_elsewhere(sandbox, platform, of):
    record = of(kind="ordinary")
    sandbox.break_with({"fault": "bad_url", "on": "batch_state", "ids": [record["id"]]})
    results = platform.finished_batch(wanted(record), wanted(of(kind="mp3")))["results"]
    assert [httpx.URL(each["resultUrl"]).host for each in results] == ["169.254.169.254", "127.0.0.1"]
