"""Under each fault, alone and all at once: the contract's row, no bad object, reports, a right check."""

import datetime as dt
import json
from pathlib import Path

import pytest

from media_pipeline_tests.harness import DAY, assert_is_truth

HEALS = ("stored", None)


@pytest.mark.parametrize("form", ["seconds", "date", "message"])
def test_a_rate_limit_is_waited_out_in_each_form_of_retry_after(org, export, form):
    targets = org.ordinary(3)
    org.break_with({"fault": "rate_limit", "on": "media", "ids": targets, "times": 2, "retry_after": form, "wait": 1})
    done = export(org)
    assert_is_truth(done, org.truth())
    waited = sum(row["waited_seconds"] or 0 for row in done.tables.rows("export_runs", DAY, part=done.result.run_id))
    assert waited >= (6 if form != "date" else 1)  # a date has whole seconds: up to one of them has passed already


def test_a_rate_limit_past_the_deadline_fails_the_recording_at_once(org, export):
    targets = org.ordinary(2)
    org.break_with({"fault": "rate_limit", "on": "media", "ids": targets, "wait": 3600})
    assert_is_truth(export(org), org.truth(), dict.fromkeys(targets, ("failed", "rate_limited")))


def test_a_rate_limit_of_the_link_is_waited_out(org, export):
    org.break_with({"fault": "rate_limit", "on": "file", "ids": org.ordinary(2), "times": 1, "wait": 1})
    assert_is_truth(export(org), org.truth())


@pytest.mark.parametrize("code", [500, 502, 503, 504])
@pytest.mark.parametrize("operation", ["media", "file"])
def test_server_errors_that_pass_are_survived(org, export, code, operation):
    org.break_with({"fault": "server_error", "on": operation, "code": code, "ids": org.ordinary(4), "times": 5})
    assert_is_truth(export(org), org.truth())


@pytest.mark.parametrize("operation", ["media", "file"])
def test_server_errors_that_last_fail_the_recording_alone(org, export, operation):
    targets = org.ordinary(2)
    org.break_with({"fault": "server_error", "on": operation, "ids": targets})
    assert_is_truth(export(org), org.truth(), dict.fromkeys(targets, ("failed", "server_error")))
    assert all(org.stats()["recordings"][i][operation] == 6 for i in targets)


def test_server_errors_on_the_listing_and_the_token_are_survived(org, export):
    org.break_with(
        {"fault": "server_error", "on": "list", "times": 3},
        {"fault": "server_error", "on": "token", "times": 2},
        {"fault": "server_error", "on": "quota", "times": 2},
        {"fault": "server_error", "on": "transcript", "times": 2},
    )
    assert_is_truth(export(org), org.truth())


