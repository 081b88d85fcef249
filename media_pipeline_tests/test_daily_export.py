"""A finished day, end to end: every row and every byte against the org's truth."""

import datetime as dt
import json
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from media_pipeline.build import default_resources
from media_pipeline.genesys.budget import Budget
from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.harness import DAY, Export, assert_is_truth, settings_for

MAX_EVENTS = 100


def test_a_day_of_calls_is_exported_exactly(speaking_org, export):
    done = export(speaking_org)
    truth = speaking_org.truth()
    assert_is_truth(done, truth)
    statuses = {row["recording_id"]: row for row in done.rows("transcript_status")}
    for recording_id, record in truth.items():
        assert statuses[recording_id]["status"] == record["transcript"]
        assert statuses[recording_id]["segments"] == record["transcript_segments"]


def test_the_inventory_holds_what_the_org_lists(org, export):
    done = export(org)
    truth = org.truth()
    for row in done.rows("recording_inventory"):
        record = truth[row["recording_id"]]
        assert row["conversation_id"] == record["conversation_id"]
        assert row["media_type"] == record["media_type"]
        assert row["format"] == (record["format"].lower().lstrip(".") if record["format"] else None)
        assert row["started_at"].date() == DAY
        assert row["duration_seconds"] == record["duration_seconds"]
        assert row["file_state"] == ("available" if record["status"] == "complete" else "pending")


def test_segments_are_the_orgs_utterances_in_order_of_time(speaking_org, export):
    rows = export(speaking_org).rows("diarized_transcripts")
    assert rows == sorted(rows, key=lambda row: (row["recording_id"], row["segment_index"]))
    by_recording: dict[str, list] = {}
    for row in rows:
        by_recording.setdefault(row["recording_id"], []).append(row)
        assert row["end_ms"] > row["start_ms"] >= 0
        assert row["pii_redacted"] == row["text"].count("_NUMBER]") + row["text"].count("_CARD]") + row["text"].count(
            "_ADDRESS]"
        )
    for segments in by_recording.values():
        assert [row["segment_index"] for row in segments] == list(range(len(segments)))
        assert [row["start_ms"] for row in segments] == sorted(row["start_ms"] for row in segments)
    assert {row["speaker"] for row in rows} == {"agent", "customer", "unknown"}
    assert any(row["confidence"] is None for row in rows)


def test_every_table_has_exactly_the_published_columns(org, export):
    done = export(org)
    for name, schema in TABLES.items():
        if name in (
            "recent_listings",
            "recording_deadlines",
            "interaction_media",
            "metadata_annotations",
            "recording_thumbnails",
            "conversation_events",
            "guest_uploads",
            "voice_messages",
            "media_retention",
        ):  # other jobs'
            continue
        (path, *_) = (Path(done.settings.root) / "tables" / name / f"date={DAY}").glob("*.parquet")
        written = pq.read_schema(path)
        assert written.names == schema.names
        assert written.types == schema.types
        assert "date" not in written.names
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def is_about_the_data(path):
    """What runs cost is another thing every time, and so is the page that tells of it."""
    told = ("export_runs", "audit", f"date={DAY}/index.html")
    return path.is_file() and not any(each in str(path) for each in told)


def test_a_rerun_of_a_finished_day_makes_no_media_request_and_changes_no_byte(org, export):
    first = export(org)
    root = Path(first.settings.root)
    before = {p: p.read_bytes() for p in root.rglob("*") if is_about_the_data(p)}
    org.forget_stats()
    second = export(org)
    assert org.media_requests() == 0
    assert second.audio == first.audio
    assert {p: p.read_bytes() for p in before} == before


def test_two_exports_of_the_same_day_write_the_same_bytes(org, export, tmp_path):
    def tables(folder):
        root = Path(export(org, root=str(tmp_path / folder)).settings.root)
        files = [p for p in root.rglob("*") if is_about_the_data(p)]
        return {str(p.relative_to(root)): p.read_bytes() for p in files}

    assert tables("one") == tables("two")


