"""The code location `reports`: the job, its checks, the publication, and a manifest that runs never parse anew."""

import os
import shutil
import time
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.ownership import ANALYSTS
from media_pipeline.reports import manifest as manifests
from media_pipeline.reports.build import JOB, build_reports
from media_pipeline.reports.built import Relation, column_lineage, told
from media_pipeline.reports.places import PROJECT
from media_pipeline.reports.publishing import publish
from media_pipeline.settings import Settings
from media_pipeline_tests.reports.conftest import MARTS, Root


def settings_of(root: Root) -> Settings:
    return Settings(root=str(root.path), spool=root.folder / "spool")


def build(root: Root, *, settings: Settings | None = None, **options) -> dg.ExecuteInProcessResult:
    job = build_reports(settings or settings_of(root), retry=None).resolve_job_def(JOB)
    return job.execute_in_process(
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        **options,
    )


def bytes_of(files: list[Path]) -> list[tuple[str, bytes]]:
    return [(file.parent.name, file.read_bytes()) for file in files]


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data.error.to_string()


def test_the_job_gives_what_dbt_by_hand_gives_checks_all_of_it_and_parses_nothing(tmp_path, days, monkeypatch):
    root = days.copy(tmp_path)
    manifests.fresh_manifest()
    monkeypatch.setattr(manifests, "_parse", lambda *_: pytest.fail("a fresh manifest is parsed"))
    logs = []

    def publish_and_read_the_log(store, file, key):
        logs.append((file.parent / "target/dbt.log").read_text())
        return publish(store, file, key)

    monkeypatch.setattr("media_pipeline.reports.marts.publish", publish_and_read_the_log)
    result = build(root)
    assert result.success, failure_of(result)
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert made == {path.stem for path in PROJECT.glob("models/*/*.sql")}
    assert_told_of_rows_and_columns(result, days)
    checks = result.get_asset_check_evaluations()
    assert {check.asset_key.to_user_string() for check in checks} >= set(MARTS)
    assert len(checks) > 30
    assert all(check.passed for check in checks)
    for mart in MARTS:
        assert bytes_of(root.parts(mart)) == bytes_of(days.parts(mart))
        query = f"select * from {mart} order by all"  # noqa: S608
        assert root.query(query).equals(days.query(query))
    (log,) = logs
    assert "Nothing changed, skipping partial parsing" in log
    assert "Unable to do partial parsing" not in log


def assert_told_of_rows_and_columns(result: dg.ExecuteInProcessResult, root: Root) -> None:
    """Each mart's materialization has its rows and what its columns are made of, down to columns of the tables."""
    metadata = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    for mart in MARTS:
        assert metadata[mart]["dagster/row_count"].value == root.query(f"select count(*) from {mart}").iat[0, 0]  # noqa: S608
        columns = set(root.query(f"select * from {mart} limit 0").columns)  # noqa: S608
        assert set(made_of(metadata, mart)) <= columns
    assert made_of(metadata, "recording_facts")["compression_ratio"] == [
        ("stg_recording_audio", "source_bytes"),
        ("stg_recording_audio", "stored_bytes"),
    ]
    assert made_of(metadata, "stg_recording_audio")["source_bytes"] == [("recording_audio", "source_size_bytes")]
    assert made_of(metadata, "speaker_talk_time")["silence_seconds"] == [
        ("stg_diarized_transcripts", "end_ms"),
        ("stg_diarized_transcripts", "start_ms"),
        ("stg_recording_inventory", "duration_seconds"),
    ]
    assert "dagster/column_lineage" not in metadata["stg_days"], "days are files, no columns"


def made_of(metadata: dict, asset: str) -> dict[str, list[tuple[str, str]]]:
    lineage = metadata[asset]["dagster/column_lineage"].value.deps_by_column
    return {name: [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps] for name, deps in lineage.items()}


def test_sql_that_cannot_be_read_has_no_lineage_and_stops_nothing():
    relation = Relation("raw", "t")
    keys = {relation: dg.AssetKey("t")}
    columns = {relation: {"a": "INTEGER"}}
    found = column_lineage("select a + 1 as b from raw.t", {"b": "INTEGER"}, columns, keys)
    assert found.deps_by_column == {"b": [dg.TableColumnDep(dg.AssetKey("t"), "a")]}
    assert column_lineage("select ((", {"b": "INTEGER"}, columns, keys) is None
    assert column_lineage("select a as b from raw.t", {"missing": "INTEGER"}, columns, keys) is None