def test_a_reset_in_mid_file_is_continued_where_it_broke(speaking_org, export):
    targets = speaking_org.ordinary(4)
    speaking_org.break_with({"fault": "reset", "ids": targets, "after_bytes": 200_000})
    done = export(speaking_org)
    assert_is_truth(done, speaking_org.truth())
    stats = speaking_org.stats()["recordings"]
    for recording_id in targets:
        size = done.audio[recording_id]["source_size_bytes"]
        assert stats[recording_id]["file"] == -(-size // 200_000)
        assert stats[recording_id]["bytes"] <= size + 64 * 1024, "nothing is fetched twice"


def test_a_connection_that_never_answers_fails_the_recording(org, export):
    targets = org.ordinary(2)
    org.break_with({"fault": "reset", "ids": targets, "after_bytes": 0, "headers": False})
    assert_is_truth(export(org), org.truth(), dict.fromkeys(targets, ("failed", "server_error")))


def test_a_short_body_is_continued_when_it_heals(speaking_org, export):
    speaking_org.break_with({"fault": "short_body", "ids": speaking_org.ordinary(4), "times": 1})
    assert_is_truth(export(speaking_org), speaking_org.truth())


def test_a_body_that_stays_empty_or_short_fails_the_recording(org, export):
    targets = org.ordinary(2)
    org.break_with({"fault": "short_body", "ids": targets, "keep": 0.0})
    assert_is_truth(export(org), org.truth(), dict.fromkeys(targets, ("failed", "short_body")))


def test_a_whole_reply_to_a_range_is_never_appended(speaking_org, export):
    targets = speaking_org.ordinary(3)
    speaking_org.break_with(
        {"fault": "reset", "ids": targets, "after_bytes": 300_000, "times": 1},
        {"fault": "ignore_range", "ids": targets},
    )
    assert_is_truth(export(speaking_org), speaking_org.truth())


def test_a_wrong_content_range_is_refused(org, export):
    heals, stays = org.ordinary(2)
    org.break_with(
        {"fault": "wrong_content_range", "ids": [heals], "times": 2},
        {"fault": "wrong_content_range", "ids": [stays], "shift": 7},
    )
    assert_is_truth(export(org), org.truth(), {stays: ("failed", "bad_range")})


@pytest.mark.parametrize("obey", [True, False])
def test_a_changed_etag_starts_the_file_over(speaking_org, export, obey):
    targets = speaking_org.ordinary(3)
    speaking_org.break_with(
        {"fault": "reset", "ids": targets, "after_bytes": 300_000, "times": 1},
        {"fault": "changed_etag", "ids": targets, "obey": obey},
    )
    assert_is_truth(export(speaking_org), speaking_org.truth())


@pytest.mark.parametrize("kind", ["html", "xml", "json"])
@pytest.mark.parametrize("as_media", [True, False])
def test_a_document_instead_of_media_is_asked_for_once_more_then_refused(org, export, kind, as_media):
    heals, stays = org.ordinary(2)
    org.break_with(
        {"fault": kind, "as_media": as_media, "ids": [heals], "times": 1},
        {"fault": kind, "as_media": as_media, "ids": [stays]},
    )
    assert_is_truth(export(org), org.truth(), {stays: ("failed", "not_media")})
    assert org.stats()["recordings"][stays]["file"] == 2


def test_an_expired_link_is_renewed(org, export):
    targets = org.ordinary(3)
    org.break_with({"fault": "expired_link", "ids": targets, "times": 1})
    assert_is_truth(export(org), org.truth())
    assert all(org.stats()["recordings"][i]["media"] == 2 for i in targets)


def test_a_link_that_is_always_refused_fails_the_recording(org, export):
    targets = org.ordinary(1)
    org.break_with({"fault": "expired_link", "ids": targets})
    assert_is_truth(export(org), org.truth(), {targets[0]: ("failed", "forbidden")})


def test_a_link_that_expires_in_mid_file_is_renewed_and_continued(speaking_org, export):
    targets = speaking_org.ordinary(2)
    speaking_org.break_with(
        {"fault": "reset", "ids": targets, "after_bytes": 200_000, "times": 1},
        {"fault": "expired_link", "ids": targets, "times": 1},
    )
    assert_is_truth(export(speaking_org), speaking_org.truth())


def test_a_wrong_md5_is_fetched_once_more_then_quarantined(org, export):
    heals, stays = org.ordinary(2)
    org.break_with({"fault": "wrong_md5", "ids": [heals], "times": 1}, {"fault": "wrong_md5", "ids": [stays]})
    assert_is_truth(export(org), org.truth(), {stays: ("quarantined", "md5_mismatch")})
    assert org.stats()["recordings"][stays]["file"] == 2


def test_corrupt_bytes_are_never_published(org, export):
    heals, stays = org.ordinary(2)
    org.break_with({"fault": "corrupt", "ids": [heals], "times": 1}, {"fault": "corrupt", "ids": [stays]})
    assert_is_truth(export(org), org.truth(), {stays: ("quarantined", "md5_mismatch")})


@pytest.mark.parametrize(
    ("fault", "reason"),
    [({"fault": "corrupt"}, "md5_mismatch"), ({"fault": "not_found", "on": "media"}, "no_file")],
)
def test_a_failed_refetch_leaves_the_verified_object_and_its_row_untouched(org, export, fault, reason):
    (target,) = org.ordinary(1)
    first = export(org)
    before, files = first.audio, {key: first.bytes_of(key) for key in first.tables.store.sizes(f"audio/date={DAY}/")}
    org.break_with(fault | {"ids": [target]})
    second = export(org, config={"recordings": [target], "refetch": "everything"})
    assert second.audio == before
    assert {key: second.bytes_of(key) for key in second.tables.store.sizes(f"audio/date={DAY}/")} == files
    metadata = second.result.asset_materializations_for_node("recording_audio")[0].metadata
    assert metadata["kept_as_stored"].value == 1
    (line,) = [
        event for event in audited(second) if event["event"] == "recording_settled" and event["reason"] == reason
    ]
    assert (line["recording_id"], line["status"]) == (target, "stored")
    assert line["detail"].startswith("What is stored stayed. ")


def test_a_refetch_that_fails_after_its_object_was_lost_says_why(org, export):
    (target,) = org.ordinary(1)
    first = export(org)
    path = Path(first.settings.root) / first.audio[target]["object_key"]
    path.write_bytes(path.read_bytes()[:-1])
    org.break_with({"fault": "not_found", "on": "media", "ids": [target]})
    assert export(org, config={"refetch": "everything"}).audio[target]["reason"] == "no_file"


def audited(done):
    lines = (path.read_text().splitlines() for path in Path(done.settings.root).glob(f"audit/date={DAY}/*.jsonl"))
    events = [json.loads(line) for log in lines for line in log]
    return [event for event in events if event["run_id"] == done.result.run_id]


def test_a_slow_drip_is_given_time(org, export):
    org.break_with({"fault": "slow_drip", "ids": org.ordinary(2), "bytes_per_second": 100})
    assert_is_truth(export(org), org.truth())


def test_a_revoked_token_is_renewed_in_mid_run(org, export):
    org.break_with({"fault": "revoke_token", "after_calls": 25})
    assert_is_truth(export(org), org.truth())
    assert org.stats()["requests"]["token"]["200"] >= 3


def test_duplicates_over_pages_are_listed_once(export, org):
    from media_pipeline.sandbox.options import SandboxOptions
    from media_pipeline.sandbox.running import running
    from media_pipeline_tests.harness import Org

    with running(SandboxOptions(port=0, bodies="tiny", per_day=450, days=1, end=DAY)) as sandbox:
        big = Org(sandbox)
        big.break_with({"fault": "duplicates", "count": 5})
        done = export(big)
        assert_is_truth(done, big.truth())


def test_recordings_of_other_days_are_ignored_there(org, export):
    org.break_with({"fault": "neighbours", "count": 3})
    assert_is_truth(export(org), org.truth())


def test_late_arrivals_come_with_the_next_run_and_nothing_else_is_fetched_again(org, export):
    org.break_with({"fault": "late", "share": 0.3, "hours": 48})
    first = export(org)
    early = {row["recording_id"] for row in first.rows("recording_inventory")}
    org.sandbox.state.clock.offset_seconds = 4 * 24 * 3600.0
    org.forget_stats()
    second = export(org)
    late = set(org.truth()) - early
    assert late
    assert_is_truth(second, org.truth())
    assert set(org.stats()["recordings"]) & early <= {
        i for i in early if first.audio[i]["status"] != "stored" or not _has_transcript(first, i)
    }


def _has_transcript(done, recording_id):
    return any(r["recording_id"] == recording_id and r["status"] == "available" for r in done.rows("transcript_status"))


def test_hostile_ids_and_names_stay_inside_the_root(org, export, tmp_path):
    org.break_with({"fault": "hostile_ids", "count": 9}, {"fault": "hostile_names"})
    done = export(org)
    truth = org.truth()
    assert any("../" in i for i in truth)
    assert_is_truth(done, truth)
    outside = {p.name for p in tmp_path.iterdir()} - {"media", "spool", "state"}
    assert not outside
    for key in done.objects:
        name = key.rsplit("/", 1)[1]
        assert len(name.encode()) <= 120 + len(".json.gz") + 8
        assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-%.")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://169.254.169.254/latest", "http://example.com/x", "https://"]
)
def test_links_to_places_that_serve_no_media_are_not_followed(org, export, url):
    targets = org.ordinary(1)
    org.break_with({"fault": "bad_url", "ids": targets, "url": url})
    assert_is_truth(export(org), org.truth(), {targets[0]: ("failed", "bad_url")})