def test_only_what_failed_is_asked_for_again(org, export):
    (broken,) = org.ordinary(1)
    org.break_with({"fault": "server_error", "on": "media", "ids": [broken]})
    assert export(org).audio[broken]["reason"] == "server_error"
    org.break_with()
    done = export(org)
    assert_is_truth(done, org.truth())
    asked = {i for i, counts in org.stats()["recordings"].items() if counts.get("media")}
    assert asked == {broken}


def test_a_lost_object_is_fetched_again(org, export):
    done = export(org)
    (lost,) = org.ordinary(1)
    (Path(done.settings.root) / done.audio[lost]["object_key"]).unlink()
    assert done.verdict.problems["stored but missing"] == 1
    assert_is_truth(export(org), org.truth())


def test_a_run_limited_to_recordings_leaves_the_others_as_they_are(org, export):
    wanted, *_ = org.ordinary(1)
    done = export(org, config={"recordings": [wanted]})
    assert done.audio[wanted]["status"] == "stored"
    others = [row for i, row in done.audio.items() if i != wanted]
    assert {row["reason"] for row in others} == {"not_requested", "codec", "not_ready"}
    assert not done.check_passed
    assert_is_truth(export(org), org.truth())


def test_recordings_without_a_file_are_asked_for_again_when_told(org, export):
    export(org)
    org.forget_stats()
    export(org, config={"refetch": "absent"})
    absent = [i for i, record in org.truth().items() if record["kind"] in ("no_file", "missing", "empty")]
    assert sorted(org.stats()["recordings"].keys() & set(absent)) == sorted(absent)
    assert "file" not in org.stats()["requests"]


def test_a_run_stays_under_a_hundred_dagster_events(org, export):
    with dg.DagsterInstance.ephemeral() as instance:
        done = export(org, instance=instance)
        assert len(instance.all_logs(done.result.run_id)) < MAX_EVENTS


def test_what_a_run_cost_is_written_per_recording_and_per_kind_of_call(org, export):
    done = export(org)
    rows = list(done.tables.rows("export_runs", DAY, part=done.result.run_id))
    assert {row["run_id"] for row in rows} == {done.result.run_id}
    recordings = [row for row in rows if row["recording_id"]]
    assert sorted(row["recording_id"] for row in recordings) == sorted(org.truth())
    stored = sum(row["status"] == "stored" for row in done.audio.values())
    assert sum(row["attempts"] for row in recordings) == stored
    calls = {(row["operation"], row["http_status"]): 0 for row in rows if row["calls"]}
    for row in rows:
        if row["calls"]:
            calls[row["operation"], row["http_status"]] += row["calls"]
    served = {(op, int(status)): n for op, counts in org.stats()["requests"].items() for status, n in counts.items()}
    assert calls == served


def test_how_long_calls_took_is_written_and_shown_by_operation(org, export):
    org.break_with({"fault": "server_error", "on": "media", "ids": org.ordinary(2), "times": 1})
    org.sandbox.state.settings.latency_ms = 60
    done = export(org)
    rows = list(done.tables.rows("export_runs", DAY, part=done.result.run_id))
    times = {(row["step"], row["operation"]): row for row in rows if row["timed_calls"]}
    for (step, operation), row in times.items():
        counted = sum(r["calls"] or 0 for r in rows if (r["step"], r["operation"]) == (step, operation))
        assert row["timed_calls"] == counted
        assert 60 <= row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] < 60_000
        assert row["http_status"] is None
    assert {operation for _, operation in times} == set(org.stats()["requests"])
    served = org.stats()["requests"]["media"]
    errors = sum(number for status, number in served.items() if int(status) >= 400)
    assert times["recording_audio", "media"]["errors"] == errors > 2
    (shown,) = done.result.asset_materializations_for_node("recording_audio")
    records = {record.data["operation"]: record.data for record in shown.metadata["latency_by_operation"].value.records}
    assert records["media"]["errors"] == str(errors)
    assert float(records["media"]["p95_ms"]) == times["recording_audio", "media"]["p95_ms"]


