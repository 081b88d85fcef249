"""What a question finds: every table and mart by its name, typed, day by day, and only the days it asks for."""

import datetime as dt

import pytest

from media_pipeline.sql.asking import QueryFailed
from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.sql.conftest import DAYS, EARLY


def test_every_table_is_there_with_all_its_columns_before_its_first_day(archive):
    for table, schema in TABLES.items():
        described = {row[0]: row[1] for row in archive.answer(f"describe {table}")}
        assert list(described) == [*schema.names, "date"]
        assert described["date"] == "DATE"
        if table not in ("storage_quota", "export_runs"):
            assert archive.answer(f"select count(*), count(date) from {table}") == [(0, 0)]  # noqa: S608


def test_a_row_has_the_day_of_its_path_as_a_date(archive):
    rows = archive.answer("select date, used_mb from storage_quota order by date")
    assert rows == [(day, float(number)) for number, day in enumerate(DAYS)]


@pytest.mark.parametrize(
    ("condition", "files"),
    [
        ("date = '2026-11-05'", 1),
        ("date between '2026-11-05' and '2026-11-07'", 3),
        ("date >= date '2026-11-11' and used_mb > 0", 2),
        ("date in ('2026-11-01', '2026-11-12')", 2),
    ],
)
def test_a_condition_on_the_day_reads_the_files_of_its_days(archive, condition, files):
    assert f"Scanning Files: {files}/12" in archive.plan(f"select sum(used_mb) from storage_quota where {condition}")  # noqa: S608


def test_files_of_other_days_are_not_even_opened(archive):
    for day in DAYS[1:]:
        archive.file("storage_quota", day).write_bytes(b"not Parquet at all")
    assert archive.answer(f"select used_mb from storage_quota where date = '{DAYS[0]}'") == [(0.0,)]  # noqa: S608


def test_a_day_with_many_files_is_read_whole(archive):
    rows = archive.answer("select recording_id, date from export_runs order by all")
    assert rows == [("run-1", DAYS[0]), ("run-2", DAYS[0])]


def test_a_file_written_before_a_column_came_has_nulls_in_it(archive):
    assert archive.answer("select date, basis from storage_quota where date <= '2026-11-02' order by date") == [
        (EARLY, None),
        (DAYS[1], "usage"),
    ]


def test_marts_are_there_by_name_whether_whole_or_by_day(archive):
    assert archive.answer("select sum(files) from whole_mart where date <= '2026-11-02'") == [(3,)]
    assert archive.answer("select date, files from daily_mart order by date") == [(day, day.day) for day in DAYS[:3]]
    assert "Scanning Files: 1/3" in archive.plan("select sum(files) from daily_mart where date = '2026-11-02'")
    assert archive.answer("describe daily_mart")[0][:2] == ("date", "DATE")


def test_the_log_is_there_and_a_torn_line_is_left_out(archive):
    (row,) = archive.answer("select timestamp, event, recording_id, facts->>'status', date from audit")
    moment = dt.datetime(2026, 11, 2, 0, 0, 1, 500_000, dt.UTC)
    assert row == (moment, "recording_settled", "x", "stored", DAYS[0])


def test_a_name_that_is_put_together_finds_its_table_too(archive):
    assert archive.answer("select count(*) from query_table('storage_' || 'quota')") == [(12,)]


def test_a_join_of_table_mart_and_log_has_one_sense_of_a_day(archive):
    question = "select count(*) from storage_quota join whole_mart using (date) join audit using (date)"
    assert archive.answer(question) == [(1,)]


def test_a_mart_that_cannot_be_read_stops_only_the_questions_that_mean_it(archive):
    key = archive.torn_mart()
    assert archive.answer("select count(*) from storage_quota") == [(12,)]
    assert archive.answer("select count(*) from daily_mart") == [(3,)]
    assert ("foreign",) in archive.answer("show tables")
    columns = "select column_name from information_schema.columns where table_name = 'daily_' || 'mart'"
    assert archive.answer(columns) == [("date",), ("files",)]
    with pytest.raises(QueryFailed, match=rf"^{key} cannot be read \(Parquet file size is 1 bytes.*\): write the mart"):
        archive.answer("from foreign")


def test_a_footer_that_is_torn_names_its_file_too(archive):
    key = archive.torn_mart()
    archive.store.put(key, b"PAR1" + b"\0" * 20 + b"\x08\0\0\0PAR1")
    with pytest.raises(QueryFailed, match=f"^{key} cannot be read"):
        archive.answer("from foreign")


def test_names_of_marts_have_no_case(archive):
    for name in ("Storage_Quota", "AUDIT", "Whole_Mart"):
        archive.store.put(f"marts/{name}/x.parquet", b"x")
    assert archive.answer("select count(*) from storage_quota") == [(12,)]
    assert archive.answer("select sum(files) from Whole_Mart where date <= '2026-11-02'") == [(3,)]


def test_an_empty_root_answers(archive, tmp_path):
    from media_pipeline_tests.sql.conftest import Archive

    (tmp_path / "empty").mkdir()
    assert Archive(tmp_path / "empty").answer("select count(*) from recording_audio") == [(0,)]
