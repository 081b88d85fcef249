"""A question only reads, reads nothing but the views, and what is wrong with it is said in one sentence."""

import re

import pytest

from media_pipeline.sql.asking import QueryFailed, QueryRefused, asker
from media_pipeline.sql.views import Views


@pytest.mark.parametrize(
    "question",
    [
        "drop view storage_quota",
        "create table x as select 1",
        "insert into storage_quota values (1)",
        "delete from storage_quota",
        "copy (select 1) to '{root}/tables/x.csv'",
        "with a as (copy (select 1) to '{root}/tables/x.csv') select 1",
        "with a as (copy (select 1) to '{root}/tables/x.csv') select * from a",
        "from query('with a as (copy (select 1) to ''{root}/tables/x.csv'') select 1')",
        "export database '{root}/tables/x'",
        "attach '{root}/tables/x.duckdb'",
        "install httpfs",
        "load httpfs",
        "set memory_limit = '1TB'",
        "set enable_external_access = true",
        "pragma enable_profiling",
        "call enable_logging()",
        "from enable_logging(storage = 'file', storage_path = '{root}/tables/log')",
        "begin",
        "checkpoint",
        "select 1; select 2",
        "",
        "-- nothing",
    ],
)
def test_what_does_more_than_read_is_refused_and_leaves_no_trace(archive, question):
    before = archive.files()
    question = question.replace("{root}", str(archive.path).replace("'", "''"))
    with pytest.raises((QueryRefused, QueryFailed)):
        archive.answer(question)
    with pytest.raises((QueryRefused, QueryFailed)):
        archive.plan(question)
    assert archive.files() == before


@pytest.mark.parametrize(
    "question",
    [
        "select * from read_text('/etc/passwd')",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from glob('/etc/*')",
        "select * from read_text('{root}/unredacted/said.txt')",
        "select * from read_text('{root}/tables/../unredacted/said.txt')",
        "select * from read_parquet('s3://elsewhere/x.parquet')",
        "select * from read_csv('http://127.0.0.1:9/x')",
        "select * from duckdb_secrets()",
        "select getenv('HOME')",
    ],
)
def test_no_file_beside_the_tables_the_marts_and_the_log_is_read(archive, question):
    said = archive.path / "unredacted/said.txt"
    said.parent.mkdir()
    said.write_text("4111 1111 1111 1111")
    with pytest.raises(QueryRefused):
        archive.answer(question.replace("{root}", str(archive.path).replace("'", "''")))


def test_variables_of_python_are_no_tables(archive):
    import pandas as pd

    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(QueryRefused, match="Table with name frame does not exist"):
        archive.answer("select * from frame")
    assert len(frame) == 1


@pytest.mark.parametrize(
    ("question", "sentence", "excerpt"),
    [
        (
            "select * from storage_quotas",
            'not valid at line 1, column 15: Table with name storage_quotas does not exist! Did you mean "storage_quo',
            "select * from storage_quotas\n              ^",
        ),
        (
            "select date,\n  usedmb from storage_quota",
            'line 2, column 3: Referenced column "usedmb" not found in FROM clause! Candidate bindings: "used_mb"',
            "  usedmb from storage_quota\n  ^",
        ),
        ("selct 1", 'line 1, column 1: syntax error at or near "selct"', "selct 1\n^"),
        (
            "select 'é', nosuch(1)",
            "line 1, column 13: Scalar Function with name nosuch",
            "select 'é', nosuch(1)\n" + 12 * " " + "^",
        ),
        ("select cast(basis as int) from storage_quota", "line 1, column 8: Could not convert", None),
        ("explain select 1", "--explain beside it", ""),
        ("pivot storage_quota on basis using count(*)", "Name the values that become columns", ""),
        ("drop view audit", "A query only reads: it begins with select", ""),
        ("select 1; select 2", "Ask one thing at a time", ""),
        ("select $1", "Put the value in the place of $1", ""),
        ("select used_mb from storage_quota where date = $day", "Put the value in the place of $day", ""),
    ],
)
def test_a_question_that_is_wrong_gets_the_place_and_what_was_meant(archive, question, sentence, excerpt):
    with pytest.raises(QueryRefused) as caught:
        archive.answer(question)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    if excerpt is not None:
        assert caught.value.excerpt == excerpt


@pytest.mark.parametrize(
    "question",
    [
        "values (1)",
        "from storage_quota select count(*)",
        "with a as (select 1 as b) select b from a",
        "describe storage_quota",
        "summarize storage_quota",
        "show tables",
        "pivot storage_quota on basis in ('usage') using count(*)",
        "select 'copy, insert and delete' as delete_me;",
        "select '$1'",
        "-- a note\nselect 1",
        "select count(*) from range(5000) a join range(5000) b on a.range < b.range",
        "select count(*) from range(5000) a join range(5000) b on a.range < b.range and a.range + 9 > b.range",
        "select count(*) from range(5000) a asof join range(5000) b on a.range >= b.range",
    ],
)
def test_all_that_reads_is_answered(archive, question):
    assert archive.answer(question)


def test_too_little_memory_is_said_and_what_to_do(archive):
    question = "select list(i) from range(100000000) r(i)"
    store = archive.store
    with (
        asker(store, Views(store), question, memory_mb=64) as asking,
        pytest.raises(QueryFailed, match="--memory-mb") as caught,
        asking.ask(question) as reader,
    ):
        reader.read_all()
    assert re.search(r"\(failed to allocate [^()]+ \([^()]+ used\)\)$", str(caught.value))


def test_what_does_not_fit_in_memory_goes_to_temporary_files(archive):
    question = "select max(i) from (select i from range(10000000) r(i) order by hash(i) limit 9000000)"
    store = archive.store
    with asker(store, Views(store), question, memory_mb=64) as asking, asking.ask(question) as reader:
        assert reader.read_all().num_rows == 1


def test_a_file_that_cannot_be_read_is_named(archive):
    from media_pipeline_tests.sql.conftest import DAYS

    archive.file("storage_quota", DAYS[3]).write_bytes(b"not Parquet at all")
    with pytest.raises(QueryFailed, match=f"could not be answered to its end: .*date={DAYS[3]}"):
        archive.answer("select sum(used_mb) from storage_quota")


def test_a_mart_that_is_not_built_yet_says_how_to_build_it(archive):
    with pytest.raises(QueryRefused, match=r"The mart speaker_talk_time is not built yet: run .* dbt_reports_build"):
        archive.answer("select * from speaker_talk_time")


@pytest.mark.parametrize(
    ("question", "column"),
    [
        ("select 1 as a, '101'::bit as flags", "flags"),
        ("select 123456789012345678901234567890::bignum as large", "large"),
        ("select union_value(k := 1) as either", "either"),
        ("select [{'deep': '101'::bit}] as nested", "nested"),
        ("select md5_number('1') as hash", "hash"),
        ("select {'deep': [md5_number('1')]} as hashes", "hashes"),
        ("select '12:34:56+02'::timetz as moment", "moment"),
        ("select map {'deep': '12:34:56+02'::timetz} as moments", "moments"),
    ],
)
def test_what_only_duckdb_understands_is_refused_by_the_columns_name(archive, question, column):
    with pytest.raises(QueryRefused, match=rf"The column {column} is of DuckDB's type .* shows it"):
        archive.answer(question)
