"""Annotations that the archive derives itself: from recordings and media as they were measured."""

from collections import Counter

import pytest

from media_pipeline_tests.annotations.conftest import metadata_of, rows_of
from media_pipeline_tests.harness import DAY


def test_what_was_measured_is_not_measured_again(speaking_org, export, annotate):
    export(speaking_org)
    first = annotate(speaking_org)
    again = annotate(speaking_org)
    assert metadata_of(first)["objects_measured"].value > 0
    assert metadata_of(again)["objects_measured"].value == 0
    assert metadata_of(again)["objects_measured_earlier"].value == metadata_of(first)["objects_measured"].value
    values = ({k: r["value"] for k, r in rows_of(done).items()} for done in (first, again))
    assert next(values) == next(values)


def test_derived_figures_are_those_of_the_recordings(speaking_org, export, annotate):
    export(speaking_org)
    done = annotate(speaking_org)
    rows, truth = rows_of(done), speaking_org.truth()
    single = Counter(row["interaction_id"] for row in done.rows("interaction_media"))
    checked = Counter()
    for recording_id, record in truth.items():
        interaction_id = record["conversation_id"]
        if single[interaction_id] != 1:
            continue
        values = {key: row["value"] for (i, key), row in rows.items() if i == interaction_id}
        if done.audio[recording_id]["status"] != "stored":
            assert "archive.sha256" not in values
            continue
        checked[record["kind"]] += 1
        assert values["archive.sha256"] == record["sha256"]
        assert float(values["archive.duration_seconds"]) == pytest.approx(record["duration_seconds"], abs=0.15)
        assert 0.0 <= float(values["archive.silence_ratio"]) < 0.6
        for channel in (0, 1):
            assert -40 < float(values[f"archive.level_dbfs.{channel}"]) < -10
            assert float(values[f"archive.silence_ratio.{channel}"]) >= float(values["archive.silence_ratio"])
        assert float(values["archive.clipping_ratio"]) < 0.001
        if record["transcript"] == "available":
            assert 0.5 < float(values["archive.transcript_coverage"]) <= 1.0
        else:
            assert "archive.transcript_coverage" not in values
    assert {"ordinary", "dotted", "mixed_case"} <= set(checked)  # WAV, MP3, Ogg


def test_a_day_without_its_media_says_what_to_materialize(org, tmp_path):
    import dagster as dg

    from media_pipeline.build import build_definitions
    from media_pipeline_tests.harness import NO_RETRY, resources_for, settings_for

    settings = settings_for(org.url, tmp_path)
    definitions = build_definitions(settings, resources=resources_for(settings), retry=NO_RETRY)
    job = definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        partition_key=str(DAY), asset_selection=[dg.AssetKey("metadata_annotations")], raise_on_error=False
    )
    assert not result.success
    failure = result.failure_data_for_node("metadata_annotations")
    assert "materialize interaction_media for that day first" in str(failure.error)
