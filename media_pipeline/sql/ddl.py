"""CREATE TABLE statements with which Athena and Spark read the tables and marts where they lie."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Literal

import pyarrow as pa

from media_pipeline.escaping import printable
from media_pipeline.sql.described import mart_pages, unknown
from media_pipeline.sql.views import DAY, MartUnreadable, Views
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.paths import MARTS_FOLDER, TABLES_FOLDER
from media_pipeline.tables.schemas import TABLES
from media_pipeline.tables.schemas.columns import fact
from media_pipeline.tables.schemas.facts import FACTS

Engine = Literal["athena", "spark"]
LONGEST_COMMENT = 255
"""What Glue's catalogue takes for a column."""
PLACEHOLDER = "s3://BUCKET/PREFIX"
"""In place of a MEDIA_ROOT that Athena cannot see."""


def statements(engine: Engine, store: ObjectStore, first: dt.date, table: str | None = None) -> Iterator[str]:
    """A statement for each table and each mart that exists, or for one; `first` is the first day there may be.

    A mart that cannot be read is a comment, unless it is the one. Raises ValueError for a name that is neither.
    """
    views = Views(store)
    marts = views.marts if table not in TABLES else {}
    known = [*TABLES, *marts]
    if table is not None and table not in known:
        raise ValueError(unknown(table, known, store))
    root = store.url if "://" in store.url or engine == "spark" else PLACEHOLDER
    for name in known if table is None else [table]:
        if name in TABLES:
            comments = {field.name: fact(field, "description") for field in TABLES[name]}
            about = f"One row per {FACTS[name].row}."
            yield _statement(engine, f"{root}/{TABLES_FOLDER}", name, TABLES[name], comments, about, first)
            if engine == "spark" and views.files_of(name):
                yield _repair(name)
        else:
            page = mart_pages().get(name, {})
            told = {column["name"]: column.get("description", "") for column in page.get("columns", [])}
            try:
                schema, about = views.mart_schema(marts[name]), str(page.get("description", ""))
            except MartUnreadable as error:
                if table is not None:
                    raise
                yield f"-- No table of {printable(name)}: {error}\n"
                continue
            day = first if marts[name].is_daily else None
            yield _statement(engine, f"{root}/{MARTS_FOLDER}", name, schema, told, about, day)
            if engine == "spark" and day is not None:
                yield _repair(name)


def _statement(
    engine: Engine,
    folder: str,
    name: str,
    schema: pa.Schema,
    comments: dict[str, str],
    about: str,
    first: dt.date | None,
) -> str:
    """`first`: the first day of a table that has one folder a day; None for one without."""
    fields = [field for field in schema if first is None or field.name != DAY]
    columns = ",\n".join(
        f"  `{field.name}` {_type(field.type)}{_comment(comments.get(field.name))}" for field in fields
    )
    place = f"{folder}/{name}/"
    if engine == "spark":
        day = "" if first is None else f",\n  `{DAY}` date"
        parted = "" if first is None else f"\nPARTITIONED BY (`{DAY}`)"
        return f"CREATE TABLE `{name}` (\n{columns}{day}\n)\nUSING PARQUET{parted}\nLOCATION {_text(place)};\n"
    parted = "" if first is None else f"\nPARTITIONED BY (`{DAY}` date)"
    properties = {} if first is None else _projection(place, first)
    listed = "".join(f",\n  '{key}' = {_text(value)}" for key, value in properties.items())
    return (
        f"CREATE EXTERNAL TABLE `{name}` (\n{columns}\n){_comment(about, gap=chr(10))}{parted}\n"
        f"STORED AS PARQUET\nLOCATION {_text(place)}\nTBLPROPERTIES (\n  'classification' = 'parquet'{listed}\n);\n"
    )


def _repair(name: str) -> str:
    """Spark's catalogue is told of the days there are; it has to be again after each new one."""
    return f"MSCK REPAIR TABLE `{name}`;\n"


def _projection(place: str, first: dt.date) -> dict[str, str]:
    """Athena works out the days by itself: no crawler, no ALTER TABLE for each new one."""
    return {
        "projection.enabled": "true",
        f"projection.{DAY}.type": "date",
        f"projection.{DAY}.format": "yyyy-MM-dd",
        f"projection.{DAY}.range": f"{first},NOW",
        f"projection.{DAY}.interval": "1",
        f"projection.{DAY}.interval.unit": "DAYS",
        "storage.location.template": f"{place}{DAY}=${{{DAY}}}",
    }


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"array<{_type(kind.value_type)}>"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return _TYPES[kind]


_TYPES = {
    pa.string(): "string",
    pa.large_string(): "string",
    pa.bool_(): "boolean",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.date32(): "date",
}


def _comment(text: str | None, gap: str = " ") -> str:
    if not text:
        return ""
    short = text if len(text) <= LONGEST_COMMENT else text[: LONGEST_COMMENT - 4].rsplit(" ", 1)[0] + " ..."
    return f"{gap}COMMENT {_text(short)}"


def _text(text: str) -> str:
    """A text as Hive and Spark write it: a backslash before a quote."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
