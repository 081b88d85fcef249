"""The schema contract: what readers of published tables rely on, as published.json has it, and what may change.

A nullable column at the end breaks nobody: the minor version goes up. All else is a new major version, and a note in
docs/schema_changes.md says what readers must do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from media_pipeline.tables.schemas import TABLES
from media_pipeline.tables.schemas.columns import fact

PUBLISHED = Path(__file__).parent / "schemas" / "published.json"
NOTES = Path(__file__).parents[2] / "docs" / "schema_changes.md"
FIRST_VERSION = "1.0"
VERSION_NOTE = "schema_version"
"""Under this name each Parquet file tells the version that it was written with."""

Columns = list[dict[str, Any]]
Record = dict[str, Any]
"""A table as it was published: version and columns."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a table's columns: appended ones that may be null, and what breaks readers, in words."""

    added: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


@cache
def published() -> Mapping[str, Record]:
    """Every table as it was last published."""
    records: dict[str, Record] = json.loads(PUBLISHED.read_bytes())
    return records


def version_of(table: str) -> str:
    """The version of a table's schema, major.minor."""
    return str(published().get(table, {}).get("version", FIRST_VERSION))


def columns_of(schema: pa.Schema) -> Columns:
    """What readers rely on: names, types and nullability, in order."""
    return [{"name": field.name, "type": str(field.type), "nullable": field.nullable} for field in schema]


def compare(before: Columns, now: Columns) -> Change:
    """What the change from one to the other means for readers."""
    current = {column["name"]: column for column in now}
    broken = [f"{column['name']} is gone" for column in before if column["name"] not in current]
    for old in before:
        new = current.get(old["name"], old)
        if new["type"] != old["type"]:
            broken.append(f"{old['name']} is {new['type']}, was {old['type']}")
        if new["nullable"] != old["nullable"]:
            words = {True: "may be null", False: "is never null"}
            broken.append(f"{old['name']} {words[new['nullable']]}, before it {words[old['nullable']]}")
    kept = [column["name"] for column in before if column["name"] in current]
    added = [column["name"] for column in now if column["name"] not in {old["name"] for old in before}]
    broken += [
        f"{name} is new and never null, which no older file can keep" for name in added if not current[name]["nullable"]
    ]
    if not broken and list(current) != kept + added:
        in_order = [name for name in current if name in kept] == kept
        broken.append("new columns stand before old ones" if in_order else "the columns have another order")
    return Change(tuple(added), tuple(broken))


def problems(
    tables: Mapping[str, pa.Schema] = TABLES,
    records: Mapping[str, Record] | None = None,
    notes: str | None = None,
) -> list[str]:
    """One sentence for each table that is not as it was published, or whose version has no note; none: all is well."""
    records = published() if records is None else records
    notes = NOTES.read_text() if notes is None else notes
    found = []
    for table in [*tables, *(gone for gone in records if gone not in tables)]:
        record = records.get(table)
        if record is None:
            found.append(f"{table} is a new table: `make contract` records it.")
        elif table not in tables:
            found.append(_breaking(table, record, ("the table is gone",)))
        elif (change := compare(record["columns"], columns_of(tables[table]))).broken:
            found.append(_breaking(table, record, change.broken))
        elif change.added:
            names = ", ".join(change.added)
            found.append(f"{table} has {names} at its end, which breaks nobody: `make contract` records and notes it.")
        elif record["version"] != FIRST_VERSION and not _noted(notes, table, record["version"]):
            found.append(f"{NOTES.name} says nothing of {table} {record['version']}: write what readers must know.")
    return found


def record(
    tables: Mapping[str, pa.Schema], records: Mapping[str, Record], notes: str
) -> tuple[dict[str, Record], str, list[str]]:
    """The records and notes after all changes that may be made, and a sentence for each that may not."""
    new, refused = dict(records), []
    for table in [name for name in records if name not in tables]:
        if _noted(notes, table, _major(records[table])):
            del new[table]
        else:
            refused.append(_breaking(table, records[table], ("the table is gone",)))
    for table, schema in tables.items():
        columns = columns_of(schema)
        old = records.get(table)
        if old is None:
            new[table] = {"version": FIRST_VERSION, "columns": columns}
            continue
        change = compare(old["columns"], columns)
        if change.broken and not _noted(notes, table, _major(old)):
            refused.append(_breaking(table, old, change.broken))
        elif change.broken:
            new[table] = {"version": _major(old), "columns": columns}
        elif change.added:
            new[table] = {"version": _minor(old), "columns": columns}
            notes = notes.rstrip("\n") + f"\n\n{_heading(table, _minor(old))}\n\n" + _told(schema, change.added)
    return new, notes, refused


def _told(schema: pa.Schema, added: tuple[str, ...]) -> str:
    return "".join(f"- New: `{name}`. {fact(schema.field(name), 'description')}\n" for name in added)


def _breaking(table: str, record: Record, broken: tuple[str, ...]) -> str:
    return (
        f"{table} breaks who reads it: {'; '.join(broken)}. Keep it as it was; if that cannot be, write under "
        f"`{_heading(table, _major(record))}` in docs/{NOTES.name} what readers must do, then run `make contract`."
    )


def _heading(table: str, version: str) -> str:
    return f"### {table} {version}"


def _noted(notes: str, table: str, version: str) -> bool:
    return _heading(table, version) in notes.splitlines()


def _major(record: Record) -> str:
    return f"{int(record['version'].split('.')[0]) + 1}.0"


def _minor(record: Record) -> str:
    major, minor = record["version"].split(".")
    return f"{major}.{int(minor) + 1}"


def _as_text(records: Mapping[str, Record]) -> str:
    """A column a line: so a change is a line in a diff."""
    tables = []
    for table, known in records.items():
        columns = ",\n".join(f"    {json.dumps(column)}" for column in known["columns"])
        tables.append(f'  {json.dumps(table)}: {{"version": "{known["version"]}", "columns": [\n{columns}\n  ]}}')
    return "{\n" + ",\n".join(tables) + "\n}\n"


def main() -> int:
    """`make contract`: record what may change, refuse what may not."""
    before = json.loads(PUBLISHED.read_bytes()) if PUBLISHED.exists() else {}
    records, notes, refused = record(TABLES, before, NOTES.read_text())
    PUBLISHED.write_text(_as_text(records))
    NOTES.write_text(notes)
    for sentence in refused:
        print(sentence, file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    raise SystemExit(main())
