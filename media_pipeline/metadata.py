"""What the Dagster UI shows of tables and runs: column schemas, exact counts, capped samples, one small picture."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import count
from typing import Any

import dagster as dg
import pyarrow as pa

from media_pipeline.genesys.latency import latencies
from media_pipeline.genesys.pacing import CallStats
from media_pipeline.lineage import column_lineage
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.paths import table_key
from media_pipeline.tables.schemas import TABLES
from media_pipeline.tables.schemas.columns import fact

SAMPLE_ROWS = 20
SHOWN_INLINE_CHARACTERS = 1000
"""Dagster's UI hides Markdown of this length and more behind a link."""
_COLOURS = {
    "stored": "#285",
    "unsupported": "#abc",
    "empty": "#ccc",
    "unavailable": "#678",
    "pending": "#da0",
    "quarantined": "#d62",
    "failed": "#c33",
}
_ROW_PIXELS = 18
_BAR_PIXELS = 260


def schema_metadata(table: str) -> dict[str, Any]:
    """The column schema, for an asset's definition."""
    columns = [
        dg.TableColumn(
            name=field.name,
            type=str(field.type),
            description=fact(field, "description"),
            constraints=dg.TableColumnConstraints(nullable=field.nullable, other=_values(field)),
            tags={"unit": unit} if (unit := fact(field, "unit")) else {},
        )
        for field in TABLES[table]
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns), "dagster/table_name": table}


def _values(field: pa.Field) -> list[str]:
    values = fact(field, "values").split()
    return [f"one of {', '.join(values)}"] if values else []


def written(tables: Tables, table: str, day: dt.date, rows: int) -> dict[str, Any]:
    """Row count and place of a written day, and what its columns are made of."""
    lineage = column_lineage(table)
    return {
        "dagster/row_count": rows,
        "path": dg.MetadataValue.path(f"{tables.store.url}/{table_key(table, day)}"),
    } | ({"dagster/column_lineage": lineage} if lineage else {})


def sample(rows: Iterable[Row], columns: list[str]) -> dg.TableMetadataValue:
    """At most 20 rows as a small table."""
    records = [
        dg.TableRecord({name: "" if row.get(name) is None else str(row[name])[:200] for name in columns})
        for row, _ in zip(rows, range(SAMPLE_ROWS), strict=False)
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(name=name, type="string") for name in columns])
    return dg.MetadataValue.table(records=records, schema=schema)


def calls(stats: CallStats) -> dict[str, Any]:
    """API calls, retries and waits of a step, and how long calls took: of `file` until the reply began, of others until
    it was whole; waits for the rate budget and between retries apart."""
    rows = [
        {"operation": operation, "status": status or "no reply", "calls": number}
        for (operation, status), number in sorted(stats.calls.items())
    ]
    times = [
        {"operation": name, "errors": stats.errors(name), **asdict(found)}
        for name, found in latencies(stats.buckets).items()
    ]
    return {
        "api_calls": stats.api_calls(),
        "retries": stats.retries.total(),
        "waited_seconds": round(sum(stats.waited_seconds.values()), 1),
        "calls_by_operation": sample(rows, ["operation", "status", "calls"]),
        "latency_by_operation": sample(times, ["operation", "calls", "errors", "p50_ms", "p95_ms", "p99_ms"]),
    }


def calls_per_1000(stats: CallStats, recordings: int) -> float:
    """API calls so far, tokens and all, per 1,000 recordings."""
    return round(1000 * stats.api_calls() / max(recordings, 1), 1)


def validations(compared: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """Validation accuracy: by what was compared, how many matched of how many checked. No accuracy without a check."""
    rows = [{"compared": what, "checked": checked, "matched": matched} for what, (matched, checked) in compared.items()]
    matched, checked = (sum(entry[n] for entry in compared.values()) for n in (0, 1))
    described: dict[str, Any] = {
        "validation_checked": checked,
        "validation_matched": matched,
        "validations": sample(rows, ["compared", "checked", "matched"]),
    }
    return described | ({"validation_accuracy": round(matched / checked, 6)} if checked else {})


def outcomes_picture(day: dt.date, files: Mapping[str, int], sizes: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """Outcomes by number of files and what compression saved, as an SVG short enough to be shown without a click."""
    statuses = [status for status in _COLOURS if files.get(status)]
    longest = max(files.values(), default=0)
    source, stored = (sizes.get(name, 0) / 1e6 for name in ("source", "stored"))
    title = f"{day}: {sum(files.values()):,} recordings, {source:,.1f} MB, {stored:,.1f} MB as gzip"
    rows = [
        f"<path stroke='{_COLOURS[status]}' d='M8 {y - 4}h{max(2, round(_BAR_PIXELS * files[status] / longest))}'/>"
        f"<text y='{y}'>{status} {files[status]:,}</text>"
        for y, status in zip(count(34, _ROW_PIXELS), statuses, strict=False)
    ]
    height = _ROW_PIXELS * len(rows) + 22
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='430' height='{height}' style='background:white' "
        f"font-family='sans-serif' font-size='12'><text y='13'>{title}</text>"
        f"<g transform='translate(140)' text-anchor='end' stroke-width='13'>{''.join(rows)}</g></svg>"
    )
    escaped = svg.replace("<", "%3C").replace(">", "%3E").replace("#", "%23")
    return dg.MetadataValue.md(f"![outcomes of {day}](<data:image/svg+xml,{escaped}>)")
