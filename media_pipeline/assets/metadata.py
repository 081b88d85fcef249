"""What the Dagster UI shows of tables and runs: column schemas, exact counts, capped samples, one small picture."""

from __future__ import annotations

import base64
import datetime as dt
import io
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from media_pipeline.genesys.pacing import CallStats
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.paths import table_key
from media_pipeline.tables.schemas import TABLES

SAMPLE_ROWS = 20
_COLOURS = {
    "stored": "#2f855a",
    "unsupported": "#a0aec0",
    "empty": "#cbd5e0",
    "unavailable": "#718096",
    "pending": "#d69e2e",
    "quarantined": "#dd6b20",
    "failed": "#c53030",
}


def schema_metadata(table: str) -> dict[str, Any]:
    """The column schema, for an asset's definition."""
    columns = [
        dg.TableColumn(
            name=field.name,
            type=str(field.type),
            description=field.metadata[b"description"].decode(),
            constraints=dg.TableColumnConstraints(nullable=field.nullable),
        )
        for field in TABLES[table]
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns), "dagster/table_name": table}


def written(tables: Tables, table: str, day: dt.date, rows: int) -> dict[str, Any]:
    """Row count and place of a written day."""
    return {"dagster/row_count": rows, "path": dg.MetadataValue.path(f"{tables.store.url}/{table_key(table, day)}")}


def sample(rows: Iterable[Row], columns: list[str]) -> dg.TableMetadataValue:
    """At most 20 rows as a small table."""
    records = [
        dg.TableRecord({name: "" if row.get(name) is None else str(row[name])[:200] for name in columns})
        for row, _ in zip(rows, range(SAMPLE_ROWS), strict=False)
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(name=name, type="string") for name in columns])
    return dg.MetadataValue.table(records=records, schema=schema)


def calls(stats: CallStats) -> dict[str, Any]:
    """API calls, retries and waits of a step."""
    rows = [
        {"operation": operation, "status": status or "no reply", "calls": count}
        for (operation, status), count in sorted(stats.calls.items())
    ]
    return {
        "api_calls": sum(count for (operation, _), count in stats.calls.items() if operation != "file"),
        "retries": stats.retries.total(),
        "waited_seconds": round(sum(stats.waited_seconds.values()), 1),
        "calls": sample(rows, ["operation", "status", "calls"]),
    }


def outcomes_picture(day: dt.date, files: Mapping[str, int], sizes: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """Outcomes by number of files and what compression saved, as a picture of a few kilobytes."""
    from matplotlib.figure import Figure

    statuses = [status for status in _COLOURS if files.get(status)]
    figure = Figure(figsize=(7.2, 2.6), dpi=80, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    bars = left.barh(statuses, [files[s] for s in statuses], color=[_COLOURS[s] for s in statuses])
    left.bar_label(bars, padding=3, fmt="{:,.0f}")
    left.set_title(f"{day}: {sum(files.values()):,} recordings", loc="left", fontsize=10)
    left.invert_yaxis()
    megabytes = {"source": sizes.get("source", 0) / 1e6, "stored": sizes.get("stored", 0) / 1e6}
    bars = right.barh(list(megabytes), list(megabytes.values()), color=["#90cdf4", "#2b6cb0"])
    right.bar_label(bars, padding=3, fmt="{:,.1f}")
    right.set_title("MB before and after gzip", loc="left", fontsize=10)
    right.invert_yaxis()
    for axes in (left, right):
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.xaxis.set_visible(False)
        axes.margins(x=0.18)
        axes.tick_params(left=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": ""})
    encoded = base64.b64encode(picture.getvalue()).decode()
    return dg.MetadataValue.md(f"![outcomes of {day}](data:image/png;base64,{encoded})")
