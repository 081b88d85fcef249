"""What a day of the platform dialect ends as: states, permissions, clocks, listings and transcripts."""

from collections import Counter
from pathlib import Path

import dagster as dg
import httpx
import pytest

from media_pipeline.build import build_definitions
from media_pipeline.exporter import RecordingExporter
from media_pipeline.genesys.errors import NotFound
from media_pipeline.genesys.replies import Replies
from media_pipeline.sandbox.platform import batches
from media_pipeline_tests.harness import NO_RETRY, Org, resources_for, settings_for
from media_pipeline_tests.platform_faults.conftest import (
    calls,
    export_folder,
    good_day,
    materialize,
    metadata,
    outcomes,
    plain,
)

SENSITIVE_SLOT = 24


def test_a_day_ends_as_the_org_is_and_shows_what_it_cost(org, export):
    done = export(org)
    assert outcomes(done) == good_day()
    inventory = metadata(done, "recording_inventory")
    assert inventory["listed_by"] == "analytics_job"
    served = sum(n for name, n in calls(org).items() if name not in ("file", "transcript_file", "transcript_url"))
    rows = len(done.rows("recording_audio"))
    per_1000 = metadata(done, "recording_audio")["run_api_calls_per_1000_recordings"]
    assert per_1000 == pytest.approx(1000 * served / rows, abs=0.1)


def test_a_token_revoked_in_mid_run_is_renewed(org, export):
    org.break_with({"fault": "revoke_token", "after_calls": 4})
    assert outcomes(export(org)) == good_day()
    assert org.stats()["requests"]["token"]["200"] >= 3


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("ARCHIVED", ("unavailable", "archived")),
        ("DELETED", ("unavailable", "deleted")),
        ("RESTORING", ("pending", "not_ready")),
        ("UPLOADING", ("pending", "not_ready")),
        ("ERROR", ("failed", "source_error")),
        ("RESTORED", ("stored", None)),
    ],
)
def test_every_state_has_its_outcome(org, export, state, outcome):
    (changed,) = plain(org, 1)
    org.break_with({"fault": "file_state", "state": state, "ids": [changed]})
    row = export(org).audio[changed]
    assert (row["status"], row["reason"]) == outcome


def test_a_recording_archived_after_it_was_listed_says_so(org, export):
    (changed,) = plain(org, 1)
    materialize(org, export_folder(export), ["recording_inventory"])
    org.break_with({"fault": "file_state", "state": "ARCHIVED", "ids": [changed]})
    materialize(org, export_folder(export), ["recording_audio"])
    org.break_with()
    done = export(org)
    assert done.audio[changed]["status"] == "stored", "available again, so it is fetched"


def test_an_item_left_out_is_listed_as_not_delivered_and_the_permission_is_named(org, export):
    (omitted, erroneous) = plain(org, 2)
    org.break_with(
        {"fault": "batch_omitted", "ids": [omitted]},
        {"fault": "batch_error", "ids": [erroneous], "message": "Something at https://x.example/?token=topsecret"},
    )
    done = export(org)
    for each in (omitted, erroneous):
        row = done.audio[each]
        assert (row["status"], row["reason"]) == ("failed", "not_delivered")
        assert "recording:recording:viewSensitiveData" in row["detail"]
    assert not done.check_passed
    assert "topsecret" not in done.all_text


def test_sensitive_recordings_without_the_permission_keep_the_day_from_being_complete(org, export):
    org.sandbox.state.permissions -= {"recording:recording:viewSensitiveData"}
    found = outcomes(export(org))
    assert found["failed", "not_delivered"] == sum(
        org.sandbox.state.listing.find(i).slot == SENSITIVE_SLOT for i in org.truth()
    )


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("availability", "analytics:conversationDetail:view"),
        ("job_submit", "analytics:conversationDetail:view"),
        ("batch_submit", "recording:recording:view"),
    ],
)
def test_a_missing_permission_is_named_and_stops_the_run(org, export, operation, permission):
    org.sandbox.state.permissions -= {p for p in org.sandbox.state.permissions if p.startswith(permission[:9])}
    assert permission.split(":")[0] in export(org).failure
    org.break_with({"fault": "forbidden", "on": operation, "permission": permission})
    assert permission in export(org).failure


