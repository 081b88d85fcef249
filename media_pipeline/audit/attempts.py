"""What each run did with one recording, in order of time: from audit logs, published or not, and export_runs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_pipeline.audit.log import spool_folder
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.runs import TABLE as EXPORT_RUNS

SETTLED = "recording_settled"
ONLY_COSTS = "only_costs"
"""A run whose audit log is not there: export_runs knows what it cost, not what came of it."""
_EVENTS = (SETTLED, "transcript_settled")
_ABOUT_OBJECTS = ("object_removed", "object_changed", "object_added")
_MAX_LINE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Attempt:
    """One event; times are ISO-8601 UTC, sizes bytes, None where it is not known."""

    timestamp: str
    event: str
    run_id: str
    file_index: int | None = None
    status: str | None = None
    reason: str | None = None
    detail: str | None = None
    attempts: int | None = None
    bytes_fetched: int | None = None
    bytes_resumed: int | None = None
    adopted: bool | None = None
    seconds: float | None = None
    segments: int | None = None


def attempts_of(
    tables: Tables,
    spool: Path,
    day: dt.date,
    recording_id: str,
    object_keys: Collection[str],
    cleaned: Callable[[str], str],
) -> list[Attempt]:
    """All that a day's logs and figures say of a recording, oldest first; `cleaned` is applied to sentences."""
    found: set[Attempt] = set()
    wanted = {json.dumps(text, ensure_ascii=False).encode() for text in (recording_id, *object_keys)}
    for line in _lines(tables, spool, day):
        if not any(text in line for text in wanted):
            continue
        with suppress(ValueError):  # a kill may tear the last line
            event = json.loads(line)
            if isinstance(event, dict) and (attempt := _attempt(event, recording_id, object_keys, cleaned)):
                found.add(attempt)  # a published log and its copy in the spool have the same lines
    settled = {(attempt.run_id, attempt.file_index) for attempt in found if attempt.event == SETTLED}
    found.update(a for a in _costs(tables, day, recording_id) if (a.run_id, a.file_index) not in settled)
    return sorted(found, key=lambda attempt: (attempt.timestamp, attempt.event, attempt.file_index or 0))


def _attempt(
    event: dict[str, Any], recording_id: str, object_keys: Collection[str], cleaned: Callable[[str], str]
) -> Attempt | None:
    name = event.get("event")
    is_ours = name in _EVENTS and event.get("recording_id") == recording_id
    if not is_ours and not (name in _ABOUT_OBJECTS and event.get("key") in object_keys):
        return None
    latency, detail = event.get("latency_ms"), event.get("detail")
    return Attempt(
        timestamp=str(event.get("timestamp")),
        event=str(name),
        run_id=str(event.get("run_id")),
        file_index=event.get("file_index"),
        status=event.get("status"),
        reason=event.get("reason"),
        detail=cleaned(detail) if isinstance(detail, str) else None,
        attempts=event.get("attempts"),
        bytes_fetched=event.get("bytes"),
        bytes_resumed=event.get("bytes_resumed"),
        adopted=event.get("adopted"),
        seconds=latency / 1000 if isinstance(latency, int) else None,
        segments=event.get("segments"),
    )


def _costs(tables: Tables, day: dt.date, recording_id: str) -> Iterator[Attempt]:
    """Figures of export_runs, dated by when their file was written."""
    for key, stat in tables.store.stats(f"tables/{EXPORT_RUNS}/date={day}/"):
        part = key.rpartition("/")[2].removesuffix(".parquet")
        written = dt.datetime.fromtimestamp(stat.modified, dt.UTC).isoformat(timespec="milliseconds")
        for row in tables.rows_about(EXPORT_RUNS, day, recording_id, part=part):
            yield Attempt(
                timestamp=written.replace("+00:00", "Z"),
                event=ONLY_COSTS,
                run_id=row["run_id"],
                file_index=row["file_index"],
                attempts=row["attempts"],
                bytes_fetched=row["bytes_fetched"],
                seconds=row["seconds"],
            )


def _lines(tables: Tables, spool: Path, day: dt.date) -> Iterator[bytes]:
    """Lines of all logs of a day, one at a time; those of absurd length are cut and so are no JSON."""
    for key in tables.store.sizes(f"audit/date={day}/", ".jsonl"):
        file = tables.store.open(key)
        if file is not None:
            with file:
                while line := file.readline(_MAX_LINE_BYTES):
                    yield line
    for path in sorted((spool_folder(spool, tables.store.url) / f"date={day}").glob("*.jsonl")):
        with suppress(OSError), path.open("rb") as spooled:  # published meanwhile
            while line := spooled.readline(_MAX_LINE_BYTES):
                yield line
