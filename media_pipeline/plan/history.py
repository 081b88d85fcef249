"""What days that were exported earlier show: bytes and files per entry, calls per unit, seconds per file."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pyarrow.compute as pc

from media_pipeline.genesys.pacing import NO_API_CALLS
from media_pipeline.plan.calls import units_of
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.partition import TableMissing, Tables, aligned
from media_pipeline.tables.paths import audit_key
from media_pipeline.transfer.transcript import AVAILABLE

NEWEST_DAYS = 7
"""Exported days that figures are taken from: a week has its Sunday."""
LISTING_STEP = "recording_inventory"
"""Runs without this step export nothing (listing again, verifying)."""
PLATFORM_ONLY = {"availability", "batch_submit"}
"""Operations that every run of the published API makes, however it listed its day. By query it did so because the day
had just ended; days that a plan is made for are listed by job, so that pages of the query tell nothing of them."""
AUDIT_READ_BYTES = 4_096
PARTS = "tables/export_runs/date={day}/"


@dataclass(slots=True)
class RunCost:
    """What one run of one day cost: API calls by operation, media bytes, seconds by its audit log (None: no log)."""

    day: dt.date
    run_id: str
    calls: Counter[str] = field(default_factory=Counter)
    bytes_fetched: int = 0
    seconds: float | None = None


@dataclass(slots=True)
class History:
    """Sums over exported days; `days` with a table, `runs` with costs."""

    dialect: str
    days: int = 0
    entries: int = 0
    files: int = 0
    stored: int = 0
    source_bytes: int = 0
    stored_bytes: int = 0
    largest_bytes: int = 0
    runs: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    timed_files: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Listed:
    """What an exported day has; a run asks again for each transcript that is not here."""

    recordings: int = 0
    conversations: int = 0
    without_transcript: int = 0


def listed_of(tables: Tables, day: dt.date) -> Listed:
    """Counted in the tables of a day."""
    conversations = pc.unique(tables.read("recording_inventory", day, ["conversation_id"])["conversation_id"])
    found = Listed(conversations=len(conversations))
    for _, rows in aligned(
        inventory=tables.rows("recording_inventory", day, ["recording_id"]),
        transcript=tables.rows("transcript_status", day, ["recording_id", "status"]),
    ):
        found.recordings += len(rows["inventory"])
        if rows["inventory"]:
            found.without_transcript += all(row["status"] != AVAILABLE for row in rows["transcript"])
    return found


def history_of(tables: Tables, days: list[dt.date], dialect: str) -> History:
    """The newest of these days that were exported; days of the other dialect tell of bytes only."""
    found = History(dialect)
    for day in sorted(days, reverse=True):
        if found.days >= NEWEST_DAYS:
            break
        files_before = found.files
        entries = _add_tables(found, tables, day)
        if entries is None:
            continue
        files = found.files - files_before
        whole = max(runs_of(tables, day), key=lambda run: run.calls.total(), default=None)
        if whole is None or bool(PLATFORM_ONLY & whole.calls.keys()) != (dialect == "platform"):
            continue
        if "job_submit" not in whole.calls:
            del whole.calls["query"]
        found.runs += 1
        found.calls.update(whole.calls)
        for unit, number in units_of(dialect, entries, files).items():
            found.units[unit] += int(number)
        if whole.seconds is not None and whole.bytes_fetched:
            found.seconds += whole.seconds
            found.timed_files += files
    return found


def runs_of(tables: Tables, day: dt.date, since: dt.datetime | None = None) -> list[RunCost]:
    """Runs that exported the day and wrote their costs after a moment, by the store's clock."""
    found = []
    for key, stat in tables.store.stats(PARTS.format(day=day)):
        if since is not None and stat.modified < since.timestamp():
            continue
        run = RunCost(day, "")
        exported = False
        for row in tables.rows("export_runs", day, part=PurePosixPath(key).stem):
            run.run_id = row["run_id"]
            exported |= row["step"] == LISTING_STEP
            run.bytes_fetched += row["bytes_fetched"] or 0
            if row["operation"] is not None and row["operation"] not in NO_API_CALLS:
                run.calls[row["operation"]] += row["calls"] or 0
        if exported:
            run.seconds = _seconds_of(tables.store, day, run.run_id)
            found.append(run)
    return found


def _add_tables(found: History, tables: Tables, day: dt.date) -> int | None:
    """Add a day's files; its entries as its dialect counts them, None for a day that has no tables."""
    try:
        inventory = tables.read("recording_inventory", day, ["conversation_id"])
        audio = tables.read("recording_audio", day, ["status", "source_size_bytes", "stored_size_bytes"])
    except TableMissing:
        return None
    stored = audio.filter(pc.equal(audio["status"], "stored"))
    entries = int(inventory.num_rows)
    if found.dialect == "platform":
        entries = len(pc.unique(inventory["conversation_id"]))
    found.days += 1
    found.entries += entries
    found.files += inventory.num_rows
    found.stored += stored.num_rows
    found.source_bytes += pc.sum(stored["source_size_bytes"]).as_py() or 0
    found.stored_bytes += pc.sum(stored["stored_size_bytes"]).as_py() or 0
    found.largest_bytes = max(found.largest_bytes, pc.max(stored["source_size_bytes"]).as_py() or 0)
    return entries


def _seconds_of(store: ObjectStore, day: dt.date, run_id: str) -> float | None:
    """From the first to the last event of a run's audit log."""
    key = audit_key(day, run_id)
    folder, _, name = key.rpartition("/")
    size = store.sizes(f"{folder}/", name).get(key)
    if not size:
        return None
    head = store.read_range(key, 0, min(size, AUDIT_READ_BYTES)) or b""
    tail = store.read_range(key, max(0, size - AUDIT_READ_BYTES), AUDIT_READ_BYTES) or b""
    moments = [*_moments(head), *_moments(tail)]
    return (moments[-1] - moments[0]).total_seconds() if len(moments) > 1 else None


def _moments(lines: bytes) -> Iterator[dt.datetime]:
    for line in lines.splitlines():
        try:
            yield dt.datetime.fromisoformat(json.loads(line)["timestamp"])
        except (ValueError, KeyError, TypeError):
            continue  # cut at the edge of what was read