def test_validation_accuracy_says_what_was_compared_and_is_not_one_when_something_differs(org, export):
    victim = org.ordinary(1)[0]
    org.break_with({"fault": "corrupt", "ids": [victim]})

    def accuracy(done):
        (shown,) = done.result.asset_materializations_for_node("recording_audio")
        table = {record.data["compared"]: record.data for record in shown.metadata["validations"].value.records}
        return shown.metadata["validation_accuracy"].value, table

    red, compared = accuracy(export(org))
    stored = int(compared["md5"]["matched"])
    assert int(compared["md5"]["checked"]) == stored + 1
    assert red < 1.0
    org.break_with()
    healed, compared = accuracy(export(org))
    assert healed == 1.0
    assert int(compared["md5"]["checked"]) == int(compared["md5"]["matched"]) == stored + 1


def test_what_the_source_does_not_state_is_not_counted_as_validated(org, export):
    done = export(org, dialect="platform")
    (shown,) = done.result.asset_materializations_for_node("recording_audio")
    (record,) = shown.metadata["validations"].value.records
    assert record.data["compared"] == "announced_size", "the published API states neither sizes nor checksums"


def test_a_day_without_recordings_has_no_accuracy_at_all(org, export):
    done = export(org, day=DAY - dt.timedelta(days=20))
    (shown,) = done.result.asset_materializations_for_node("recording_audio")
    assert shown.metadata["validation_checked"].value == 0
    assert "validation_accuracy" not in shown.metadata


def test_the_audit_log_tells_each_recordings_end_without_secrets(org, export):
    done = export(org)
    path = Path(done.settings.root) / f"audit/date={DAY}/{done.result.run_id}.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    settled = [event for event in events if event["event"] == "recording_settled"]
    assert sorted(event["recording_id"] for event in settled) == sorted(org.truth())
    for event in settled:
        assert event["timestamp"].endswith("Z")
        assert event["run_id"] == done.result.run_id
        assert {"correlation_id", "status", "bytes", "latency_ms"} <= event.keys()
    assert [e["event"] for e in events if e.get("step") == "recording_audio"] == ["step_started", "step_finished"]
    assert not list(done.settings.spool.rglob("*.jsonl"))


def test_no_secret_and_no_link_appears_anywhere(org, export):
    targets = org.ordinary(6)
    org.break_with(
        {"fault": "html", "ids": targets[:2]},
        {"fault": "reset", "ids": targets[2:4], "after_bytes": 10},
        {"fault": "bad_url", "ids": targets[4:], "url": "http://169.254.169.254/latest?token=topsecret"},
    )
    text = export(org).all_text
    for secret in ("sandbox-secret", "X-Amz-Signature", "X-Amz-", "/_files/", "Bearer ", "topsecret"):
        assert secret not in text


def test_a_quota_is_written_for_the_newest_finished_day_only(org, export):
    assert export(org).rows("storage_quota")[0]["available_mb"] > 0
    older = export(org, day=DAY - dt.timedelta(days=1))
    assert not older.tables.exists("storage_quota", older.day)
    assert older.rows("recording_audio")


def test_runs_share_one_rate_budget_that_media_bytes_are_no_part_of(org, tmp_path):
    org.forget_stats()
    for number in (1, 2):
        done = Export.run(
            org, tmp_path, requests_per_minute=10**6, root=str(tmp_path / str(number)), spool=tmp_path / "spool"
        )
        assert done.result.success or done.objects
    (file,) = (tmp_path / "spool" / "rate").iterdir()
    requests = org.stats()["requests"]
    assert sum(requests["file"].values()) > 0
    calls = sum(sum(replies.values()) for operation, replies in requests.items() if operation != "file")
    with Budget(file, 10**6)._ring() as ring:
        assert ring.state.booked == calls


def test_a_spool_that_cannot_keep_the_budget_is_named(tmp_path):
    (tmp_path / "spool").write_text("a file")
    resource = default_resources(settings_for("http://127.0.0.1:1", tmp_path, requests_per_minute=300))["genesys"]
    with pytest.raises(ConfigurationError, match=r"MEDIA_SPOOL=.*/spool \(File exists\)"):
        _ = resource.session
