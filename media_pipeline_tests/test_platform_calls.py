"""What a day costs in API calls through the published API: the figures of the README, from the sandbox's own count."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from media_pipeline.build import build_definitions
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline_tests.harness import DAY, NO_RETRY, Org, resources_for, settings_for

PER_DAY = 1_000
MOST_IN_ONE_RUN = 40
MOST_IN_TWO_RUNS = 80
APART = ("file", "transcript_file", "transcript_url", "metadata")
"""Not in the budget: media and transcripts; metadata, one call for a conversation with a recording without a link."""


@pytest.fixture(scope="module")
def org() -> Iterator[Org]:
    with running(SandboxOptions(port=0, bodies="tiny", per_day=PER_DAY, days=2, end=DAY)) as sandbox:
        yield Org(sandbox)


@pytest.fixture
def by_the_clock(org: Org) -> Iterator[Org]:
    """The org, with jobs and batches that are ready after a second, however often they are asked about."""
    settings = org.sandbox.state.settings
    questions = settings.prepare_polls
    settings.prepare_seconds, settings.prepare_polls = 1, 0
    yield org
    settings.prepare_seconds, settings.prepare_polls = 0, questions


def run(org: Org, folder: Path, *assets: str, first_wait_seconds: float = 0.01) -> dict[str, int]:
    """Materialize these assets in one run; what the org was asked meanwhile."""
    org.forget_stats()
    settings = settings_for(org.url, folder, dialect="platform")
    resources = resources_for(settings, first_wait_seconds=first_wait_seconds)
    definitions = build_definitions(settings, resources=resources, retry=NO_RETRY)
    result = definitions.resolve_job_def("daily_export").execute_in_process(
        partition_key=str(DAY),
        asset_selection=[dg.AssetKey(asset) for asset in assets],
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert result.success
    return {name: sum(counts.values()) for name, counts in org.stats()["requests"].items()}


def budgeted(calls: dict[str, int]) -> int:
    return sum(number for name, number in calls.items() if name not in APART)


def without_a_link(org: Org) -> int:
    """Recordings of the day that no batch delivers."""
    return sum(record["kind"] in ("processing", "no_file", "missing") for record in org.truth().values())


def test_one_run_that_hands_its_links_over_stays_under_forty_calls(org, tmp_path):
    calls = run(org, tmp_path, "recording_inventory", "storage_quota", "recording_audio")
    assert calls["file"] > 0.9 * PER_DAY
    assert budgeted(calls) <= MOST_IN_ONE_RUN, calls
    assert calls["metadata"] <= without_a_link(org) + 1


def test_two_runs_stay_under_eighty_calls(org, tmp_path):
    listing = run(org, tmp_path, "recording_inventory", "storage_quota")
    download = run(org, tmp_path, "recording_audio")
    assert download["file"] > 0.9 * PER_DAY
    assert download["batch_submit"] == 10
    assert "metadata" not in download
    assert budgeted(listing) + budgeted(download) <= MOST_IN_TWO_RUNS, (listing, download)


def test_batches_that_go_by_the_clock_are_asked_about_once(by_the_clock, tmp_path):
    calls = run(by_the_clock, tmp_path, "recording_inventory", "recording_audio", first_wait_seconds=1)
    assert calls["batch_state"] <= 1.2 * calls["batch_submit"], calls
    assert budgeted(calls) <= 30, calls


def test_two_runs_by_the_clock_stay_under_eighty_calls_with_those_about_missing_links(by_the_clock, tmp_path):
    listing = run(by_the_clock, tmp_path, "recording_inventory", "storage_quota", first_wait_seconds=1)
    download = run(by_the_clock, tmp_path, "recording_audio", first_wait_seconds=1)
    spent = budgeted(listing) + listing["metadata"] + budgeted(download)
    assert spent <= MOST_IN_TWO_RUNS, (listing, download)
