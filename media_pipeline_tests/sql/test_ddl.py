"""The DDL is what Athena, Hive and Spark understand, and says what the schemas say."""

import datetime as dt

import pytest
import sqlglot
from sqlglot import exp

from media_pipeline.sql.ddl import PLACEHOLDER, statements
from media_pipeline.tables.schemas import TABLES

FIRST = dt.date(2026, 1, 1)
TYPES = {
    "string": "TEXT",
    "bool": "BOOLEAN",
    "int32": "INT",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "date32[day]": "DATE",
    "timestamp[ms, tz=UTC]": "TIMESTAMP",
    "list<element: string>": "ARRAY",
}
SPARK_TYPES = TYPES | {"timestamp[ms, tz=UTC]": "TIMESTAMPTZ"}
"""Spark's timestamp is a moment."""


def columns_of(create):
    defined = [each for each in create.this.expressions if isinstance(each, exp.ColumnDef)]
    return {each.name: each.args["kind"].this.name for each in defined}


@pytest.mark.parametrize("dialect", ["athena", "hive"])
@pytest.mark.parametrize("table", TABLES)
def test_athena_reads_every_column_and_finds_the_days_by_itself(archive, table, dialect):
    (statement,) = statements("athena", archive.store, FIRST, table)
    (create,) = sqlglot.parse(statement.strip().rstrip(";"), dialect=dialect)
    assert isinstance(create, exp.Create)
    assert columns_of(create) == {field.name: TYPES[str(field.type)] for field in TABLES[table]}
    (parted,) = create.find_all(exp.PartitionedByProperty)
    assert columns_of(exp.Create(this=parted.this)) == {"date": "DATE"}
    assert f"LOCATION '{PLACEHOLDER}/tables/{table}/'" in statement
    assert "'projection.date.range' = '2026-01-01,NOW'" in statement
    assert f"'storage.location.template' = '{PLACEHOLDER}/tables/{table}/date=${{date}}'" in statement


@pytest.mark.parametrize("table", TABLES)
def test_spark_reads_every_column(archive, table):
    first, *then = statements("spark", archive.store, FIRST, table)
    (create,) = sqlglot.parse(first.strip().rstrip(";"), dialect="spark")
    expected = {field.name: SPARK_TYPES[str(field.type)] for field in TABLES[table]}
    assert columns_of(create) == expected | {"date": "DATE"}
    has_days = table in ("storage_quota", "export_runs")
    assert then == [f"MSCK REPAIR TABLE `{table}`;\n"] * has_days


def test_marts_have_theirs_whole_or_by_day(archive):
    found = {name: "".join(statements("athena", archive.store, FIRST, name)) for name in ("whole_mart", "daily_mart")}
    assert "PARTITIONED BY" not in found["whole_mart"]
    assert "  `date` date,\n" in found["whole_mart"]
    assert "PARTITIONED BY (`date` date)" in found["daily_mart"]
    assert "  `date` date,\n" not in found["daily_mart"]


def test_all_of_it_is_one_script(archive):
    script = "".join(statements("athena", archive.store, FIRST))
    parsed = [each for each in sqlglot.parse(script, dialect="athena") if each is not None]
    assert [each.this.this.name for each in parsed] == [*TABLES, "daily_mart", "whole_mart"]
    assert "\\'" in script  # an apostrophe in a comment
