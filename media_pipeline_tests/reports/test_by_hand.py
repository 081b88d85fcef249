"""dbt by hand: it passes on every root there can be, and says what is wrong in one sentence where it cannot."""

import pandas as pd  # noqa: TID253 - no code server imports a test
import pyarrow.parquet as pq
import yaml

from media_pipeline.reports.places import EMPTY_TABLES, PROJECT
from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.reports.conftest import MARTS, Root, dbt


def test_an_empty_root_builds_from_the_project_folder_and_gives_typed_marts(tmp_path, days):
    root = Root(tmp_path / "not" / "there")
    done = dbt(root.path, tmp_path, cwd=PROJECT)
    assert "WARN=0 ERROR=0 SKIP=0" in done.stdout, done.stdout + done.stderr
    for mart in MARTS:
        empty, full = (pq.read_schema(r.part(mart)) for r in (root, days))
        assert root.mart(mart).empty
        assert (empty.names, empty.types) == (full.names, full.types)
    assert not list((tmp_path / "spool/reports").iterdir())


def test_older_days_without_newer_columns_and_a_strange_relative_root_build(tmp_path, days):
    strange = Root(tmp_path / "a=b [x] it's *")
    days.copy(strange.folder)
    newer = {"recording_audio": ["content_type", "listed_state"], "transcript_status": ["segments"]}
    oldest = days.mart("recording_facts")["date"].min()
    for table, columns in newer.items():
        (file,) = strange.path.glob(f"tables/{table}/date={oldest}/*.parquet")
        pq.write_table(pq.read_table(file, partitioning=None).drop_columns(columns), file)
    done = dbt(f"./{strange.folder.name}/media", tmp_path)
    assert "WARN=0 ERROR=0 SKIP=0" in done.stdout, done.stdout + done.stderr
    found, expected = strange.mart("recording_facts"), days.mart("recording_facts")
    old = expected["date"] == oldest
    assert found[old]["content_type"].isna().all()
    assert (found[old]["segments"] == 0).all()
    pd.testing.assert_frame_equal(found[~old], expected[~old])
    pd.testing.assert_frame_equal(strange.mart("availability_daily"), days.mart("availability_daily"))


def test_a_failed_test_is_named_and_keeps_the_published_marts(tmp_path, days):
    root = Root(tmp_path)
    days.copy(tmp_path)
    published = {mart: days.part(mart).read_bytes() for mart in MARTS}
    for mart, content in published.items():
        root.part(mart).parent.mkdir(parents=True)
        root.part(mart).write_bytes(content)
    (file,) = root.path.glob(f"tables/availability_report/date={days.mart(MARTS[0])['date'].max()}/*.parquet")
    table = pq.read_table(file, partitioning=None)
    names = table.schema.get_field_index("status")
    pq.write_table(table.set_column(names, "status", [["lost"] * len(table)]), file)
    done = dbt(root.path, tmp_path)
    assert done.returncode == 1
    assert "Failure in test known_status_stg_availability_report" in done.stdout
    assert "The marts are not published" in done.stdout
    assert {mart: root.part(mart).read_bytes() for mart in MARTS} == published


def test_a_database_of_another_name_is_refused_in_a_sentence(tmp_path):
    done = dbt(tmp_path / "media", tmp_path, MEDIA_REPORTS_DB=str(tmp_path / "other.duckdb"))
    assert done.returncode != 0
    assert "must name a file media.duckdb" in done.stdout


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
    assert set(tables) == {*TABLES, "exported_days"}
    for name, schema in TABLES.items():
        assert tables[name]["config"]["meta"]["dagster"]["asset_key"] == [name]
        contract = {field.name: field.metadata[b"description"].decode() for field in schema}
        assert described[name] == {"date": described[name]["date"]} | contract
