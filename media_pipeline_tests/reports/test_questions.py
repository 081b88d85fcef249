"""The documented questions: tables and marts give the same answers, and a question about days reads only theirs."""

import datetime as dt
import re

import duckdb
import pytest
import sqlglot

from benchmarks.year import ways
from benchmarks.year.generate import write_year
from media_pipeline.tables.runs import EXPORT_STEPS
from media_pipeline_tests.reports.conftest import Root, built

FIRST, DAYS = dt.date(2025, 11, 25), 37
BY_NAME, OF_MARTS = ways.queries(), ways.queries(".marts.sql")
DATED = {name: query for name, query in BY_NAME.items() if "date '" in query}


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


@pytest.mark.parametrize("query", [*BY_NAME.values(), *OF_MARTS.values()], ids=[*BY_NAME, *OF_MARTS])
def test_the_order_of_an_answer_is_a_whole_one(query):
    """Two groups are never alike in all that an answer is ordered by."""
    asked = sqlglot.parse_one(query, dialect="duckdb")
    grouped_by = asked.args["group"].expressions if "group" in asked.args else []
    columns = {column.alias_or_name: column.unalias().name for column in asked.selects}
    ordered_by = {columns.get(key.this.name, key.this.name) for key in asked.args["order"].expressions}
    assert {column.name for column in grouped_by} <= ordered_by


@pytest.mark.parametrize("name", OF_MARTS)
def test_the_marts_give_the_answer_that_the_tables_give(month, name):
    connection = ways.over_views(month.path)
    from_tables, from_marts = answer(connection, BY_NAME[name]), answer(connection, OF_MARTS[name])
    assert len(from_tables) == len(from_marts) > 0
    both = from_tables[0].keys() & from_marts[0].keys()
    assert len(both) >= min(len(from_tables[0]), len(from_marts[0])) - 1
    for mine, its in zip(from_tables, from_marts, strict=True):
        for column in both:
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


def asked(question, **tables):
    """The answer over tables of these rows, each a text of SQL values behind its columns."""
    with duckdb.connect() as connection:
        for name, (columns, rows) in tables.items():
            connection.execute(f"create table {name} as select * from (values {rows}) as it ({columns})")  # noqa: S608
        return answer(connection, question)


def test_silence_is_counted_before_between_and_after_the_words():
    day = "date '2025-12-26'"
    found = asked(
        BY_NAME["longest_silences"],
        diarized_transcripts=(
            "date, recording_id, segment_index, start_ms, end_ms",
            f"({day}, 'after', 0, 0, 10000), ({day}, 'after', 1, 5000, 12000), ({day}, 'before', 0, 9000, 30000), "
            f"({day}, 'between', 0, -50, 100), ({day}, 'between', 1, 8100, 10000), ({day}, 'all', 0, 0, 60000), "
            f"({day}, 'unknown', 0, 1000, 2000)",
        ),
        recording_inventory=(
            "date, recording_id, file_index, duration_seconds",
            f"({day}, 'after', 0, 100.0), ({day}, 'after', 1, 100.0), ({day}, 'before', 0, 30.0), "
            f"({day}, 'between', 0, 10.0), ({day}, 'all', 0, 30.0), ({day}, 'silent', 0, 900.0), "
            f"({day}, 'unknown', 0, null)",
        ),
    )
    assert [(row["recording_id"], row["silent_seconds"], row["from_second"]) for row in found] == [
        ("after", 88.0, 12.0),
        ("before", 9.0, 0.0),
        ("between", 8.0, 0.1),
        ("unknown", 1.0, 0.0),
        ("all", 0.0, 0.0),
    ]


def test_what_other_work_was_refused_is_no_export_s():
    found = asked(
        BY_NAME["retries"],
        export_runs=(
            "date, run_id, step, http_status, calls, retries, waited_seconds",
            "(date '2026-01-01', 'a', 'recording_audio', 429, 2, 2, 60), "
            "(date '2026-01-01', 'b', 'retention_sweep', 429, 7, 7, 600), "
            "(date '2026-01-02', 'c', 'voice_messages', 429, 3, 3, 600)",
        ),
    )
    assert [tuple(row.values())[1:] for row in found] == [(1, 2, 2, 1.0)]
    steps = re.search(r"step in \((.*)\)", BY_NAME["retries"])[1]
    assert set(re.findall("'(.*?)'", steps)) == set(EXPORT_STEPS)


def test_talk_share_counts_what_a_speaker_says_at_the_same_time_once():
    day = "date '2025-12-26'"
    (found,) = asked(
        BY_NAME["talk_share"],
        diarized_transcripts=(
            "date, recording_id, speaker, participant_purpose, start_ms, end_ms",
            f"({day}, 'r', 'agent', null, 0, 3600000), ({day}, 'r', 'agent', null, 1800000, 5400000), "
            f"({day}, 'r', 'customer', null, 5400000, 10800000)",
        ),
    )
    assert found == {"agent": "agent", "calls": 1, "segments": 2, "hours": 1.5, "share": 0.5}


@pytest.mark.parametrize("name", ["transcript_coverage"])
def test_a_call_of_two_queues_counts_in_each_and_one_of_none_too(name):
    day = "date '2026-01-01'"
    calls = f"({day}, 'a', 0, 'call', ['q1', 'q2', 'q1']), ({day}, 'b', 0, 'call', ['q2']), ({day}, 'c', 0, 'call', [])"
    from_tables = asked(
        BY_NAME[name],
        recording_inventory=("date, recording_id, file_index, media_type, queue_ids", calls),
        transcript_status=("date, recording_id, status", f"({day}, 'b', 'available')"),
    )
    expected = [("q1", 1, 0, 0.0), ("q2", 2, 1, 0.5), (None, 1, 0, 0.0)]
    assert [tuple(row.values())[1:] for row in from_tables] == expected


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
