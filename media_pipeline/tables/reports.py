"""The daily reports, computed from the tables alone: availability (table and JSON) and storage utilization."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from media_pipeline.storage.base import ObjectWriter
from media_pipeline.tables.partition import Row, Tables, aligned
from media_pipeline.tables.paths import report_key
from media_pipeline.transfer.outcome import STORED

_KEY = ("recording_id", "file_index")
_OUTCOME = ("file_name", "status", "reason", "source_size_bytes", "md5", "sha256")


def availability_rows(tables: Tables, day: dt.date) -> Iterator[Row]:
    """One row per listed file, sorted by key."""
    for recording_id, rows in aligned(
        inventory=tables.rows("recording_inventory", day, [*_KEY, "conversation_id", "started_at"]),
        audio=tables.rows("recording_audio", day, [*_KEY, *_OUTCOME]),
        transcript=tables.rows("transcript_status", day, ["recording_id", "status"]),
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
    """The report, streamed: it may be longer than memory is wide."""
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


def storage_utilization(tables: Tables, day: dt.date) -> list[Row]:
    """Files, bytes and seconds by media type and format, sorted by both, nulls last."""
    groups: dict[tuple[str | None, str | None], _Use] = defaultdict(_Use)
    for _, rows in aligned(
        inventory=tables.rows("recording_inventory", day, [*_KEY, "media_type", "format", "duration_seconds"]),
        audio=tables.rows("recording_audio", day, [*_KEY, "status", "source_size_bytes", "stored_size_bytes"]),
    ):
        outcomes = {row["file_index"]: row for row in rows["audio"]}
        for listed in rows["inventory"]:
            groups[listed["media_type"], listed["format"]].add(listed, outcomes.get(listed["file_index"]))
    return [
        groups[key].row(*key) for key in sorted(groups, key=lambda key: [(part is None, part or "") for part in key])
    ]


@dataclass(slots=True)
class _Use:
    recordings: int = 0
    source_bytes: int = 0
    stored_bytes: int = 0
    duration_seconds: float = 0.0

    def add(self, listed: Row, outcome: Row | None) -> None:
        self.recordings += 1
        self.duration_seconds += listed["duration_seconds"] or 0.0
        if outcome is not None and outcome["status"] == STORED:
            self.source_bytes += outcome["source_size_bytes"]
            self.stored_bytes += outcome["stored_size_bytes"]

    def row(self, media_type: str | None, media_format: str | None) -> Row:
        ratio = self.source_bytes / self.stored_bytes if self.stored_bytes else None
        return {"media_type": media_type, "format": media_format, "compression_ratio": ratio} | asdict(self)