def test_redirects_are_followed_only_to_places_that_may_serve_media(org, export):
    loops, leaves = org.ordinary(2)
    org.break_with(
        {"fault": "redirect", "ids": [loops]},
        {"fault": "redirect", "ids": [leaves], "to": "http://169.254.169.254/latest"},
    )
    assert_is_truth(export(org), org.truth(), dict.fromkeys([loops, leaves], ("failed", "bad_url")))


def test_a_missing_permission_is_named_in_the_row(org, export):
    targets = org.ordinary(1)
    org.break_with({"fault": "forbidden", "on": "media", "ids": targets, "permission": "recording:recording:view"})
    done = export(org)
    assert_is_truth(done, org.truth(), {targets[0]: ("failed", "forbidden")})
    assert "recording:recording:view" in done.audio[targets[0]]["detail"]


def test_an_entry_without_an_id_is_counted_and_keeps_the_day_open(org, export):
    org.break_with({"fault": "malformed"})
    done = export(org)
    assert not done.check_passed
    assert done.verdict.problems["listed without an id"] == 1


def test_a_page_that_is_not_json_is_asked_for_again(org, export):
    org.break_with({"fault": "not_json", "on": "list", "times": 2}, {"fault": "not_json", "on": "media", "times": 2})
    assert_is_truth(export(org), org.truth())


