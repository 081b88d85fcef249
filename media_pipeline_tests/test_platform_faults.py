"""Bad days of the published API: each ends in a clear outcome, in bounded time, with nothing lost or made up."""

import copy
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest

from media_pipeline.build import build_definitions
from media_pipeline.exporter import RecordingExporter
from media_pipeline.genesys.errors import NotFound
from media_pipeline.genesys.platform import PlatformSource
from media_pipeline.genesys.replies import Replies
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running
from media_pipeline_tests.harness import DAY, NO_RETRY, Export, Org, resources_for, settings_for

SENSITIVE_SLOT = 24


@pytest.fixture(scope="module")
def _sandbox() -> Iterator[RunningSandbox]:
    with running(SandboxOptions(port=0, bodies="tiny", per_day=60, days=3, end=DAY)) as sandbox:
        yield sandbox


@pytest.fixture
def org(_sandbox: RunningSandbox) -> Iterator[Org]:
    """60 recordings a day; settings, permissions and clock are as they were afterwards."""
    state = _sandbox.state
    settings, permissions = copy.copy(state.settings), state.permissions
    _sandbox.break_with()
    org = Org(_sandbox)
    org.forget_stats()
    yield org
    _sandbox.break_with()
    state.settings, state.permissions, state.clock.offset_seconds = settings, permissions, 0.0


@pytest.fixture
def export(tmp_path: Path):
    return lambda org, **options: Export.run(org, tmp_path, **{"dialect": "platform"} | options)


def outcomes(done: Export) -> Counter:
    return Counter((row["status"], row["reason"]) for row in done.rows("recording_audio"))


def calls(org: Org) -> dict[str, int]:
    return {name: sum(counts.values()) for name, counts in org.stats()["requests"].items()}


def plain(org: Org, count: int | None) -> list[str]:
    """Ordinary calls, each alone in its conversation and of one file."""
    truth = org.truth()
    owners = Counter(record["conversation_id"] for record in truth.values())
    chosen = []
    for i in org.ordinary(len(truth)):
        found = org.sandbox.state.listing.find(i)
        if truth[i]["conversation_id"] and owners[truth[i]["conversation_id"]] == 1 and found.slot not in (22, 24):
            first = org.sandbox.state.conversations.of_recording(found)
            if first.start.date() == DAY and len(first.recordings) == 1:
                chosen.append(i)
    assert len(chosen) >= (count or 1)
    return chosen[:count]


def good_day() -> Counter:
    """What a day without faults comes to: its first conversation began the day before, one recording has two files."""
    return Counter(
        {
            ("stored", None): 50,
            ("unsupported", "codec"): 6,
            ("unavailable", "archived"): 1,
            ("unavailable", "deleted"): 1,
            ("pending", "not_ready"): 1,
            ("empty", "zero_bytes"): 1,
        }
    )


def test_a_day_ends_as_the_org_is_and_shows_what_it_cost(org, export):
    done = export(org)
    assert outcomes(done) == good_day()
    inventory = metadata(done, "recording_inventory")
    assert inventory["listed_by"] == "analytics_job"
    served = sum(n for name, n in calls(org).items() if name not in ("file", "transcript_file", "transcript_url"))
    rows = len(done.rows("recording_audio"))
    per_1000 = metadata(done, "recording_audio")["api_calls_of_the_run_per_1000_recordings"]
    assert per_1000 == pytest.approx(1000 * served / rows, abs=0.1)


def metadata(done: Export, asset: str) -> dict[str, object]:
    for event in done.result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey(asset):
            found = event.step_materialization_data.materialization.metadata
            return {name: value.value for name, value in found.items()}
    raise AssertionError(f"{asset} was not materialized")


def test_a_token_revoked_in_mid_run_is_renewed(org, export):
    org.break_with({"fault": "revoke_token", "after_calls": 4})
    assert outcomes(export(org)) == good_day()
    assert org.stats()["requests"]["token"]["200"] >= 3


@pytest.mark.parametrize("state", ["FAILED", "EXPIRED", "CANCELLED"])
def test_a_job_that_breaks_once_is_submitted_anew(org, export, state):
    org.break_with({"fault": "job_state", "state": state, "times": 1})
    assert outcomes(export(org)) == good_day()
    assert calls(org)["job_submit"] == 2