def test_conversations_that_may_not_be_seen_keep_the_day_from_being_complete(org, export):
    (omitted,) = plain(org, 1)
    conversation = org.truth()[omitted]["conversation_id"]
    org.break_with(
        {"fault": "batch_omitted", "ids": [omitted]}, {"fault": "forbidden", "on": "metadata", "ids": [conversation]}
    )
    done = export(org)
    assert omitted not in done.audio
    assert metadata(done, "recording_inventory")["conversations_unreadable"] == 1
    assert not done.check_passed
    assert "may not be seen" in done.verdict.sentence


def test_a_further_recording_that_was_announced_and_never_came_is_no_complete_day(org, export, monkeypatch):
    (withheld,) = with_company(org)
    honest = batches.json_reply

    def announcing_it(status):
        completed = status.get("status") == "Completed"
        return honest(status | {"expectedResultCount": status["expectedResultCount"] + 1} if completed else status)

    monkeypatch.setattr(batches, "json_reply", announcing_it)
    org.break_with({"fault": "batch_omitted", "ids": [withheld]})
    done = export(org)
    assert (done.audio[withheld]["status"], done.audio[withheld]["reason"]) == ("failed", "not_delivered")
    assert metadata(done, "recording_inventory")["results_announced_and_missing"] == 0
    assert not done.check_passed
    org.break_with()
    done = export(org)
    assert outcomes(done) == good_day()
    assert metadata(done, "recording_inventory")["results_announced_and_missing"] == 1, "there is none to be found now"


def with_company(org: Org) -> list[str]:
    """An ordinary call in a conversation with another one."""
    truth = org.truth()
    ordinary = set(org.ordinary(len(truth)))
    owners = Counter(truth[i]["conversation_id"] for i in ordinary)
    return sorted(i for i in ordinary if truth[i]["conversation_id"] and owners[truth[i]["conversation_id"]] > 1)[:1]


def test_a_conversation_that_keeps_failing_leaves_the_rest_of_its_day_exported(org, export):
    (omitted,) = plain(org, 1)
    conversation = org.truth()[omitted]["conversation_id"]
    org.break_with(
        {"fault": "batch_omitted", "ids": [omitted]},
        {"fault": "server_error", "on": "metadata", "ids": [conversation], "code": 500},
    )
    done = export(org)
    assert outcomes(done)["stored", None] == good_day()["stored", None] - 1
    assert metadata(done, "recording_inventory")["conversations_unreadable"] == 1
    assert not done.check_passed
    assert "not told of" in done.verdict.sentence
    org.break_with()
    assert outcomes(export(org)) == good_day()


@pytest.mark.parametrize("how", ["refused", "left out", "reordered"])
def test_a_file_that_comes_later_is_archived_beside_the_others_whatever_its_place(org, export, monkeypatch, how):
    """Of a recording with two files the first is not delivered at first; it moves the second to another place."""
    honest, reached = batches._recording_results, set()

    def without_the_first(*arguments):
        found = honest(*arguments)
        if len(found) < 2:
            return found
        reached.add(found[0]["recordingId"])
        refused = {name: found[0][name] for name in ("conversationId", "recordingId")} | {"errorMsg": "No link."}
        return {"refused": [refused, *found[1:]], "left out": found[1:], "reordered": found[::-1]}[how]

    monkeypatch.setattr(batches, "_recording_results", without_the_first)
    before = files_of(export(org), reached)
    (recording_id,) = reached
    monkeypatch.setattr(batches, "_recording_results", honest)
    org.forget_stats()
    done = export(org)
    after = files_of(done, reached)
    assert len(set(after.values())) == 2, "each of its files is there once"
    assert {index: after[index] for index in before} == before, "what was stored stayed what it was"
    assert len(before) == (2 if how == "reordered" else 1)
    fetched = org.stats()["recordings"].get(recording_id, {"file": 0})["file"]
    assert fetched == 2 - len(before), "what was stored is not fetched again"
    assert outcomes(done) == good_day()


def files_of(done, ids):
    """Digests of the stored files of these recordings, by their index."""
    rows = done.rows("recording_audio")
    return {
        row["file_index"]: row["sha256"] for row in rows if row["recording_id"] in ids and row["status"] == "stored"
    }


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_clock_that_is_five_minutes_off_breaks_nothing(org, export, minutes):
    org.sandbox.state.clock.offset_seconds = minutes * 60
    assert outcomes(export(org)) == good_day()


def test_a_day_that_the_lake_does_not_have_yet_is_listed_by_query(org, export):
    org.sandbox.state.settings.analytics_lag_hours = 48
    done = export(org)
    assert metadata(done, "recording_inventory")["listed_by"] == "analytics_query"
    assert outcomes(done) == good_day()
    assert "job_submit" not in calls(org)