def test_a_day_without_recordings_and_then_one_mart_alone(empty_day):
    assert "materialize all of staging and marts once" in failure_of(
        build(empty_day, asset_selection=[dg.AssetKey("availability_daily")])
    )
    assert build(empty_day).success
    before = empty_day.database.stat().st_mtime_ns
    result = build(empty_day, asset_selection=[dg.AssetKey("availability_daily")])
    assert [e.asset_key.to_user_string() for e in result.get_asset_materialization_events()] == ["availability_daily"]
    assert empty_day.database.stat().st_mtime_ns > before
    assert empty_day.query("select listed, is_settled from availability_daily").values.tolist() == [[0, True]]
    assert empty_day.query("select count(*) as n from recording_facts").n[0] == 0
    assert not list((empty_day.folder / "spool/reports").iterdir())


def test_a_failed_check_is_named_and_what_was_published_stays(tmp_path, red_day):
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = red_day.copy(tmp_path)
    (file,) = root.path.glob("tables/recording_inventory/*/*.parquet")
    table = pq.read_table(file, partitioning=None)
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), file)
    shutil.copytree(red_day.path / "marts", root.path / "marts")
    result = build(root)
    assert not result.success
    assert "unique_key_stg_recording_inventory" in failure_of(result)
    failed = {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}
    assert failed == {"unique_key_stg_recording_inventory"}
    for published in (red_day.database, *red_day.parts(*MARTS)):
        assert (root.path / published.relative_to(red_day.path)).read_bytes() == published.read_bytes()
    assert [p.name for p in (tmp_path / "spool/reports").glob("*/*")] == ["target"]


def test_what_a_build_by_hand_wrote_meanwhile_stays(tmp_path, empty_day, monkeypatch):
    root = empty_day.copy(tmp_path)
    assert build(root).success

    def told_and_overtaken(*arguments):
        yield from told(*arguments)
        with duckdb.connect(str(root.database)) as connection:
            connection.execute("create table by_hand as select 1 as a")

    monkeypatch.setattr("media_pipeline.reports.marts.told", told_and_overtaken)
    assert "was written by a build by hand" in failure_of(build(root))
    assert root.query("select a from by_hand").a[0] == 1
    monkeypatch.undo()
    assert build(root).success


def test_an_old_manifest_is_parsed_anew_and_a_fresh_one_is_not(tmp_path):
    project = tmp_path / "dbt_reports"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    manifest = manifests.fresh_manifest(project)
    first = manifest.stat().st_mtime_ns
    assert manifests.fresh_manifest(project).stat().st_mtime_ns == first
    assert not (project / "logs").exists()
    assert sorted(p.name for p in manifest.parent.iterdir()) == sorted(manifests.PARSED)
    later = time.time() + 5
    for change in (
        lambda: os.utime(project / "models/sources.yml", (later, later)),
        lambda: manifest.write_text("{"),
        manifest.unlink,
    ):
        change()
        assert not manifests._is_fresh(project, manifest)
    (project / "models/sources.yml").write_text("version: 2\nmodels: [{nonsense}]\n")
    with pytest.raises(ConfigurationError, match="dbt cannot parse"):
        manifests.fresh_manifest(project)


def test_without_dbt_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(manifests.sys, "executable", "/no/python")
    with pytest.raises(ConfigurationError, match=r"needs dbt, which is not installed: install the extra reports"):
        build_reports(Settings())


def test_without_the_project_one_sentence_says_where_it_belongs(tmp_path):
    with pytest.raises(ConfigurationError, match="There is no dbt project in"):
        manifests.fresh_manifest(tmp_path)


def test_marts_hang_on_the_tables_of_the_other_location_and_show_their_columns():
    graph = build_reports(Settings()).resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get(dg.AssetKey("stg_recording_audio")).parent_keys} == {
        "recording_audio",
        "stg_exported_days",
    }
    for mart in MARTS:
        node = graph.get(dg.AssetKey(mart))
        assert node.group_name == "marts"
        assert node.kinds == {"dbt", "duckdb", "parquet"}
        assert node.owners == [ANALYSTS]
        columns = node.metadata["dagster/column_schema"].columns
        assert columns
        assert all(column.description and column.type != "?" for column in columns)


def test_every_check_says_in_a_sentence_what_it_tests():
    graph = build_reports(Settings()).resolve_asset_graph()
    said = {key.name: graph.get(key).description for key in graph.asset_check_keys}
    assert len(said) > 60
    assert [name for name, sentence in said.items() if not sentence or not sentence.endswith(".")] == []
    assert said["unique_key_speaker_talk_time"] == "No two rows have the same values in: date, recording_id, speaker."
    assert said["known_side_speaker_talk_time"] == "Where side has a value, it is one of: customer, agent."
    assert said["failure_ageing_has_its_day"] == "Every date is a date of availability_daily too."
    assert said["totals_contain_their_day"] == "A running total is at least its day."
