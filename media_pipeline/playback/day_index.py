"""One day's calls as a SQLite file: what a list of them shows, and a full-text index of what was said (FTS5).

Made from the tables, redacted text only, one call in memory at a time. A row of `said` is an utterance; its rowid has
the call's id in the high bits, so that a call's utterances are a range.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from media_pipeline.playback.redacted import PLACEHOLDER
from media_pipeline.privacy.segments import REDACTOR_VERSION
from media_pipeline.storage.base import Stat
from media_pipeline.tables.partition import Row, Tables, aligned
from media_pipeline.tables.paths import table_key
from media_pipeline.tables.redaction import is_redacted

VERSION = f"3, redactor {REDACTOR_VERSION}"
"""Text of an older redactor is not searched."""
SEGMENT_BITS = 20
"""A million utterances a call; what is beyond is not found."""
LISTED = "listed"
"""The outcome of what only the inventory knows."""
MARK, UNMARK = "\x02", "\x03"
"""Around found words; in no text that is indexed."""
SOURCES = ("recording_inventory", "recording_audio", "diarized_transcripts")
_COMMIT_CALLS = 1_000
_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE calls (
  id INTEGER PRIMARY KEY, recording_id TEXT NOT NULL, file_index INTEGER NOT NULL, conversation_id TEXT,
  started_ms INTEGER, seconds REAL, media_type TEXT, format TEXT, status TEXT NOT NULL, reason TEXT,
  agents TEXT NOT NULL, queues TEXT NOT NULL, segments INTEGER NOT NULL, redacted INTEGER NOT NULL
);
CREATE VIRTUAL TABLE said USING fts5 (
  text, start_ms UNINDEXED, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
)
"""
_INDEXES = "CREATE INDEX calls_by_start ON calls (started_ms, id); CREATE INDEX calls_by_status ON calls (status)"
_AUDIO = ["recording_id", "file_index", "conversation_id", "status", "reason", "object_key", "sha256"]
_SEGMENTS = ["recording_id", "segment_index", "start_ms", "end_ms", "text", "pii_redacted"]
_INVENTORY = ["recording_id", "file_index", "conversation_id", "media_type", "format", "started_at"]
_INVENTORY += ["duration_seconds", "agent_ids", "queue_ids"]


@dataclass(frozen=True, slots=True)
class Built:
    """How much was indexed; `is_raw`: no utterance was, as the day's transcripts are not redacted."""

    calls: int
    utterances: int
    is_raw: bool


def sources_of(tables: Tables, day: dt.date) -> dict[str, Stat]:
    """Which versions of the day's tables there are now."""
    found: dict[str, Stat] = {}
    for table in SOURCES:
        key = table_key(table, day)
        for name, stat in tables.store.stats(key.rpartition("/")[0] + "/"):
            if name == key:
                found[table] = stat
    return found


def build_index(
    tables: Tables,
    day: dt.date,
    file: Path,
    *,
    with_text: bool = True,
    seconds_of: Callable[[list[Row]], list[float | None]] = lambda rows: [None] * len(rows),
) -> Built:
    """Write the index of a day into a new file; `seconds_of` tells the length of stored files where it is known.

    A day whose transcripts are raw gets no text.

    Raises StorageError, and OSError or sqlite3.Error where the file cannot be written.
    """
    is_raw = with_text and not is_redacted(tables, day)
    with_text = with_text and not is_raw
    sources = sources_of(tables, day)  # before reading: what is replaced meanwhile makes the index an old one
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")  # it is published whole or never
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN")
        calls, utterances = 0, 0
        for batch in _batches(_recordings(tables, day, with_text), _COMMIT_CALLS):
            audio = [row for rows in batch for row in rows["audio"]]
            lengths = dict(zip(map(_key, audio), seconds_of(audio), strict=True))
            for rows in batch:
                first = calls
                calls += _add_calls(connection, calls, rows, lengths)
                if with_text and calls > first:
                    utterances += _add_text(connection, first, rows["segments"])
        if with_text:
            connection.execute("INSERT INTO said (said) VALUES ('optimize')")
        facts = {
            "version": VERSION,
            "day": str(day),
            "with_text": with_text,
            "is_raw": is_raw,
            "sources": {name: list(stat) for name, stat in sorted(sources.items())},
        }
        connection.executemany("INSERT INTO about VALUES (?, ?)", [(n, json.dumps(v)) for n, v in facts.items()])
        connection.execute("COMMIT")
        connection.executescript(_INDEXES)
    return Built(calls, utterances, is_raw)


def _recordings(tables: Tables, day: dt.date, with_text: bool) -> Iterator[dict[str, list[Row]]]:
    for _, rows in aligned(
        inventory=tables.rows("recording_inventory", day, _INVENTORY),
        audio=tables.rows("recording_audio", day, _AUDIO),
        segments=tables.rows("diarized_transcripts", day, _SEGMENTS) if with_text else (),
    ):
        yield rows


def _batches(rows: Iterator[dict[str, list[Row]]], size: int) -> Iterator[list[dict[str, list[Row]]]]:
    batch, held = [], 0
    for each in rows:
        batch.append(each)
        held += 1 + len(each["segments"]) // 50
        if held >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _key(row: Row) -> tuple[str, int]:
    return row["recording_id"], row["file_index"]


def _add_calls(
    connection: sqlite3.Connection, first: int, rows: dict[str, list[Row]], lengths: dict[tuple[str, int], float | None]
) -> int:
    listed = {row["file_index"]: row for row in rows["inventory"]}
    outcomes = {row["file_index"]: row for row in rows["audio"]}
    spoken = max((row["end_ms"] for row in rows["segments"]), default=None)
    redacted = sum(row["pii_redacted"] for row in rows["segments"])
    for number, index in enumerate(sorted(listed.keys() | outcomes.keys())):
        known, outcome = listed.get(index, {}), outcomes.get(index, {})
        either = known or outcome
        started = known.get("started_at")
        seconds = lengths.get(_key(either)) or known.get("duration_seconds")
        if seconds is None and spoken is not None:
            seconds = spoken / 1000
        connection.execute(
            "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                first + number,
                either["recording_id"],
                index,
                either.get("conversation_id") or outcome.get("conversation_id"),
                None if started is None else int(started.timestamp() * 1000),
                seconds,
                known.get("media_type"),
                known.get("format"),
                outcome.get("status") or LISTED,
                outcome.get("reason"),
                " ".join(known.get("agent_ids") or ()),
                " ".join(known.get("queue_ids") or ()),
                len(rows["segments"]),
                redacted,
            ),
        )
    return len(listed.keys() | outcomes.keys())


def _add_text(connection: sqlite3.Connection, call: int, segments: list[Row]) -> int:
    """The words belong to the recording's first file."""
    found = [
        (call << SEGMENT_BITS | row["segment_index"], _plain(row["text"]), row["start_ms"])
        for row in segments
        if 0 <= row["segment_index"] < 1 << SEGMENT_BITS
    ]
    connection.executemany("INSERT INTO said (rowid, text, start_ms) VALUES (?, ?, ?)", found)
    return len(found)


def _plain(text: str) -> str:
    """Without the kinds of what was redacted: who looks for a card means that it was spoken of."""
    return PLACEHOLDER.sub("[redacted]", text).replace(MARK, " ").replace(UNMARK, " ").replace("\0", " ")
