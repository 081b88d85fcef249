"""The data dictionary says what the schemas say, and what is really in the tables."""

import dagster as dg
import pytest

from media_pipeline.build import build_definitions
from media_pipeline.metadata import schema_metadata
from media_pipeline.sql.asking import asker
from media_pipeline.sql.described import mart_pages
from media_pipeline.sql.dictionary import PAGE, page
from media_pipeline.sql.views import Views
from media_pipeline.tables.schemas import TABLES
from media_pipeline.tables.schemas.columns import fact
from media_pipeline.tables.schemas.facts import FACTS
from media_pipeline_tests.harness import settings_for


def test_the_page_is_what_the_schemas_say():
    assert PAGE.read_text() == page(), "run `make dictionary`"


def test_every_column_of_every_table_and_mart_is_on_the_page():
    text = PAGE.read_text()
    columns = {table: schema.names for table, schema in TABLES.items()}
    columns |= {mart: [column["name"] for column in model["columns"]] for mart, model in mart_pages().items()}
    assert len(columns) > len(TABLES)
    for name, expected in columns.items():
        section = text.split(f"\n### {name}\n")[1].split("\n##")[0]
        rows = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")]
        assert rows[1:] == expected
        assert not [
            line for line in section.splitlines() if line.startswith("|") and line.replace("\\|", "").count("|") != 6
        ]


def test_the_ui_shows_description_unit_and_values_of_the_schema():
    for table, schema in TABLES.items():
        shown = schema_metadata(table)["dagster/column_schema"].columns
        assert [(column.name, column.description) for column in shown] == [
            (field.name, fact(field, "description")) for field in schema
        ]
        assert [column.tags.get("unit", "") for column in shown] == [fact(field, "unit") for field in schema]
    (state,) = (
        c for c in schema_metadata("recent_listings")["dagster/column_schema"].columns if c.name == "file_state"
    )
    assert state.constraints.other == ["one of available, pending, archived, deleted, error, undelivered"]


def test_the_writers_named_are_assets_of_the_jobs_named(org, tmp_path):
    definitions = build_definitions(settings_for(org.url, tmp_path))
    assert set(FACTS) == set(TABLES)
    for table, facts in FACTS.items():
        job = definitions.resolve_job_def(facts.job)
        if facts.asset is None:
            assert table == "export_runs"
        else:
            assert dg.AssetKey(facts.asset) in job.asset_layer.selected_asset_keys, table
        assert set(facts.key) <= set(TABLES[table].names)


def _nulls_last(key):
    return tuple((part is None, part) for part in key)


@pytest.fixture
def exported(org, export):
    done = export(org)
    return done.tables.store


def test_keys_are_unique_and_sorted_and_values_are_those_named(exported):
    def answer(question):
        with asker(exported, Views(exported), question) as asking, asking.ask(question) as reader:
            return [tuple(row.values()) for row in reader.read_all().to_pylist()]

    looked_at = set()
    for table, facts in FACTS.items():
        count = answer(f"select count(*) from {table}")[0][0]  # noqa: S608
        if count == 0:
            continue
        looked_at.add(table)
        if facts.key:
            keys = answer(f"select {', '.join(facts.key)} from {table}")  # noqa: S608
            assert len(set(keys)) == count, table
            assert keys == sorted(keys, key=_nulls_last), table
        for field in TABLES[table]:
            if known := fact(field, "values").split():
                found = {value for (value,) in answer(f'select distinct "{field.name}" from {table}')}  # noqa: S608
                assert found - {None} <= set(known), (table, field.name)
                assert field.nullable or None not in found
    assert looked_at >= {"recording_inventory", "recording_audio", "transcript_status", "availability_report"}


def test_values_written_down_are_those_of_the_code():
    from typing import get_args

    from media_pipeline.interactions.write_back import Name
    from media_pipeline.messaging import voice_state
    from media_pipeline.messaging.retention import KINDS

    def values(table, column):
        return fact(TABLES[table].field(column), "values").split()

    assert values("metadata_annotations", "outcome") == list(get_args(Name))
    assert values("media_retention", "kind") == list(KINDS)
    assert set(values("voice_messages", "status")) >= set(voice_state.FINAL)
