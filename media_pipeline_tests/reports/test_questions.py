"""The documented questions: tables and marts give the same answers, and a question about days reads only theirs."""

import datetime as dt
import math
import re

import duckdb
import pytest

from benchmarks.year import ways
from benchmarks.year.generate import write_year
from media_pipeline_tests.reports.conftest import Root, built

FIRST, DAYS = dt.date(2025, 11, 25), 37
BY_NAME, OF_MARTS = ways.queries(), ways.queries(".marts.sql")
DATED = {name: query for name, query in BY_NAME.items() if "date '" in query}
ABOUT_EQUAL = {"hours", "share"}
"""Where somebody's own utterances overlap, the mart counts the time once."""


@pytest.fixture(scope="module")
def month(new_folder):
    root = Root(new_folder())
    for _ in write_year(root.path, FIRST, DAYS, 60, 4.0):
        pass
    return built(root)


def answer(connection, query):
    rows = connection.execute(query)
    names = [column[0] for column in rows.description]
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def asked_days(query):
    """The days that a question is about, from its dates."""
    dates = [dt.date.fromisoformat(text) for text in re.findall(r"date '(\d{4}-\d{2}-\d{2})'", query)]
    return (max(dates) - min(dates)).days + 1


def test_there_are_ten_questions():
    assert len(BY_NAME) == 10
    assert set(OF_MARTS) < set(BY_NAME)


@pytest.mark.parametrize("name", OF_MARTS)
def test_the_marts_give_the_answer_that_the_tables_give(month, name):
    connection = ways.over_views(month.path)
    from_tables, from_marts = answer(connection, BY_NAME[name]), answer(connection, OF_MARTS[name])
    assert len(from_tables) == len(from_marts) > 0
    both = from_tables[0].keys() & from_marts[0].keys()
    assert len(both) >= min(len(from_tables[0]), len(from_marts[0])) - 1
    for mine, its in zip(from_tables, from_marts, strict=True):
        for column in both:
            if column in ABOUT_EQUAL and name == "talk_share":
                assert math.isclose(mine[column], its[column], rel_tol=0.1, abs_tol=0.11)
            else:
                assert mine[column] == its[column], column


@pytest.mark.parametrize(
    ("question", "table"),
    [
        (BY_NAME["storage_growth"], "storage_utilization"),
        (OF_MARTS["storage_growth"], "storage_utilization_daily"),
    ],
)
def test_a_month_in_which_nothing_of_a_format_was_stored_still_holds_it(question, table):
    stored = "('2025-10-05', 'mp3', 9), ('2025-10-31', 'wav', 1), ('2025-11-02', 'wav', 2), ('2026-01-01', null, 4)"
    with duckdb.connect() as connection:
        connection.execute(
            f"create table {table} as select date::date as date, 'call' as media_type, format, "  # noqa: S608
            "gb * 1000000000::bigint as stored_bytes, 2 * stored_bytes as source_bytes, stored_bytes as saved_bytes "
            f"from (values {stored}) as stored (date, format, gb)"
        )
        found = [(str(row["month"]), *list(row.values())[2:]) for row in answer(connection, question)]
        assert found == [
            ("2025-10-01", "mp3", 9, 9, 9),
            ("2025-10-01", "wav", 1, 1, 1),
            ("2025-11-01", "mp3", 9, 0, 0),
            ("2025-11-01", "wav", 3, 2, 2),
            ("2025-12-01", "mp3", 9, 0, 0),
            ("2025-12-01", "wav", 3, 0, 0),
            ("2026-01-01", "mp3", 9, 0, 0),
            ("2026-01-01", "wav", 3, 0, 0),
            ("2026-01-01", None, 4, 4, 4),
        ]


@pytest.mark.parametrize("name", DATED)
@pytest.mark.parametrize("way", [ways.over_views, ways.over_hive])
def test_a_question_about_days_reads_the_files_of_these_days_only(month, name, way):
    read = ways.files_read(way(month.path), DATED[name])
    assert set(read) == {f"{asked_days(DATED[name])}/{DAYS}"}


@pytest.mark.parametrize("name", sorted(DATED.keys() & OF_MARTS.keys()))
def test_the_same_holds_for_the_marts(month, name):
    assert set(ways.files_read(ways.over_views(month.path), OF_MARTS[name])) == {f"{asked_days(DATED[name])}/{DAYS}"}


def test_one_merged_file_of_each_table_gives_the_same_answers(month, tmp_path):
    ways.merge(month.path, tmp_path)
    merged, tables = ways.over_merged(tmp_path), ways.over_views(month.path)
    for query in BY_NAME.values():
        assert answer(merged, query) == answer(tables, query)
