"""The daily reports, computed from the tables alone: availability (table and JSON) and storage utilization."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from media_pipeline.storage.base import ObjectWriter
from media_pipeline.tables.partition import Row, Tables, aligned
from media_pipeline.tables.paths import report_key
from media_pipeline.tables.schemas import STORAGE_UTILIZATION
from media_pipeline.transfer.outcome import STORED


def availability_rows(tables: Tables, day: dt.date) -> Iterator[Row]:
    """One row per listed file, sorted by key."""
    for recording_id, rows in aligned(
        inventory=tables.rows("recording_inventory", day),
        audio=tables.rows("recording_audio", day),
        transcript=tables.rows("transcript_status", day),
    ):
        outcomes = {row["file_index"]: row for row in rows["audio"]}
        has_transcript = any(row["status"] == "available" for row in rows["transcript"])
        for listed in rows["inventory"]:
            outcome = outcomes.get(listed["file_index"], {})
            stored = outcome.get("status") == STORED
            yield {
                "recording_id": recording_id,
                "conversation_id": listed["conversation_id"],
                "file_index": listed["file_index"],
                "file_name": outcome.get("file_name"),
                "status": "available" if stored else outcome.get("status", "pending"),
                "reason": outcome.get("reason") if outcome else "not_requested",
                "size_bytes": outcome.get("source_size_bytes"),
                "md5": outcome.get("md5"),
                "sha256": outcome.get("sha256"),
                "created_at": listed["started_at"],
                "has_transcript": has_transcript,
            }


def write_availability(tables: Tables, day: dt.date) -> Counts:
    """Write the table and `availability.json` of a day; returns the counts by status."""
    counts = Counts()
    with tables.writer("availability_report", day) as writer:
        for row in availability_rows(tables, day):
            writer.add(row)
            counts.add(row)
    with tables.store.writer(report_key(day, "availability.json")) as sink:
        _write_json(tables, day, counts, sink)
        sink.commit()
    return counts


class Counts:
    """Files and bytes of a report, by status."""

    def __init__(self) -> None:
        self.files: dict[str, int] = {}
        self.bytes: dict[str, int] = {}

    def add(self, row: Row) -> None:
        """Count one row; an unknown size counts 0."""
        status = row["status"]
        self.files[status] = self.files.get(status, 0) + 1
        self.bytes[status] = self.bytes.get(status, 0) + (row["size_bytes"] or 0)


def _write_json(tables: Tables, day: dt.date, counts: Counts, sink: ObjectWriter) -> None:
    """The report of guide 000, streamed: it may be longer than memory is wide."""
    end_of_day = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)
    head = {
        "generated_at": _iso(end_of_day),
        "total_files": sum(counts.files.values()),
        "total_size_bytes": sum(counts.bytes.values()),
    }
    sink.write(json.dumps(head, indent=2).removesuffix("\n}").encode() + b',\n  "files": [')
    separator = b"\n    "
    for row in tables.rows("availability_report", day):
        entry = {
            "id": row["recording_id"],
            "file_name": row["file_name"],
            "status": row["status"],
            "size_bytes": row["size_bytes"] or 0,
            "md5": row["md5"],
            "created_date": _iso(row["created_at"]),
        }
        sink.write(separator + json.dumps(entry, ensure_ascii=False).encode())
        separator = b",\n    "
    sink.write(b"\n  ]\n}\n" if separator.startswith(b",") else b"]\n}\n")


def _iso(moment: dt.datetime | None) -> str | None:
    return (
        None if moment is None else moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def storage_utilization(tables: Tables, day: dt.date) -> pa.Table:
    """Files, bytes and seconds by media type and format, sorted by both; raises TableMissing."""
    import pandas as pd

    keys = ["recording_id", "file_index"]
    inventory = _frame(tables.read("recording_inventory", day, [*keys, "media_type", "format", "duration_seconds"]))
    audio = _frame(tables.read("recording_audio", day, [*keys, "status", "source_size_bytes", "stored_size_bytes"]))
    files = inventory.merge(audio, on=keys, how="left", validate="one_to_one")
    stored = files["status"] == STORED
    files["source_bytes"] = files["source_size_bytes"].where(stored, 0)
    files["stored_bytes"] = files["stored_size_bytes"].where(stored, 0)
    groups = (
        files.groupby(["media_type", "format"], dropna=False, as_index=False)
        .agg(
            recordings=("recording_id", "size"),
            source_bytes=("source_bytes", "sum"),
            stored_bytes=("stored_bytes", "sum"),
            duration_seconds=("duration_seconds", "sum"),
        )
        .sort_values(["media_type", "format"], na_position="last")
    )
    ratio = groups["source_bytes"] / groups["stored_bytes"].replace(0, pd.NA)
    groups["compression_ratio"] = ratio.astype(pd.ArrowDtype(pa.float64()))
    return pa.Table.from_pandas(groups, schema=STORAGE_UTILIZATION, preserve_index=False).replace_schema_metadata(None)


def _frame(table: pa.Table) -> Any:
    import pandas as pd

    return table.to_pandas(types_mapper=pd.ArrowDtype)