def test_pages_that_overlap_list_nothing_twice(org, export):
    org.sandbox.state.settings.analytics_lag_hours = 48
    org.break_with({"fault": "duplicates", "count": 20})
    assert outcomes(export(org)) == good_day()


def test_transcripts_end_in_clear_states(org, export):
    speaking = [i for i in plain(org, None) if org.truth()[i]["transcript"] == "available"]
    missing, refused, lists, texts, gone, long = speaking[:6]
    org.break_with(
        {"fault": "server_error", "on": "transcript_url", "code": 503, "ids": [missing]},
        {"fault": "forbidden", "on": "transcript_url", "ids": [refused]},
        {"fault": "transcript_broken", "how": "list", "ids": [lists]},
        {"fault": "transcript_broken", "how": "text_times", "ids": [texts]},
        {"fault": "transcript_long", "phrases": 100_000, "ids": [long]},
    )
    done = export(org)
    states = {row["recording_id"]: row for row in done.rows("transcript_status")}
    assert (states[missing]["status"], states[missing]["reason"]) == ("failed", "server_error")
    assert states[refused]["status"] == "forbidden"
    for broken in (lists, texts):
        assert (states[broken]["status"], states[broken]["reason"]) == ("failed", "bad_reply")
    assert states[gone]["status"] == "available"
    assert (states[long]["status"], states[long]["segments"]) == ("available", 100_000)
    none = [i for i in plain(org, None) if org.truth()[i]["transcript"] == "unavailable"]
    assert {states[i]["reason"] for i in none} == {"no_transcript"}


def test_no_secret_and_no_link_appears_anywhere(org, export):
    ids = plain(org, 4)
    org.break_with(
        {"fault": "html", "ids": ids[:2]},
        {"fault": "bad_url", "ids": ids[2:], "url": "http://169.254.169.254/latest?token=topsecret"},
    )
    done = export(org)
    assert {done.audio[i]["reason"] for i in ids[2:]} == {"bad_url"}
    for secret in ("sandbox-secret", "X-Amz-", "/_files/", "Bearer ", "topsecret"):
        assert secret not in done.all_text


def test_late_recordings_are_found_at_little_cost(org, export):
    export(org)
    org.forget_stats()
    materialize_watch(org, export_folder(export))
    assert calls(org)["batch_submit"] <= 4
    assert "file" not in calls(org)


def materialize_watch(org: Org, folder: Path) -> dg.ExecuteInProcessResult:
    settings = settings_for(org.url, folder, dialect="platform", lookback_days=3)
    definitions = build_definitions(settings, resources=resources_for(settings), retry=NO_RETRY)
    return definitions.resolve_job_def("relist_recent_days").execute_in_process(
        raise_on_error=False, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )


def test_a_recording_is_exported_again_by_its_id_once_a_day_lists_it(org, export):
    folder = export_folder(export)
    exporter = RecordingExporter(settings_for(org.url, folder, dialect="platform"))
    (wanted,) = plain(org, 1)
    with pytest.raises(NotFound, match=r"cannot look up recording .* by its id alone"):
        exporter.export_recordings([wanted])
    export(org)
    assert exporter.export_recordings([wanted])["recordings"]["stored"] == good_day()["stored", None]


@pytest.mark.parametrize("trouble", [{"fault": "forbidden", "on": "usage"}, {"fault": "not_found", "on": "usage"}])
def test_a_day_does_not_wait_for_a_figure_that_limits_nothing(org, export, trouble):
    org.break_with(trouble)
    done = export(org)
    assert outcomes(done) == good_day()
    assert done.rows("storage_quota") == []
    told = metadata(done, "storage_quota")["unknown"]
    assert "usage" in told
    assert "permission none" not in told


def test_a_token_that_a_refusal_repeats_is_in_nothing_that_is_written(org, export, monkeypatch):
    issued = []
    honest = Replies.said

    def repeating(self, response):
        issued.append(response.request.headers["Authorization"].partition(" ")[2])
        refusal = httpx.Response(403, json={"message": f"Invalid token: {issued[-1]}"}, request=response.request)
        return honest(self, refusal)

    monkeypatch.setattr(Replies, "said", repeating)
    org.break_with({"fault": "forbidden", "on": ["transcript_url", "usage"]})
    done = export(org)
    assert issued
    assert "Invalid token: [redacted]" in done.all_text
    assert not [token for token in issued if token in done.all_text]
