"""Which days a build takes in: no changed day can be missed, and no other day is touched."""

import datetime as dt
import os
import re
import shutil

import duckdb
import pytest

from media_pipeline.reports.days import READ_TABLES, logic_of, note_days, parts_of
from media_pipeline.reports.places import PROJECT
from media_pipeline.storage.local import LocalStore

FIRST, SECOND, THIRD = (dt.date(2026, 11, day) for day in (1, 2, 3))
YEARS_AGO = 1_600_000_000_000_000_000


@pytest.fixture
def store(tmp_path):
    store = LocalStore(tmp_path)
    for day in (FIRST, SECOND):
        write(store, "recording_inventory", day)
        write(store, "availability_report", day)
    return store


@pytest.fixture
def database():
    with duckdb.connect() as connection:
        yield connection


def write(store, table, day, content=b"1", *, name="part-0", at=YEARS_AGO):
    key = f"tables/{table}/date={day}/{name}.parquet"
    store.put(key, content)
    os.utime(store.root / key, ns=(at, at))


def due(database, store, *, builds=True, everything=False, logic="as ever", passes=True):
    """What a build finds due; at its end it notes the days as built, as macros/publish_marts.sql does, if it passes."""
    parts = note_days(database, parts_of(store), builds=builds, everything=everything, logic=logic)
    days = {day for (day,) in database.execute("select date from raw.due_days").fetchall()}
    assert {part.day for part in parts} <= days
    if builds and passes:
        database.execute("delete from builds.days where date in (select date from raw.due_days)")
        database.execute(
            "insert into builds.days select date, fingerprint from raw.days where is_due and fingerprint is not null"
        )
    return days


def test_all_days_are_due_once_and_then_none(database, store):
    assert due(database, store) == {FIRST, SECOND}
    assert due(database, store) == set()


@pytest.mark.parametrize("table", READ_TABLES)
def test_a_day_is_due_when_any_of_its_tables_was_written_again(database, store, table):
    due(database, store)
    write(store, table, SECOND, b"2", at=YEARS_AGO + 1)
    assert due(database, store) == {SECOND}
    write(store, table, THIRD)
    assert due(database, store) == ({THIRD} if table != "export_runs" else set())
    assert due(database, store) == set()


def test_what_other_work_costs_makes_no_exported_day_and_an_export_without_a_listing_does(database, store):
    write(store, "export_runs", THIRD, name="a-sweep-of-today")
    assert due(database, store) == {FIRST, SECOND}
    write(store, "storage_quota", THIRD)
    assert due(database, store) == {THIRD}


def test_a_folder_that_is_no_day_is_passed_over(database, store):
    store.put("tables/recording_audio/date=2026-02-30/part-0.parquet", b"")
    assert due(database, store) == {FIRST, SECOND}


def test_a_file_more_or_one_less_makes_a_day_due(database, store):
    due(database, store)
    write(store, "export_runs", FIRST, name="another-run")
    assert due(database, store) == {FIRST}
    store.remove(f"tables/export_runs/date={FIRST}/another-run.parquet")
    assert due(database, store) == {FIRST}


def test_a_day_that_is_gone_is_due_to_be_forgotten(database, store):
    due(database, store)
    for table in ("recording_inventory", "availability_report"):
        store.remove(f"tables/{table}/date={FIRST}/part-0.parquet")
    assert due(database, store) == {FIRST}
    gone = database.execute("select fingerprint, has_report from raw.days where date = ?", [FIRST]).fetchall()
    assert gone == [(None, False)]
    assert due(database, store) == set()


def test_a_day_whose_build_broke_off_stays_due_though_its_files_are_as_before(database, store):
    due(database, store)
    write(store, "recording_audio", FIRST)
    assert due(database, store, passes=False) == {FIRST}
    store.remove(f"tables/recording_audio/date={FIRST}/part-0.parquet")
    assert due(database, store) == {FIRST}


def test_a_day_that_is_gone_stays_due_until_a_build_of_everything_passed(database, store):
    due(database, store)
    for table in ("recording_inventory", "availability_report"):
        store.remove(f"tables/{table}/date={FIRST}/part-0.parquet")
    for _ in range(2):
        assert due(database, store, passes=False) == {FIRST}
    write(store, "recording_audio", THIRD)
    assert due(database, store, passes=False) == {FIRST, THIRD}
    store.remove(f"tables/recording_audio/date={THIRD}/part-0.parquet")
    assert due(database, store) == {FIRST, THIRD}
    assert due(database, store) == set()


def test_a_day_that_is_gone_is_not_forgotten_when_its_note_breaks_off(database, store):
    due(database, store)
    for table in ("recording_inventory", "availability_report"):
        store.remove(f"tables/{table}/date={FIRST}/part-0.parquet")

    class Breaking:
        def __getattr__(self, name):
            return getattr(database, name)

        def execute(self, query, *values):
            if query.startswith("insert into builds.days select date, null"):
                raise KeyboardInterrupt
            return database.execute(query, *values)

    with pytest.raises(KeyboardInterrupt):
        due(Breaking(), store)
    database.rollback()  # as a kill does
    assert due(database, store) == {FIRST}


def test_what_is_written_in_the_moment_of_the_listing_is_due_again(database, store):
    due(database, store)
    store.put(f"tables/recording_audio/date={FIRST}/part-0.parquet", b"1")
    assert due(database, store) == {FIRST}
    store.put(f"tables/recording_audio/date={FIRST}/part-0.parquet", b"2")
    assert due(database, store) == {FIRST}


def test_other_sql_and_a_lost_table_make_all_days_due(database, store):
    due(database, store)
    database.execute("create table old_mart (date date)")
    assert due(database, store, logic="changed") == {FIRST, SECOND}
    assert (
        database.execute("select table_name from information_schema.tables where table_schema = 'main'").fetchall()
        == []
    )
    database.execute("create table recording_facts (date date)")
    database.execute("insert into builds.models values ('recording_facts')")
    assert due(database, store, logic="changed") == set()
    database.execute("drop table recording_facts")
    assert due(database, store, logic="changed") == {FIRST, SECOND}


def test_a_full_refresh_and_a_command_that_builds_nothing_see_all_days(database, store):
    due(database, store)
    assert due(database, store, everything=True) == {FIRST, SECOND}
    assert due(database, store, builds=False) == {FIRST, SECOND}
    assert due(database, store) == set()


def test_other_models_and_macros_are_another_logic_and_other_descriptions_are_not(tmp_path):
    project = tmp_path / "dbt_reports"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    logic = logic_of(project)
    assert logic == logic_of(PROJECT)
    yml = project / "models/marts/recording_facts.yml"
    yml.write_text(yml.read_text() + "\n# a remark\n")
    assert logic_of(project) == logic
    seen = {logic}
    for name in ("models/marts/recording_facts.sql", "macros/words.sql", "dbt_project.yml"):
        (project / name).write_text((project / name).read_text() + "\n-- more\n")
        seen.add(logic_of(project))
    assert len(seen) == 4


def test_staging_reads_the_tables_whose_files_are_watched():
    text = "".join(path.read_text() for path in PROJECT.glob("models/*/*.sql"))
    read = set(re.findall(r"source\('media', '(\w+)'\)", text))
    assert read == {*READ_TABLES, "days", "inventory_notes"}
