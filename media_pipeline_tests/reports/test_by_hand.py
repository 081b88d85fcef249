"""dbt by hand passes on every root there can be; what the project ships is what the contract says."""

from pathlib import Path

import pandas as pd  # noqa: TID253 - no code server imports a test
import pyarrow.parquet as pq
import pytest
import yaml

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.reports.places import EMPTY_TABLES, PROJECT, database_path
from media_pipeline.settings import Settings
from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.reports.conftest import MARTS, Root, dbt


def test_an_empty_root_builds_from_the_project_folder_and_gives_typed_marts(tmp_path, days):
    root = Root(tmp_path / "not" / "there")
    done = dbt(root.path, tmp_path, cwd=PROJECT)
    assert "WARN=0 ERROR=0 SKIP=0" in done.stdout, done.stdout + done.stderr
    for mart in MARTS:
        assert not root.parts(mart)
        assert root.query(f"select * from {mart}").empty  # noqa: S608
        assert root.query(f"describe {mart}").equals(days.query(f"describe {mart}"))
    assert not list((tmp_path / "spool/reports").iterdir())


def test_older_days_without_newer_columns_and_a_strange_relative_root_build(tmp_path, days):
    strange = Root(tmp_path / "date=2020-01-01/format=wav/a=b [x] it's *")
    days.copy(strange.folder)
    newer = {"recording_audio": ["content_type", "listed_state"], "transcript_status": ["segments"]}
    oldest = days.mart("recording_facts")["date"].min()
    for table, columns in newer.items():
        (file,) = strange.path.glob(f"tables/{table}/date={oldest}/*.parquet")
        pq.write_table(pq.read_table(file, partitioning=None).drop_columns(columns), file)
    done = dbt(f"./{strange.path.relative_to(tmp_path)}", tmp_path)
    assert "WARN=0 ERROR=0 SKIP=0" in done.stdout, done.stdout + done.stderr
    found, expected = strange.mart("recording_facts"), days.mart("recording_facts")
    old = expected["date"] == oldest
    assert found[old]["content_type"].isna().all()
    assert (found[old]["segments"] == 0).all()
    pd.testing.assert_frame_equal(found[~old], expected[~old])
    pd.testing.assert_frame_equal(strange.mart("availability_daily"), days.mart("availability_daily"))


def test_the_database_lies_below_the_root_where_a_variable_says_or_for_s3_below_the_spool(tmp_path):
    spool = tmp_path / "spool"
    assert database_path(Settings(root="x/media"), tmp_path) == tmp_path / "x/media/marts/media.duckdb"
    assert database_path(Settings(reports_db=Path("y/media.duckdb")), tmp_path) == tmp_path / "y/media.duckdb"
    assert database_path(Settings(root="s3://b/c", spool=spool), tmp_path) == spool / "reports/media.duckdb"
    with pytest.raises(ConfigurationError, match=r"MEDIA_REPORTS_DB=.*other.duckdb must name a file media.duckdb"):
        database_path(Settings(reports_db=tmp_path / "other.duckdb"), tmp_path)


def test_a_segment_before_the_recordings_start_stops_no_marts_and_a_lost_row_of_storage_is_told(tmp_path, days):
    root = days.copy(tmp_path)
    newest = days.mart("speaker_talk_time")["date"].max()
    (file,) = root.path.glob(f"tables/diarized_transcripts/date={newest}/*.parquet")
    said = pq.read_table(file, partitioning=None)
    starts = [-5000, *said["start_ms"].to_pylist()[1:]]
    pq.write_table(said.set_column(said.schema.get_field_index("start_ms"), "start_ms", [starts]), file)
    (file,) = root.path.glob(f"tables/storage_utilization/date={newest}/*.parquet")
    stored = pq.read_table(file, partitioning=None)
    pq.write_table(stored.slice(1), file)
    done = dbt(root.path, tmp_path)
    assert "WARN=1 ERROR=0 SKIP=0" in done.stdout, done.stdout + done.stderr
    assert "Warning in test storage_matches_facts" in done.stdout
    assert (root.mart("speaker_talk_time")["silence_seconds"] >= 0).all()


def test_a_root_that_duckdb_cannot_open_gets_a_sentence():
    with pytest.raises(ConfigurationError, match=r"what\?/media.* has a question mark"):
        database_path(Settings(root="what?/media"), Path("/srv"))


ASSET_OF = {"recording_deadlines": "retention_sweep"}
"""Tables that are named otherwise than the asset that writes them."""


def test_the_typed_empty_tables_are_those_of_the_schemas():
    assert {path.stem for path in EMPTY_TABLES.iterdir()} == set(TABLES)
    for name, schema in TABLES.items():
        table = pq.read_table(EMPTY_TABLES / f"{name}.parquet")
        assert table.num_rows == 0
        assert table.schema.equals(schema, check_metadata=True), f"{name}: run `make seeds`"


def test_the_sources_are_described_as_in_the_contract():
    (source,) = yaml.safe_load((PROJECT / "models/sources.yml").read_text())["sources"]
    tables = {table["name"]: table for table in source["tables"]}
    described = {name: {c["name"]: c["description"] for c in table["columns"]} for name, table in tables.items()}
    assert set(tables) == {*TABLES, "days", "inventory_notes"}
    for name, schema in TABLES.items():
        assert tables[name]["config"]["meta"]["dagster"]["asset_key"] == [ASSET_OF.get(name, name)]
        contract = {field.name: field.metadata[b"description"].decode() for field in schema}
        assert described[name] == {"date": described[name]["date"]} | contract
