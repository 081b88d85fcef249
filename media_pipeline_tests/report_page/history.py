"""Days of an archive as runs leave them, by the real writers: as many and as bad as a test or a picture needs."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media_pipeline.report_page.page import write_page
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import audit_key, object_key, safe_name
from media_pipeline.tables.reports import storage_utilization, write_availability
from media_pipeline.tables.runs import TABLE as EXPORT_RUNS
from media_pipeline.transfer.outcome import REASONS, STORED

LAST = dt.date(2026, 11, 20)
FORMATS = (
    ("call", "wav", 0.62, 1.35),
    ("call", "mp3", 0.2, 1.02),
    ("call", "ogg", 0.1, 1.01),
    ("screen", "webm", 0.08, 1),
)
"""Media type, format, share of the files, compression."""
ORDINARY = {"codec": 0.03, "zero_bytes": 0.002, "no_file": 0.004, "archived": 0.006}
"""Shares of what keeps no day from being complete."""


@dataclass
class Day:
    """What a day shall have: files, and shares of them by reason; the rest is stored."""

    files: int
    shares: Mapping[str, float] = field(default_factory=lambda: dict(ORDINARY))
    runs: int = 1
    refused: int = 0
    objects: bool = True
    with_transcripts: bool = True
    names: Mapping[str, str] = field(default_factory=dict)
    """Words that are put in place of others: formats, reasons, ids by their number."""


def write_day(tables: Tables, day: dt.date, wanted: Day) -> None:
    """All tables that the day's page is made of; objects as sparse files of the right size."""
    chance = random.Random(f"{day}")
    rows = list(_rows(day, wanted, chance))
    tables.write("recording_inventory", day, [listed for listed, _ in rows])
    tables.write("recording_audio", day, [outcome for _, outcome in rows])
    if wanted.with_transcripts:
        tables.write("transcript_status", day, sorted(_transcripts(rows, chance), key=lambda row: row["recording_id"]))
    write_availability(tables, day)
    tables.write("storage_utilization", day, storage_utilization(tables, day))
    for number in range(wanted.runs):
        _write_run(tables, day, number, rows, wanted, chance)
    assert isinstance(tables.store, LocalStore)
    root = Path(tables.store.url)
    for _, outcome in rows if wanted.objects else ():
        if outcome["status"] == STORED:
            path = root / outcome["object_key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(outcome["stored_size_bytes"])


def history(tables: Tables, days: int, last: dt.date = LAST, per_day: int = 180) -> None:
    """Growth, quiet weekends, a bad week, a day never exported; the last day is not complete."""
    for back in range(days - 1, -1, -1):
        day = last - dt.timedelta(days=back)
        chance = random.Random(f"{day} shape")
        files = round(
            per_day * (0.35 if day.weekday() > 4 else 1) * (1 - 0.5 * back / days) * chance.uniform(0.85, 1.15)
        )
        shares = dict(ORDINARY)
        if back == 41:
            continue
        if 17 <= back <= 19 or back == 5:
            shares |= {"server_error": 0.05, "rate_limited": 0.02}
        if back == 0:
            shares |= {"not_ready": 0.012, "rate_limited": 0.02, "md5_mismatch": 0.004, "short_body": 0.01}
        runs = 3 if back == 0 else 1
        write_day(tables, day, Day(files, shares, runs=runs, refused=60 if back == 0 else 0))


def _rows(day: dt.date, wanted: Day, chance: random.Random) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    ids = sorted(
        wanted.names.get(str(number), hashlib.sha256(f"{day}/{number}".encode()).hexdigest()[:32])
        for number in range(wanted.files)
    )
    begin = dt.datetime.combine(day, dt.time(), dt.UTC)
    for recording_id in ids:
        media_type, media_format, _, ratio = chance.choices(FORMATS, [each[2] for each in FORMATS])[0]
        reason = _reason(wanted.shares, chance)
        if media_format == "webm":
            reason = reason if reason in ("server_error", "not_ready") else "codec"
        elif reason == "codec":
            media_type, media_format = "screen", "webm"
        shown = wanted.names.get(media_format, media_format)
        seconds = chance.lognormvariate(5, 0.8)
        size = round(seconds * (16_000 if media_format == "wav" else 4_000))
        stored = reason is None
        digest = hashlib.sha256(recording_id.encode()).hexdigest()
        yield (
            {
                "recording_id": recording_id,
                "conversation_id": digest[:32],
                "file_index": 0,
                "media_type": media_type,
                "format": shown,
                "codec_supported": media_format != "webm",
                "started_at": begin + dt.timedelta(seconds=chance.uniform(0, 86_399)),
                "duration_seconds": round(seconds, 1),
                "file_state": "available",
            },
            {
                "recording_id": recording_id,
                "conversation_id": digest[:32],
                "file_index": 0,
                "file_name": wanted.names.get("file_name", f"{recording_id}.{media_format}"),
                "status": STORED if reason is None else REASONS[reason][0],
                "reason": reason and wanted.names.get(reason, reason),
                "detail": None if reason is None else REASONS[reason][1],
                "object_key": object_key(day, recording_id, 0, False, media_format) if stored else None,
                "content_type": f"audio/{media_format}",
                "source_size_bytes": size if stored else None,
                "stored_size_bytes": round(size / ratio * chance.uniform(0.95, 1.05)) if stored else None,
                "md5": digest[:32] if stored else None,
                "sha256": digest if stored else None,
                "integrity_basis": "length_and_range" if stored else None,
                "listed_state": "available",
            },
        )


def _reason(shares: Mapping[str, float], chance: random.Random) -> str | None:
    place = chance.random()
    for reason, share in shares.items():
        place -= share
        if place < 0:
            return reason
    return None


def _transcripts(rows: list[tuple[dict[str, Any], dict[str, Any]]], chance: random.Random) -> Iterator[dict[str, Any]]:
    for _, outcome in rows:
        if outcome["status"] == STORED:
            status, reason = chance.choices(
                [("available", None), ("unavailable", "no_transcript"), ("forbidden", "forbidden")], [0.94, 0.05, 0.01]
            )[0]
            yield {
                "recording_id": outcome["recording_id"],
                "conversation_id": outcome["conversation_id"],
                "status": status,
                "reason": reason,
                "segments": chance.randint(4, 80) if status == "available" else 0,
            }


def _write_run(
    tables: Tables,
    day: dt.date,
    number: int,
    rows: list[tuple[dict[str, Any], dict[str, Any]]],
    wanted: Day,
    chance: random.Random,
) -> None:
    """The first run has fetched everything; later ones ask again for what is open."""
    run_id = hashlib.sha256(f"{day} run {number}".encode()).hexdigest()[:32]
    worked = [o for _, o in rows if number == 0 or o["status"] in ("failed", "pending", "quarantined")]
    same = {"run_id": run_id, "step": "recording_audio"}
    found: list[dict[str, Any]] = []
    for outcome in worked:
        size = outcome["source_size_bytes"] or 0
        found.append(
            same
            | {
                "recording_id": outcome["recording_id"],
                "file_index": 0,
                "attempts": 1 if size else 3,
                "bytes_fetched": size,
                "seconds": round(0.2 + size / 4e6 + chance.expovariate(3), 3),
            }
        )
    slices = max(1, len(worked) // 40)
    refused = [0] * slices
    for _ in range(wanted.refused if number == 0 else wanted.refused // 10):
        refused[min(slices - 1, int(chance.gauss(slices * 0.45, slices * 0.08) % slices))] += 1
    calls = [len(worked) // slices + each + chance.randint(0, 12) for each in refused]
    for operation, status, count in (("file", 206, sum(calls) - sum(refused)), ("media", 429, sum(refused))):
        if count:
            found.append(same | {"operation": operation, "http_status": status, "calls": count})
    if sum(refused):
        found.append(same | {"operation": "media", "retries": sum(refused), "waited_seconds": 2.5 * sum(refused)})
    for place in range(slices):
        then = {"calls_then": calls[place], "refused_then": refused[place], "retries_then": refused[place]}
        found.append(same | {"from_second": place * 10} | then)
    tables.write(EXPORT_RUNS, day, found, part=safe_name(run_id))
    begun = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(2 + number, 15), dt.UTC)
    line = {"timestamp": begun.isoformat().replace("+00:00", "Z"), "event": "step_started", "run_id": run_id}
    tables.store.put(audit_key(day, run_id), (json.dumps(line) + "\n").encode())


def with_pages(tables: Tables, days: int, per_day: int) -> None:
    """A history in which each day has its page, to look at."""
    history(tables, days, per_day=per_day)
    start = LAST - dt.timedelta(days=days - 1)
    for back in range(days - 1, -1, -1):
        day = LAST - dt.timedelta(days=back)
        if tables.exists("recording_inventory", day):
            write_page(tables, day, start=start, lookback_days=7)


if __name__ == "__main__":  # python -m media_pipeline_tests.report_page.history FOLDER DAYS PER_DAY
    with_pages(Tables(LocalStore(Path(sys.argv[1]))), int(sys.argv[2]), int(sys.argv[3]))
