"""A question about many days reads months where there are any, and answers the same; one about few reads its days."""

import datetime as dt
import json
import os
import shutil
import subprocess

import duckdb
import pytest

from media_pipeline.sql.asking import asker
from media_pipeline.sql.session import session
from media_pipeline.sql.views import MANY_DAYS, Views, over_months, typed
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.compaction import compact
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.sql.conftest import PROGRAM, Archive, quota

FIRST, DAYS = dt.date(2025, 10, 1), 100
"""Three months that are over, and eight days of January."""
TODAY = dt.date(2026, 1, 9)
TABLES_COMPACTED = ("storage_quota", "export_runs")
TOTAL = "select count(*), count(distinct date), sum(used_mb) from storage_quota"
LONG = ("Total Files Read: 3", "Total Files Read: 8")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A hundred days with a row and two runs each, compacted; only read."""
    found = Archive(tmp_path_factory.mktemp("months") / "it's [a] root*")
    tables = Tables(found.store)
    run = {"step": "recording_audio", "attempts": 1}
    for number in range(DAYS):
        day = FIRST + dt.timedelta(days=number)
        tables.write("storage_quota", day, [quota(float(number))])
        for part in ("a", "b"):
            tables.write("export_runs", day, [run | {"run_id": part, "recording_id": f"{number}"}], part=part)
    for table in TABLES_COMPACTED:
        compact(found.store, table, TODAY)
    return found


@pytest.fixture
def archive(root, tmp_path):
    """The same, to be changed."""
    copy = Archive(tmp_path / "root")
    subprocess.run(["cp", "-a", str(root.path), str(copy.path)], check=True)
    return copy


def everything(archive):
    return archive.answer("from storage_quota order by all")


def test_a_question_about_all_days_reads_months_and_the_days_that_are_in_none(root):
    plan = root.plan(TOTAL)
    assert all(read in plan for read in LONG), plan
    assert root.answer(TOTAL) == [(DAYS, DAYS, float(sum(range(DAYS))))]


@pytest.mark.parametrize(
    ("condition", "files"),
    [("date = '2025-12-05'", 1), ("date between '2025-11-20' and '2025-12-09'", 20), ("date > '2026-01-06'", 2)],
)
def test_a_question_about_few_days_reads_their_files_only(root, condition, files):
    assert f"Scanning Files: {files}/{DAYS}" in root.plan(f"select sum(used_mb) from storage_quota where {condition}")  # noqa: S608


@pytest.mark.parametrize("days", [1, MANY_DAYS, DAYS - 1, DAYS])
def test_a_condition_on_days_that_leaves_none_out_is_none(root, days):
    last = FIRST + dt.timedelta(days=days - 1)
    plan = root.plan(f"select sum(used_mb) from storage_quota where date between '{FIRST}' and '{last}'")  # noqa: S608
    assert (f"Scanning Files: {days}/{DAYS}" in plan) == (days < DAYS)
    assert ("/2025-11.parquet" in plan) == (days == DAYS)


def test_a_condition_on_days_holds_in_months_too(root):
    question = "select min(date), count(*) from storage_quota where month(date) = 11 and used_mb >= 0"
    assert root.answer(question) == [(dt.date(2025, 11, 1), 30)]


def test_a_table_with_several_files_a_day_is_read_whole(root):
    assert root.answer("select count(*), count(distinct (date, run_id)) from export_runs") == [(2 * DAYS, 2 * DAYS)]
    assert "/2025-10.parquet" in root.plan("select count(recording_id) from export_runs")


def test_few_days_with_many_files_each_are_few_days(archive):
    for hour in range(24):
        for day in (dt.date(2025, 10, 1), dt.date(2025, 10, 2), dt.date(2025, 10, 3)):
            Tables(archive.store).write("export_runs", day, [], part=f"hour-{hour}")
    compact(archive.store, "export_runs", TODAY)
    plan = archive.plan("select count(*) from export_runs where date <= '2025-10-03'")
    assert f"Scanning Files: 78/{2 * DAYS + 72}" in plan


def test_a_table_of_which_few_days_are_asked_is_read_day_by_day_beside_one_of_which_all_are(root):
    plan = root.plan(
        "select sum(used_mb) from storage_quota "
        "where date = '2025-10-05' and (select count(recording_id) from export_runs) > 0"
    )
    assert f"Scanning Files: 1/{DAYS}" in plan
    assert "/compacted/export_runs/" in plan
    assert "/compacted/storage_quota/" not in plan


def test_months_are_not_read_where_they_are_more_files_than_the_days(tmp_path):
    archive = Archive(tmp_path / "root")
    days = [dt.date(2018 + number // 12, number % 12 + 1, 15) for number in range(70)]  # one a month
    for day in days:
        Tables(archive.store).write("storage_quota", day, [quota(1.0)])
    compact(archive.store, "storage_quota", TODAY)
    assert "/compacted/" not in archive.plan(TOTAL)
    assert archive.answer(TOTAL) == [(70, 70, 70.0)]


@pytest.mark.parametrize("broken", ["_days.json", "."])
def test_copies_that_cannot_be_looked_at_stop_no_question(archive, broken):
    place = archive.path / "compacted/storage_quota" / broken
    if place.is_dir():
        shutil.rmtree(place)
        place.write_text("no folder")
    else:
        place.unlink()
        place.mkdir()
    assert archive.answer("select count(*) from storage_quota") == [(DAYS,)]


@pytest.fixture(scope="module")
def talked(tmp_path_factory):
    """A hundred days with an utterance each, three months of them compacted."""
    found = Archive(tmp_path_factory.mktemp("talked") / "root")
    for number in range(DAYS):
        said = {"recording_id": str(number), "segment_index": 0, "start_ms": 0, "end_ms": number, "speaker": "customer"}
        row = dict.fromkeys(TABLES["diarized_transcripts"].names) | said | {"text": f"utterance {number}"}
        counts = {name: 0 for name in row if name.startswith("pii_")}
        Tables(found.store).write("diarized_transcripts", FIRST + dt.timedelta(days=number), [row | counts])
    compact(found.store, "diarized_transcripts", TODAY)
    return found


@pytest.mark.parametrize(
    ("question", "months"),
    [
        ("select speaker, count(*), sum(end_ms) from diarized_transcripts group by all", True),
        ("select count(*) from diarized_transcripts", True),
        ("select recording_id from diarized_transcripts order by end_ms desc limit 3", True),
        ("select min(text), count(distinct text) from diarized_transcripts", False),
        ("select count(*) from diarized_transcripts where text like '%9%'", False),
        ('select count(*) from diarized_transcripts where length("TEXT") > 12', False),
        ("from diarized_transcripts order by all", False),
        ("select max(columns(*)) from diarized_transcripts", False),
        ("select max(d) from diarized_transcripts as d", False),
        ("select count(*) from diarized_transcripts a join diarized_transcripts b using (text)", False),
        (
            "select count(*) from (select recording_id, text from diarized_transcripts order by end_ms desc limit 9)",
            True,
        ),
    ],
)
def test_what_was_said_is_read_where_it_lies_and_the_rest_from_months(talked, question, months):
    assert ("/compacted/" in talked.plan(question)) == months
    answer = talked.answer(question)
    aside = talked.path.parent / "aside"
    (talked.path / "compacted").rename(aside)
    assert talked.answer(question) == answer
    aside.rename(talked.path / "compacted")


def test_a_month_never_passes_what_it_lacks_for_nothing(talked):
    (key, *_) = talked.store.sizes("compacted/", ".parquet")
    with duckdb.connect() as connection:
        columns = [*typed(connection, TABLES["diarized_transcripts"]), ("date", "DATE")]
        connection.execute("create view v as " + over_months("diarized_transcripts", columns, [f"{talked.path}/{key}"]))
        assert connection.sql("select count(*), count(speaker) from v").fetchall()[0][0] > 0
        with pytest.raises(duckdb.InvalidInputException, match="Ask for a shorter time"):
            connection.sql("select text from v").fetchall()


def test_rows_come_in_the_order_of_their_days(archive):
    Tables(archive.store).write("storage_quota", FIRST, [quota(1.0)])
    assert [row[0] for row in archive.answer("select date from storage_quota limit 3")] == [
        FIRST + dt.timedelta(days=number) for number in range(3)
    ]


def test_tables_with_and_without_months_are_joined(root):
    answer = root.answer(
        "select count(*) from storage_quota join export_runs using (date) left join recording_audio using (date)"
    )
    assert answer == [(2 * DAYS,)]


def test_columns_and_their_types_are_the_same(root, archive):
    (archive.path / "compacted").rename(archive.path / "aside")
    assert everything(root) == everything(archive)
    described = "describe from export_runs"
    assert root.answer(described) == archive.answer(described)
    kinds = "select distinct typeof(columns(*)) from export_runs"
    assert root.answer(kinds) == archive.answer(kinds)


def test_a_day_that_changed_is_read_at_once(archive):
    day = dt.date(2025, 11, 11)
    Tables(archive.store).write("storage_quota", day, [quota(5000.0)])
    assert archive.answer(f"select used_mb from storage_quota where used_mb > 4000 or date = '{day}'") == [(5000.0,)]  # noqa: S608
    assert "/2025-11.parquet" not in archive.plan(TOTAL)
    archive.file("storage_quota", day).unlink()
    assert archive.answer("select count(*) from storage_quota") == [(DAYS - 1,)]
    compact(archive.store, "storage_quota", TODAY)
    assert archive.answer("select count(*) from storage_quota") == [(DAYS - 1,)]
    assert "/2025-11.parquet" in archive.plan(TOTAL)


def test_without_months_the_days_are_read(archive):
    before = everything(archive)
    (archive.path / "compacted").rename(archive.path / "aside")
    assert everything(archive) == before
    assert "/compacted/" not in archive.plan(TOTAL)


def test_a_session_of_ones_own_has_the_months_beside_the_days(root):
    with duckdb.connect() as connection:
        connection.execute("".join(session(root.store, connection)))
        (days,) = connection.sql(TOTAL).fetchall()
        (months,) = connection.sql(TOTAL.replace("storage_quota", "months.storage_quota")).fetchall()
        assert (days[0], months[0], months[1]) == (DAYS, DAYS - 8, DAYS - 8)
        names = connection.sql("select view_name from duckdb_views() where schema_name = 'months'").fetchall()
        assert {name for (name,) in names} == set(TABLES_COMPACTED)
        assert (
            connection.sql("describe months.export_runs").fetchall()
            == connection.sql("describe export_runs").fetchall()
        )


def test_from_a_bucket(root, s3_root, tmp_path):
    store = open_store(s3_root, tmp_path / "spool", 2)
    for path, data in root.files().items():
        if "/tables/" in path:
            store.put(path.removeprefix(f"{root.path}/"), data)
    for table in TABLES_COMPACTED:
        assert len(compact(store, table, TODAY).written) == 3
    with asker(store, Views(store), TOTAL) as asking:
        assert all(read in asking.plan(TOTAL) for read in LONG)
        with asking.ask(TOTAL) as reader:
            assert [tuple(row.values()) for row in reader.read_all().to_pylist()] == root.answer(TOTAL)


def test_the_commands_together(archive):
    (archive.path / "compacted").rename(archive.path / "aside")
    environment = {"PATH": os.environ["PATH"], "HOME": str(archive.path), "MEDIA_ROOT": str(archive.path)}
    options = {"env": environment, "capture_output": True, "text": True, "timeout": 120, "cwd": archive.path}
    done = subprocess.run([PROGRAM, "compact"], **options)
    assert done.returncode == 0, done.stderr
    assert "export_runs: 4 month(s) written, 0 as they were, 0 removed\n" in done.stdout  # January is over by now
    again = subprocess.run([PROGRAM, "compact"], **options)
    assert "storage_quota: 0 month(s) written, 4 as they were, 0 removed\n" in again.stdout
    assert json.loads(archive.run(TOTAL, "--format", "json").stdout)[0]["count_star()"] == DAYS
    assert "Total Files Read: 4" in archive.run(TOTAL, "--explain").stdout

    torn = archive.file("storage_quota", dt.date(2025, 12, 24))
    torn.write_bytes(b"torn")
    red = subprocess.run([PROGRAM, "compact"], **options)
    assert red.returncode == 1
    assert "2025-12 was left out, questions read its days: tables/storage_quota/date=2025-12-24/" in red.stderr

    shutil.rmtree(archive.path / "tables")  # for good
    gone = subprocess.run([PROGRAM, "compact"], **options)
    assert "storage_quota: 0 month(s) written, 0 as they were, 4 removed\n" in gone.stdout, gone.stderr
    assert not list(archive.path.glob("compacted/*/*.parquet"))

    nothing = subprocess.run([PROGRAM, "compact"], **options | {"env": environment | {"MEDIA_ROOT": "nowhere"}})
    assert nothing.returncode == 2
    assert "there is nothing to compact" in nothing.stderr
    assert not LocalStore(archive.path / "nowhere").sizes("leases/")
