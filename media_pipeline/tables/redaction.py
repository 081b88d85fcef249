"""Which days' transcripts are free of personal data, and bringing those up to date that are not.

A day's diarized_transcripts says in the file's metadata which version of the redactor it went through; without that, or
with another version, it counts as raw. Sidecars are rewritten before their table: a killed run leaves the day raw.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from media_pipeline.privacy.segments import COUNT_COLUMNS, REDACTOR_VERSION, TOTAL_COLUMN, redact_segments
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.inventory import listed
from media_pipeline.tables.partition import Row, TableMissing, Tables, aligned
from media_pipeline.tables.paths import TABLES_FOLDER, UNREDACTED_FOLDER, audio_prefix, table_key
from media_pipeline.transfer.outcome import STORED
from media_pipeline.transfer.parallel import ordered_map
from media_pipeline.transfer.sidecar import SIDECAR_SUFFIX, sidecar, sidecar_key
from media_pipeline.transfer.transcript import AVAILABLE

TABLE = "diarized_transcripts"
NOTE = {"redactor_version": REDACTOR_VERSION}
"""Of the file of a redacted day."""
THREADS = 8


@dataclass(slots=True)
class Redacted:
    """What became of one day: segments in it, segments in which something was found, sidecars rewritten."""

    day: dt.date
    segments: int = 0
    touched: int = 0
    sidecars: int = 0


def is_redacted(tables: Tables, day: dt.date) -> bool:
    """Whether a day's transcripts went through this version of the redactor; a day without any did."""
    try:
        return tables.note(TABLE, day).items() >= NOTE.items()
    except TableMissing:
        return True


def tells_of_one_file(tables: Tables, day: dt.date, recording_id: str) -> bool:
    """Whether a transcript's times are certainly those of the recording's file: of several, nobody says of which."""
    rows = tables.rows_about("recording_audio", day, recording_id, ["file_index"])
    return [row["file_index"] for row in rows] == [0]


def transcript_days(store: ObjectStore) -> list[dt.date]:
    """Days that have transcripts, oldest first."""
    return sorted(days_below(store, f"{TABLES_FOLDER}/{TABLE}/"))


def raw_days(tables: Tables, days: Iterable[dt.date], threads: int = THREADS) -> list[dt.date]:
    """Those of the days that are raw; reads the end of each day's file."""
    judged = ordered_map(lambda day: (day, is_redacted(tables, day)), iter(days), threads=threads)
    return [day for day, redacted in judged if not redacted]


def unredacted(tables: Tables) -> Tables:
    """The tables of raw text, which are written with MEDIA_KEEP_UNREDACTED=1 only."""
    return Tables(tables.store, UNREDACTED_FOLDER)


def uncounted(row: Row) -> Row:
    """A segment as it was; days of earlier versions have no counts by type."""
    return row | {name: row.get(name) or 0 for name in COUNT_COLUMNS}


def unredacted_days(store: ObjectStore) -> list[dt.date]:
    """Days whose raw text is kept, oldest first."""
    return sorted(days_below(store, f"{UNREDACTED_FOLDER}/{TABLE}/"))


def remove_unredacted(tables: Tables, day: dt.date) -> None:
    """Remove a day's raw text."""
    tables.store.remove(table_key(TABLE, day, folder=UNREDACTED_FOLDER))


def redact_day(tables: Tables, day: dt.date, *, keep: bool, still_ours: Callable[[], None]) -> Redacted:
    """Replace a raw day's transcripts and sidecars by redacted ones, in bounded memory; the table comes last.

    `keep`: the text as it was goes under `unredacted/` first, where it is not there yet. `still_ours` raises when the
    day was taken over by a run.
    """
    done, raw = Redacted(day), unredacted(tables)
    keep = keep and not raw.exists(TABLE, day)  # what lies there is from before any redaction
    present = tables.store.sizes(audio_prefix(day), SIDECAR_SUFFIX)
    with ExitStack() as stack:
        writer = stack.enter_context(tables.writer(TABLE, day, note=NOTE))
        originals = stack.enter_context(raw.writer(TABLE, day)) if keep else None
        for rows in _recordings(tables, day):
            for row in rows["segments"] if originals else ():
                originals.add(uncounted(row))  # type: ignore[union-attr]  # as the line before says
            segments = redact_segments(rows["segments"])
            done.segments += len(segments)
            done.touched += sum(bool(row[TOTAL_COLUMN]) for row in segments)
            done.sidecars += _rewrite_sidecars(tables.store, rows, segments, present)
            for row in segments:
                writer.add(row)
        still_ours()
    return done


def _recordings(tables: Tables, day: dt.date) -> Iterator[dict[str, list[Row]]]:
    for _, rows in aligned(
        inventory=tables.rows("recording_inventory", day),
        audio=tables.rows("recording_audio", day),
        status=tables.rows("transcript_status", day),
        segments=tables.rows(TABLE, day),
    ):
        yield rows


def _rewrite_sidecars(
    store: ObjectStore, rows: dict[str, list[Row]], segments: list[Row], present: dict[str, int]
) -> int:
    """Rewrite those that are there; returns their number. Equal sizes say nothing: a placeholder may be as long."""
    files = {row["file_index"]: listed(row) for row in rows["inventory"]}
    is_available = bool(rows["status"]) and rows["status"][0]["status"] == AVAILABLE
    count = 0
    for audio in rows["audio"]:
        if audio["status"] != STORED or audio["file_index"] not in files:
            continue
        key = sidecar_key(audio["object_key"])
        if key in present:
            store.put(key, sidecar(files[audio["file_index"]], audio, segments if is_available else None))
            count += 1
    return count