def test_a_job_that_keeps_failing_is_a_clear_failure(org, export):
    org.break_with({"fault": "job_state", "state": "FAILED"})
    sentence = export(org).failure
    assert "did not work out, twice (it ended as FAILED)" in sentence
    assert calls(org)["job_submit"] == 2


def test_a_job_that_never_ends_is_given_up(org, export):
    org.break_with({"fault": "job_state", "state": "PENDING"})
    started = time.monotonic()
    sentence = export(org, patience={"deadline_seconds": 0.05}).failure
    assert "it was still PENDING at the deadline" in sentence
    assert time.monotonic() - started < 20


def test_a_batch_that_never_completes_is_bounded_and_leaves_its_recordings_pending(org, export):
    org.break_with({"fault": "batch_stuck", "share_ready": 0.5})
    started = time.monotonic()
    done = export(org, patience={"deadline_seconds": 0.2})
    assert time.monotonic() - started < 20
    found = outcomes(done)
    assert sum(found.values()) in (60, 61)
    assert 20 <= found["pending", "not_ready"] <= 40
    assert found["stored", None] >= 15
    assert metadata(done, "recording_inventory")["batches_unfinished"] == 1
    assert not done.check_passed
    org.break_with()
    assert outcomes(export(org)) == good_day()


def test_results_never_asked_for_are_counted_and_left(org, export):
    materialize(org, export_folder(export), ["recording_inventory"])
    org.break_with({"fault": "batch_strangers", "count": 3})
    materialize(org, export_folder(export), ["recording_audio"])
    org.break_with()
    assert outcomes(export(org)) == good_day()


def test_links_that_expired_between_batch_and_download_are_asked_for_anew_together(org, export, monkeypatch):
    """Two hours pass for the media's host between the listing and the first download, and none for us."""

    def two_hours_later(source: PlatformSource) -> None:
        org.sandbox.state.clock.offset_seconds = 7200.0

    monkeypatch.setattr(PlatformSource, "storage_left_mb", two_hours_later)
    assert outcomes(export(org)) == good_day()
    assert org.stats()["requests"]["file"]["403"] <= 16, "after a few refusals, no link of that age is tried"
    assert calls(org)["batch_submit"] <= 6


def test_a_link_that_is_refused_once_is_asked_for_anew(org, export):
    org.break_with({"fault": "expired_link", "times": 1})
    assert outcomes(export(org)) == good_day()


def test_links_that_are_always_refused_end_as_forbidden(org, export):
    refused = plain(org, 2)
    org.break_with({"fault": "expired_link", "ids": refused})
    done = export(org)
    assert {done.audio[i]["reason"] for i in refused} == {"forbidden"}
    assert outcomes(done)["failed", "forbidden"] == 2


def test_links_that_died_before_the_download_are_not_tried(org, export, monkeypatch):
    """The listing's links live for a second, which passes before the first download; those asked for then live on."""
    settings = org.sandbox.state.settings
    lasting, settings.link_seconds = settings.link_seconds, 1

    def when_they_have_died(source: PlatformSource) -> None:
        time.sleep(1.2)
        settings.link_seconds = lasting

    monkeypatch.setattr(PlatformSource, "storage_left_mb", when_they_have_died)
    assert outcomes(export(org)) == good_day()
    assert "403" not in org.stats()["requests"]["file"]


def export_folder(export) -> Path:
    return Path(export.__closure__[0].cell_contents)


def materialize(org: Org, folder: Path, assets: list[str], **changes) -> dg.ExecuteInProcessResult:
    """These assets alone in a run, and so in a session, of their own."""
    settings = settings_for(org.url, folder, dialect="platform", **changes)
    definitions = build_definitions(settings, resources=resources_for(settings), retry=NO_RETRY)
    return definitions.resolve_job_def("daily_export").execute_in_process(
        partition_key=str(DAY),
        asset_selection=[dg.AssetKey(asset) for asset in assets],
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def test_the_download_alone_asks_for_its_links_in_batches(org, export):
    materialize(org, export_folder(export), ["recording_inventory"])
    org.forget_stats()
    materialize(org, export_folder(export), ["recording_audio"])
    assert calls(org).keys() == {"token", "batch_submit", "batch_state", "file"}
    assert calls(org)["batch_submit"] == 1


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
