"""The script for a DuckDB of one's own: the same tables, also of days that come or change while it is open."""

import datetime as dt

import duckdb
import pytest

from media_pipeline.sql.session import session
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.sql.conftest import DAYS, EARLY, quota

NEW = DAYS[-1] + dt.timedelta(days=1)


@pytest.fixture
def opened(archive):
    with duckdb.connect() as connection:
        connection.execute("".join(session(archive.store, connection)))
        yield connection


def rows(connection, query):
    return connection.sql(query).fetchall()


def test_every_table_and_mart_is_there_as_the_command_shows_it(archive, opened):
    for name in (*TABLES, "daily_mart", "whole_mart"):
        asked = archive.answer(f"describe {name}")
        assert [row[:2] for row in rows(opened, f"describe {name}")] == [row[:2] for row in asked]
        everything = f"select * from {name} order by all"  # noqa: S608
        assert len(rows(opened, everything)) == len(archive.answer(everything))
    assert rows(opened, f"select basis from storage_quota where date = '{EARLY}'") == [(None,)]  # noqa: S608


def test_the_command_prints_what_duckdb_takes(archive):
    done = archive.run("--ddl", "duckdb")
    assert (done.returncode, done.stderr) == (0, "")
    with duckdb.connect() as connection:
        connection.execute(done.stdout)
        assert rows(connection, "select count(*) from storage_quota") == [(len(DAYS),)]
    assert "export_runs has no day yet" not in done.stdout
    assert "recording_audio has no day yet" in done.stdout


@pytest.mark.parametrize("engine", ["duckdb", "spark", "athena"])
def test_a_mart_that_cannot_be_read_is_a_comment(archive, engine):
    key = archive.torn_mart()
    done = archive.run("--ddl", engine)
    assert (done.returncode, done.stderr) == (0, "")
    (told,) = [line for line in done.stdout.splitlines() if "foreign" in line]
    assert told.startswith("-- No ")
    assert f"foreign: {key} cannot be read" in told
    assert "whole_mart" in done.stdout
    assert archive.run("--ddl", engine, "foreign").returncode == 2


def test_the_settings_are_those_of_a_disk(opened):
    right = {"async_threads": "0", "enable_external_file_cache": "false", "parquet_metadata_cache": "true"}
    kept = dict(rows(opened, "select name, value from duckdb_settings()"))
    assert {name: kept[name] for name in right} == right


def test_one_name_makes_one_view(archive):
    script = archive.run("--ddl", "duckdb", "daily_mart").stdout
    assert script.count("create or replace view") == 1
    wrong = archive.run("--ddl", "duckdb", "dayly_mart")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Did you mean daily_mart?" in " ".join(wrong.stderr.split())


def test_a_condition_on_the_day_reads_the_files_of_its_days(opened):
    for name, total in (("storage_quota", len(DAYS)), ("daily_mart", 3)):
        plan = rows(opened, f"explain analyze from {name} where date = '2026-11-02'")[0][1]
        assert f"Scanning Files: 1/{total}" in plan


def test_a_day_that_comes_later_is_read(archive, opened):
    assert rows(opened, "select max(date) from storage_quota") == [(DAYS[-1],)]
    Tables(archive.store).write("storage_quota", NEW, [quota(99.0)])
    assert rows(opened, "select max(date), max(used_mb) from storage_quota") == [(NEW, 99.0)]


def test_a_day_that_is_written_again_is_read_anew_although_footers_are_kept(archive, opened):
    query = f"select count(*), sum(used_mb) from storage_quota where date = '{DAYS[5]}'"  # noqa: S608
    assert rows(opened, query) == [(1, 5.0)]
    for number in range(2, 6):
        Tables(archive.store).write("storage_quota", DAYS[5], [quota(1.0)] * number)
        assert rows(opened, query) == [(number, float(number))]


def test_a_table_with_a_file_a_run_has_all_of_them(archive, opened):
    run = {"run_id": "b", "step": "recording_audio", "calls": 1}
    assert rows(opened, "select count(*) from export_runs") == [(len(archive.answer("from export_runs")),)]
    Tables(archive.store).write("export_runs", NEW, [run, run], part="b")
    assert rows(opened, f"select count(*) from export_runs where date = '{NEW}'") == [(2,)]  # noqa: S608


def test_comments_say_what_the_dictionary_says(opened):
    (about,) = rows(opened, "select comment from duckdb_views() where view_name = 'recording_audio'")
    assert about[0].startswith("One row per ")
    told = rows(
        opened,
        "select count(*) filter (comment is null), count(*) from duckdb_columns() "
        "where table_name = 'recording_audio' and column_name <> 'date'",
    )
    assert told == [(0, len(TABLES["recording_audio"].names))]
