"""The data dictionary: docs/dictionary.md, made of the schemas, their facts, and dbt's pages of the marts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from media_pipeline.sql.described import mart_pages
from media_pipeline.sql.views import AUDIT_COLUMNS
from media_pipeline.tables.contract import version_of
from media_pipeline.tables.schemas import TABLES
from media_pipeline.tables.schemas.columns import fact, unit_of
from media_pipeline.tables.schemas.facts import FACTS, Facts

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "dictionary.md"
EXPLAINED = DOCS / "analysts.md"
"""Where single tables are explained in more words."""
_NUMBERS = ("bigint", "integer", "double", "hugeint", "decimal")
_ROW = "| {} | {} | {} | {} | {} |"


def page() -> str:
    """The whole page in Markdown."""
    explained = EXPLAINED.read_text().splitlines()
    lines = [
        "# Data dictionary",
        "",
        "Made by `make dictionary` from [the schemas](../media_pipeline/tables/schemas) and dbt's pages of the marts; "
        "do not edit. How to read the tables: [For analysts](analysts.md); how their schemas may change: "
        "[Changes](schema_changes.md). In the terminal: `media-pipeline sql --tables`.",
        "",
        "Every table and daily mart has the column `date` besides, from the path. A unit `1` is a share or a ratio. "
        "Values are all there are today; a new one is no change of the schema.",
        "",
        "| table | one row per |",
        "|---|---|",
        *(f"| [{table}](#{table}) | {FACTS[table].row} |" for table in TABLES),
        *(f"| [{mart}](#{mart}) | mart: {_first_sentence(model)} |" for mart, model in mart_pages().items()),
        "| [audit](#audit) | event of a run |",
        "",
        "## Tables",
        "",
    ]
    for table, schema in TABLES.items():
        lines += [*_table(table, schema, FACTS[table], f"### {table}" in explained), ""]
    lines += ["## Marts", ""]
    for mart, model in mart_pages().items():
        lines += [*_mart(mart, model), ""]
    lines += ["## Log", "", "### audit", "", "One row per event of a run, from `audit/date=…/<run>.jsonl`.", ""]
    lines += [*_head(), *(_ROW.format(name, kind, "", about, "") for name, kind, about in AUDIT_COLUMNS)]
    return "\n".join(lines) + "\n"


def _table(table: str, schema: pa.Schema, facts: Facts, is_explained: bool) -> Iterator[str]:
    key = ", ".join(f"`{name}`" for name in facts.key)
    sorted_by = f"Key, and order of the rows: {key}." if key else "No key."
    writer = f"the asset `{facts.asset}`" if facts.asset else "the steps"
    yield f"### {table}"
    yield ""
    yield (
        f"One row per {facts.row}. {sorted_by} `date`: {facts.day}. Written by {writer} of the job `{facts.job}`. "
        f"Schema {version_of(table)}." + (f" [More about it](analysts.md#{table})." if is_explained else "")
    )
    yield ""
    yield from _head()
    for field in schema:
        kind = f"{field.type}{'' if field.nullable else ', never null'}"
        values = ", ".join(f"`{value}`" for value in fact(field, "values").split())
        yield _ROW.format(field.name, kind, fact(field, "unit"), _cell(fact(field, "description")), values)


def _mart(mart: str, model: dict[str, Any]) -> Iterator[str]:
    yield f"### {mart}"
    yield ""
    yield " ".join(str(model.get("description", "")).split())
    yield ""
    yield from _head()
    for column in model.get("columns", []):
        kind = str(column.get("data_type", ""))
        unit = "UTC" if "time zone" in kind else unit_of(column["name"], pa.int64()) if kind in _NUMBERS else ""
        values = ", ".join(f"`{value}`" for value in _accepted(column))
        yield _ROW.format(column["name"], kind, unit, _cell(str(column.get("description", ""))), values)


def _accepted(column: dict[str, Any]) -> list[str]:
    """The values that a test of dbt's accepts."""
    for test in column.get("data_tests", []):
        if isinstance(test, dict) and "accepted_values" in test:
            told = test["accepted_values"]
            return [str(value) for value in told.get("arguments", told).get("values", [])]
    return []


def _head() -> tuple[str, str]:
    return _ROW.format("column", "type", "unit", "meaning", "values"), "|---|---|---|---|---|"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _first_sentence(model: dict[str, Any]) -> str:
    sentence = " ".join(str(model.get("description", "")).split()).partition(". ")[0]
    return sentence.rstrip(".").removeprefix("One row per ").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
