"""What the UI shows must be short enough to be shown, and can be selected."""

import datetime as dt

import dagster as dg

from media_pipeline.build import build_definitions
from media_pipeline.metadata import SHOWN_INLINE_CHARACTERS, outcomes_picture
from media_pipeline.transfer.outcome import REASONS
from media_pipeline_tests.harness import settings_for


def test_the_picture_of_a_day_is_shown_without_a_click_however_large_the_day():
    every = {status: 123_456 for status, _ in REASONS.values()} | {"stored": 1_234_567}
    picture = outcomes_picture(dt.date(2026, 11, 20), every, {"source": 987_654_321_000, "stored": 876_543_210_000})
    assert len(picture.value) < SHOWN_INLINE_CHARACTERS
    for status in every:
        assert f"{status} " in picture.value


def test_an_empty_day_has_a_picture_too():
    assert "0 recordings" in outcomes_picture(dt.date(2026, 11, 20), {}, {}).value


def test_a_report_can_be_selected_with_all_it_needs(org, tmp_path):
    definitions = build_definitions(settings_for(org.url, tmp_path))
    job = definitions.resolve_implicit_global_asset_job_def()
    graph = definitions.resolve_asset_graph()
    needed = dg.AssetSelection.assets("availability_report").upstream().resolve(graph)
    assert dg.AssetKey("diarized_transcripts") not in needed
    subset = job.get_subset(asset_selection=needed)
    assert {key.to_user_string() for key in subset.asset_layer.selected_asset_keys} == {
        "availability_report",
        "recording_audio",
        "recording_inventory",
        "storage_quota",
        "transcript_status",
    }