def test_transcripts_that_fail_get_a_status_and_leave_the_audio_alone(org, export):
    broken, forbidden, gone, garbled = org.ordinary(4)
    org.break_with(
        {"fault": "server_error", "on": "transcript", "ids": [broken]},
        {"fault": "forbidden", "on": "transcript", "ids": [forbidden]},
        {"fault": "not_found", "on": "transcript", "ids": [gone]},
        {"fault": "not_json", "on": "transcript", "ids": [garbled]},
    )
    done = export(org)
    status = {row["recording_id"]: (row["status"], row["reason"]) for row in done.rows("transcript_status")}
    assert status[broken] == ("failed", "server_error")
    assert status[forbidden] == ("forbidden", "forbidden")
    assert status[gone] == ("unavailable", "no_transcript")
    assert status[garbled] == ("failed", "bad_reply")
    org.break_with()
    assert_is_truth(export(org), org.truth())


def test_all_faults_at_once_with_a_fixed_seed(speaking_org, export):
    """Each fault strikes some recordings, several strike the same; what heals is stored, the rest is told."""
    ids = speaking_org.ordinary(18)
    stays = dict(
        zip(
            ids,
            [
                ("failed", "rate_limited"),
                ("failed", "server_error"),
                ("failed", "not_media"),
                ("quarantined", "md5_mismatch"),
            ],
            strict=False,
        )
    )
    speaking_org.break_with(
        {"fault": "rate_limit", "on": "media", "ids": [ids[0]], "wait": 3600},
        {"fault": "server_error", "on": "file", "ids": [ids[1]]},
        {"fault": "html", "ids": [ids[2]]},
        {"fault": "wrong_md5", "ids": [ids[3]]},
        {"fault": "rate_limit", "on": "media", "ids": ids[4:6], "times": 1, "wait": 1},
        {"fault": "server_error", "on": "media", "ids": ids[6:8], "times": 2},
        {"fault": "expired_link", "ids": ids[8:11], "times": 1},
        {"fault": "wrong_md5", "ids": ids[11:12], "times": 1},
        {"fault": "ignore_range", "ids": ids[12:14]},
        {"fault": "wrong_content_range", "ids": ids[14:16], "times": 1},
        {"fault": "changed_etag", "ids": ids[10:13]},
        {"fault": "reset", "ids": ids[7:15], "after_bytes": 250_000, "times": 2},
        {"fault": "short_body", "ids": ids[15:18], "times": 1},
        {"fault": "slow_drip", "ids": ids[17:18], "bytes_per_second": 1_000_000},
        {"fault": "revoke_token", "after_calls": 25},
        {"fault": "neighbours"},
        {"fault": "hostile_names"},
        {"fault": "server_error", "on": "list", "times": 1},
    )
    assert_is_truth(export(speaking_org), speaking_org.truth(), stays)


def test_an_empty_day_gives_empty_typed_tables_and_is_complete(org, export):
    done = export(org, day=DAY - dt.timedelta(days=20))
    assert done.result.success
    assert done.verdict.complete
    for table in ("recording_inventory", "recording_audio", "diarized_transcripts", "availability_report"):
        assert done.rows(table) == []
    assert_is_truth(done, {})
