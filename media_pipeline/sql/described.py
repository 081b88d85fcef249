"""What there is to ask, with descriptions: tables from the schemas, marts from dbt's pages, the audit log."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media_pipeline.sql.views import AUDIT, AUDIT_COLUMNS, AUDIT_FOLDER, DAY, MartUnreadable, Views, days_in, typed
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.schemas import TABLES
from media_pipeline.tables.schemas.columns import fact
from media_pipeline.tables.schemas.facts import FACTS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MODELS = Path(__file__).parents[2] / "dbt_reports" / "models"
"""Where dbt's project lies beside the package, as in a checkout."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: name, type, what it means."""

    name: str
    kind: str
    about: str


@dataclass(frozen=True, slots=True)
class Described:
    """Something to ask: `kind` heads its group, `days` says in a sentence which days there are.

    A mart that cannot be read has no columns, and `days` says why.
    """

    kind: str
    name: str
    about: str
    columns: tuple[Column, ...]
    days: str


def described(views: Views, connection: DuckDBPyConnection) -> Iterator[Described]:
    """All that a question can name, in the order in which it is shown."""
    for table, schema in TABLES.items():
        kinds = dict(typed(connection, schema))
        columns = [Column(field.name, kinds[field.name], fact(field, "description")) for field in schema]
        columns.append(Column(DAY, "DATE", f"{FACTS[table].day[0].upper()}{FACTS[table].day[1:]}, from the path."))
        about = f"One row per {FACTS[table].row}."
        yield Described("Tables", table, about, tuple(columns), _days(views.files_of(table)))
    pages = mart_pages()
    for name, mart in views.marts.items():
        page = pages.get(name, {})
        told = {column["name"]: column.get("description", "") for column in page.get("columns", [])}
        try:
            found = typed(connection, views.mart_schema(mart))
            days = _days(mart.files) if mart.is_daily else "All days in one file."
        except MartUnreadable as error:
            found, days = [], str(error)
        marts = tuple(Column(column, kind, told.get(column, "")) for column, kind in found)
        yield Described("Marts", name, str(page.get("description", "")).strip(), marts, days)
    audit = [Column(*each) for each in AUDIT_COLUMNS] + [Column(DAY, "DATE", "The day that the run worked on.")]
    about = "One row per event of a run: what happened, when and why."
    yield Described("Log", AUDIT, about, tuple(audit), _days(views.keys_below(AUDIT_FOLDER, ".jsonl")))


def mart_pages() -> dict[str, dict[str, Any]]:
    """Descriptions and columns of the marts by name; none without dbt's project or a reader of YAML."""
    try:
        import yaml
    except ImportError:
        return {}
    pages: dict[str, dict[str, Any]] = {}
    for file in sorted(MODELS.glob("marts/*.yml")):
        for model in yaml.safe_load(file.read_text()).get("models", []):
            pages[model["name"]] = model
    return pages


def unknown(name: str, known: list[str], store: ObjectStore) -> str:
    """The sentence for a name that is neither a table nor a mart."""
    near = difflib.get_close_matches(name, known, 1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"There is neither a table nor a mart {name} under MEDIA_ROOT={store.url}.{meant}"


def _days(keys: list[str] | tuple[str, ...]) -> str:
    days = sorted(set(days_in(keys)))
    if not days:
        return "No day yet."
    return f"{len(days):,} days, {days[0]} to {days[-1]}." if len(days) > 1 else f"One day, {days[0]}."
