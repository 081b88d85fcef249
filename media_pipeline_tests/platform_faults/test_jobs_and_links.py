"""Jobs, batches and links of the published API that fail, hang, expire or are refused, in a day."""

import time

import pytest

from media_pipeline.genesys.platform import PlatformSource
from media_pipeline_tests.platform_faults.conftest import (
    calls,
    export_folder,
    good_day,
    materialize,
    metadata,
    outcomes,
    plain,
)


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


def test_the_download_alone_asks_for_its_links_in_batches(org, export):
    materialize(org, export_folder(export), ["recording_inventory"])
    org.forget_stats()
    materialize(org, export_folder(export), ["recording_audio"])
    assert calls(org).keys() == {"token", "batch_submit", "batch_state", "file"}
    assert calls(org)["batch_submit"] == 1
