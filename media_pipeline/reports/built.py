"""What Dagster shows of a built model beside what dbt tells it: how many rows, and what each column is made of."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

if TYPE_CHECKING:
    from dagster_dbt import DbtCliInvocation
    from duckdb import DuckDBPyConnection

DIALECT = "duckdb"
RESULTS = "run_results.json"


class Relation(NamedTuple):
    """A table or view of the database, as SQL names it."""

    schema: str
    name: str


def told(build: DbtCliInvocation, database: Path, target: Path) -> Iterator[Any]:
    """dbt's events, all at its end: until then nobody else can open the database to look at what was built.

    A build that failed is not looked at: none of it is published.
    """
    events: list[Any] = []
    try:
        for event in build.stream():
            events.append(event)
    except Exception:
        yield from events
        raise
    metadata = dict(built_metadata(database, target, build.manifest))
    for event in events:
        more = metadata.get(event.metadata["unique_id"].value) if isinstance(event, dg.Output) else None
        yield event.with_metadata({**event.metadata, **more}) if more else event


def built_metadata(database: Path, target: Path, manifest: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """dbt's id of each model of the build in that target folder, with Dagster's metadata of its materialization."""
    import duckdb

    with duckdb.connect(str(database), read_only=True) as connection:
        columns = _columns(connection)
        keys = asset_keys(manifest)
        for result in json.loads((target / RESULTS).read_text(encoding="utf-8"))["results"]:
            node = manifest["nodes"].get(result["unique_id"], {})
            if result["status"] != "success" or node.get("resource_type") != "model":
                continue
            relation = Relation(node["schema"], node["alias"])
            metadata: dict[str, Any] = {}
            if node["config"]["materialized"] != "view":  # a view's rows are counted by reading all tables
                ((metadata["dagster/row_count"],),) = connection.execute(
                    f'select count(*) from "{relation.schema}"."{relation.name}"'  # noqa: S608  dbt's own names
                ).fetchall()
            if lineage := column_lineage(result["compiled_code"], columns[relation], columns, keys):
                metadata["dagster/column_lineage"] = lineage
            yield result["unique_id"], metadata


def asset_keys(manifest: Mapping[str, Any]) -> dict[Relation, dg.AssetKey]:
    """The asset that each relation shows; none for a source that shows something else than its asset's columns."""
    found = {
        Relation(node["schema"], node["alias"]): dg.AssetKey(node["name"])
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    for source in manifest["sources"].values():
        key = source["config"]["meta"]["dagster"]["asset_key"]
        if key == [source["name"]]:
            found[Relation(source["schema"], source["identifier"])] = dg.AssetKey(key)
    return found


def column_lineage(
    query: str,
    wanted: Mapping[str, str],
    columns: Mapping[Relation, Mapping[str, str]],
    keys: Mapping[Relation, dg.AssetKey],
) -> dg.TableColumnLineage | None:
    """Which columns of which assets each wanted column of a query is computed from.

    None when of none, and for SQL that sqlglot cannot read: that is no reason to keep what was built from analysts.
    """
    from sqlglot.errors import SqlglotError

    try:
        return _lineage(query, wanted, columns, keys)
    except SqlglotError:
        return None


def _lineage(
    query: str,
    wanted: Mapping[str, str],
    columns: Mapping[Relation, Mapping[str, str]],
    keys: Mapping[Relation, dg.AssetKey],
) -> dg.TableColumnLineage | None:
    from sqlglot import exp, parse_one
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    schema: dict[str, dict[str, Any]] = defaultdict(dict)
    for relation, its in columns.items():
        schema[relation.schema][relation.name] = dict(its)
    tree = parse_one(query, dialect=DIALECT)
    for table in tree.find_all(exp.Table):
        table.set("catalog", None)  # dbt writes the database's name before each; the schema's types are found without
    qualified = qualify(tree, schema=schema, dialect=DIALECT, identify=False, validate_qualify_columns=False)
    scope = build_scope(qualified)
    found: dict[str, list[dg.TableColumnDep]] = {}
    for name in wanted:
        made_of = set()
        for node in lineage(name, qualified, schema=schema, dialect=DIALECT, scope=scope, copy=False).walk():
            if node.downstream or not isinstance(node.source, exp.Table):
                continue
            key = keys.get(Relation(node.source.db, node.source.name))
            column = exp.to_column(node.name).name
            if key is not None:
                made_of.add((key, column))
        if made_of:
            found[name] = [dg.TableColumnDep(key, column) for key, column in sorted(made_of)]
    return dg.TableColumnLineage(found) if found else None


def _columns(connection: DuckDBPyConnection) -> dict[Relation, dict[str, str]]:
    """Of all relations but DuckDB's own."""
    found: dict[Relation, dict[str, str]] = defaultdict(dict)
    rows = connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() where not internal "
        "order by column_index"
    ).fetchall()
    for schema, table, column, kind in rows:
        found[Relation(schema, table)][column] = kind
    return found
