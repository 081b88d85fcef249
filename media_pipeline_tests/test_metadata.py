"""What the UI shows must be short enough to be shown, and can be selected."""

import datetime as dt

import dagster as dg
import pytest

from media_pipeline.build import build_definitions
from media_pipeline.lineage import column_lineage
from media_pipeline.metadata import SHOWN_INLINE_CHARACTERS, outcomes_picture
from media_pipeline.ownership import CHANGES_THE_ORG, ENGINEERS, GENESYS_POOL
from media_pipeline.tables.schemas import TABLES
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


@pytest.fixture(scope="module")
def definitions(tmp_path_factory):
    return build_definitions(settings_for("http://127.0.0.1:9", tmp_path_factory.mktemp("root")))


def test_every_asset_says_what_it_is_who_looks_after_it_and_what_it_is_made_of(definitions):
    graph = definitions.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    assert dg.AssetKey("export_runs") in keys, "the marts are made of it too"
    for key in keys:
        node = graph.get(key)
        assert node.description.rstrip().endswith("."), key
        assert "guide 0" not in node.description, key
        assert node.owners == [ENGINEERS], key
        assert node.group_name != "default", key
        assert any(tag.startswith("dagster/kind/") for tag in node.tags), key
        if key.to_user_string() in TABLES:
            assert node.metadata["dagster/table_name"] == key.to_user_string()
            schema = node.metadata["dagster/column_schema"]
            assert [column.name for column in schema.columns] == TABLES[key.to_user_string()].names


def test_jobs_schedules_sensors_and_checks_are_described_by_sentences(definitions):
    repository = definitions.get_repository_def()
    graph = definitions.resolve_asset_graph()
    checks = [graph.get(key).description for key in graph.asset_check_keys]
    jobs = [job.description for job in repository.get_all_jobs() if not job.name.startswith("__")]
    ticking = [*repository.schedule_defs, *repository.sensor_defs]
    for description in [*jobs, *checks, *(each.description for each in ticking)]:
        assert description, "a description is missing"
        assert description.rstrip().endswith("."), description
    assert "voice messages" in " ".join(repository.get_job("messaging").description.split())


def test_what_may_change_the_org_can_be_selected_by_its_tag(definitions):
    graph = definitions.resolve_asset_graph()
    changing = dg.AssetSelection.tag(CHANGES_THE_ORG, "write_back") | dg.AssetSelection.tag(
        CHANGES_THE_ORG, "remote_delete"
    )
    assert {key.to_user_string() for key in changing.resolve(graph)} == {
        "guest_uploads",
        "media_retention",
        "metadata_annotations",
        "voice_messages",
    }


def test_long_steps_that_call_genesys_share_a_pool_and_what_guests_wait_for_does_not(definitions):
    graph = definitions.resolve_asset_graph()
    pooled = {key.to_user_string() for key in graph.executable_asset_keys if GENESYS_POOL in graph.get(key).pools}
    assert {"recording_inventory", "recording_audio", "diarized_transcripts"} <= pooled
    assert not pooled & {"conversation_events", "guest_uploads", "voice_messages", "media_retention"}


@pytest.mark.parametrize("table", TABLES)
def test_the_lineage_of_columns_names_columns_and_tables_that_exist(definitions, table):
    lineage = column_lineage(table)
    if lineage is None:
        return
    upstream = definitions.resolve_asset_graph().get(dg.AssetKey(table)).parent_keys
    for name, made_of in lineage.deps_by_column.items():
        assert name in TABLES[table].names
        for dep in made_of:
            assert dep.asset_key in upstream
            assert dep.column_name in TABLES[dep.asset_key.to_user_string()].names
