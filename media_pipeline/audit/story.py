"""One recording's whole story, from tables, audit logs, ledger and spool: no call to Genesys Cloud, no credentials.

How it is shown is not decided here. Links are taken out of sentences; transcript text and file names are not read.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from media_pipeline.audit.attempts import Attempt, attempts_of
from media_pipeline.storage.base import ObjectStore, root_name
from media_pipeline.storage.lease import Holder
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.ledger import settled_rows
from media_pipeline.tables.partition import Row, Tables, rows_of
from media_pipeline.tables.paths import audio_prefix, lease_key, object_key
from media_pipeline.transfer.outcome import REASONS, STORED
from media_pipeline.transfer.parallel import ordered_map
from media_pipeline.transfer.spool import Spool

LISTS = ("recording_inventory", "recording_audio", "recent_listings")
"""Tables that may know a recording."""
_LISTED = ["file_index", "file_state", "media_type", "format", "codec_supported", "started_at", "duration_seconds"]
_OUTCOME = ["status", "reason", "detail", "object_key", "content_type", "source_size_bytes", "stored_size_bytes", "md5"]
_OUTCOME += ["sha256", "source_md5", "integrity_basis", "listed_state"]
_LINK = re.compile(r"\w+://\S+")


@dataclass(slots=True)
class FileStory:
    """One file of a recording: as listed, as settled by the tables and since, and what lies in store and spool."""

    file_index: int
    listed: Row | None = None
    listed_lately: str | None = None
    """Its state in the newest listing of the look-back."""
    outcome: Row | None = None
    settled_since: Row | None = None
    """What a run that broke off, or still works, has settled and no table has."""
    object_bytes: int | None = None
    """Size of the object that is there, None when there is none."""
    partial_bytes: int | None = None
    """Compressed bytes of a download under way, or broken off, on this machine."""
    next_step: str = ""


@dataclass(slots=True)
class DayStory:
    """What one day's partition knows of the recording."""

    day: dt.date
    files: list[FileStory] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    transcript: Row | None = None
    run_at_work: str | None = None


@dataclass(slots=True)
class Story:
    """The days that list a recording, newest first; none for one that nobody knows. `searched`: the days looked at."""

    recording_id: str
    root: str
    searched: list[dt.date]
    days: list[DayStory] = field(default_factory=list)

    @property
    def searched_sentence(self) -> str:
        """Where it was looked for, for a recording that is not known."""
        if not self.searched:
            return f"Nothing has been listed or exported under MEDIA_ROOT={self.root} yet."
        span = f"{self.searched[-1]} to {self.searched[0]}" if len(self.searched) > 1 else f"{self.searched[0]}"
        return (
            f"No table knows this id: searched {', '.join(LISTS)} of {len(self.searched)} day(s), {span}, under "
            f"MEDIA_ROOT={self.root}. Check the id and MEDIA_ROOT, or export its day."
        )


def tell_story(
    store: ObjectStore, spool: Path, recording_id: str, *, day: dt.date | None = None, threads: int = 4
) -> Story:
    """Look for a recording in one day, or in all days, newest first, and collect what is known of it."""
    tables = Tables(store)
    known = set[dt.date]().union(*(days_below(store, f"tables/{table}/") for table in LISTS))
    searched = sorted(known, reverse=True) if day is None else [day]
    story = Story(recording_id, store.url, searched)
    if _storable(recording_id):
        hits = ordered_map(lambda each: (each, _is_in(tables, each, recording_id)), searched, threads=threads)
        story.days = [_of_day(tables, spool, hit, recording_id) for hit, is_in in hits if is_in]
    return story


def _storable(recording_id: str) -> bool:
    """Whether an id can stand in a table: bytes that are no UTF-8 reach us as lone surrogates."""
    try:
        recording_id.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_in(tables: Tables, day: dt.date, recording_id: str) -> bool:
    return any(tables.rows_about(table, day, recording_id, ["recording_id"]) for table in LISTS)


def _of_day(tables: Tables, spool: Path, day: dt.date, recording_id: str) -> DayStory:
    told = DayStory(day)
    inventory, audio, lately = (tables.rows_about(table, day, recording_id) for table in LISTS)
    settled = settled_rows(tables.store, spool / "ledger" / root_name(tables.store.url), day)
    since = list(rows_of(settled.filter(pc.equal(settled["recording_id"], recording_id))))
    listed, outcomes, states = _by_file(inventory), _by_file(audio), _by_file(lately)
    unpublished = _by_file(since)
    for index in sorted({*listed, *outcomes, *states, *unpublished}):
        file = FileStory(index, listed=_picked(listed.get(index), _LISTED))
        file.outcome = _picked(outcomes.get(index), _OUTCOME)
        file.settled_since = _picked(unpublished.get(index), _OUTCOME)
        file.listed_lately = states[index]["file_state"] if index in states else None
        _look_at_bytes(tables.store, spool, file, listed.get(index), len(listed) > 1, day)
        file.next_step = _next_step(file, recording_id, day)
        told.files.append(file)
    told.transcript = next(iter(tables.rows_about("transcript_status", day, recording_id)), None)
    told.transcript = _picked(told.transcript, ["status", "reason", "segments"])
    keys = {file.outcome["object_key"] for file in told.files if file.outcome}
    told.attempts = attempts_of(tables, spool, day, recording_id, keys - {None}, _without_links)
    lease = tables.store.get_small(lease_key(day))
    if lease is not None and not (holder := Holder.of(lease.data)).is_gone():
        told.run_at_work = holder.run_id
    return told


def _look_at_bytes(
    store: ObjectStore, spool: Path, file: FileStory, listed: Row | None, several_files: bool, day: dt.date
) -> None:
    key = next((row["object_key"] for row in (file.settled_since, file.outcome) if row and row["object_key"]), None)
    if key is None and listed is not None:
        key = object_key(day, listed["recording_id"], file.file_index, several_files, listed["format"])
    if key is None:
        return
    file.partial_bytes = Spool(spool, store.url).under_way(key)
    # a listing: opening an object of a bucket would copy it
    file.object_bytes = next((stat.size for name, stat in store.stats(audio_prefix(day)) if name == key), None)


def _next_step(file: FileStory, recording_id: str, day: dt.date) -> str:
    """What to do, in one sentence."""
    again = "`media-pipeline export --recording <this id>`"
    if file.settled_since is not None:
        return (
            f"A run settled it and did not finish: run the day again (`media-pipeline export --date {day}`), which "
            "takes over what is there."
        )
    if file.outcome is None:
        return f"It is listed and no run has settled it yet: `media-pipeline export --date {day}`."
    if file.outcome["status"] != STORED:
        unknown = ("", "This version does not know the reason; see the detail.")
        return REASONS.get(file.outcome["reason"], unknown)[1]
    if file.object_bytes is None:
        return f"Its object is gone: fetch it again with {again} while the source still has it."
    if file.object_bytes != file.outcome["stored_size_bytes"]:
        return f"Its object has another size than it was stored with: fetch it again with {again}."
    return f"Nothing: it is stored. `media-pipeline verify --date {day}` proves its bytes."


def _by_file(rows: Iterable[Row]) -> dict[int, Row]:
    return {row["file_index"]: row for row in rows}


def _picked(row: Row | None, columns: list[str]) -> Row | None:
    if row is None:
        return None
    picked: dict[str, Any] = {name: row.get(name) for name in columns}
    if picked.get("detail"):
        picked["detail"] = _without_links(picked["detail"])
    return picked


def _without_links(text: str) -> str:
    return _LINK.sub("[link]", text)
