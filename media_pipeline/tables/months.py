"""Months of a table in one file each, `compacted/<table>/YYYY-MM.parquet`: which there are, and which may be read.

They are copies. What counts are the days' files: a note beside the months says of which files they were made, and a
month is read only as long as these are the files that there are. All of `compacted/` may be removed at any time.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, groupby

import pyarrow as pa
from pydantic import BaseModel, ValidationError

from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.paths import COMPACTED_FOLDER, TABLES_FOLDER
from media_pipeline.tables.schemas import TABLES

Files = Mapping[str, str]
"""Keys with their tags."""

COMPACTED = (
    "recording_inventory",
    "recording_audio",
    "diarized_transcripts",
    "transcript_status",
    "availability_report",
    "storage_utilization",
    "storage_quota",
    "export_runs",
)
NOT_COPIED = {"diarized_transcripts": ("text",)}
"""What was said lies in one place."""
WRITER = "1"
"""Another one makes all months anew: to be raised with every change of what is in a month."""
DAY = "date"
_DAY_FILE = re.compile(rf"{TABLES_FOLDER}/[^/]+/{DAY}=(\d{{4}}-\d{{2}}-\d{{2}})/[^/]+\.parquet")


class Noted(BaseModel):
    """One month: the tag of its own file, and what its days' files were, in 32 hex digits."""

    file: str
    days: str


class Note(BaseModel):
    """What stands beside a table's months; `layout` they all have."""

    layout: list[str]
    months: dict[str, Noted]


@dataclass(frozen=True, slots=True)
class Part:
    """Files to be read together: months, or days that are in none."""

    is_months: bool
    keys: list[str]


def month_key(table: str, month: str) -> str:
    """The Parquet file of one table's month, `YYYY-MM`."""
    return f"{prefix(table)}{month}.parquet"


def note_key(table: str) -> str:
    """What a table's months were made of; readers of Parquet pass over such a name."""
    return f"{prefix(table)}_days.json"


def copied(table: str) -> list[pa.Field]:
    """A table's columns that its months have beside `date`; any may be null: older files lack what came later."""
    return [pa.field(each.name, each.type) for each in TABLES[table] if each.name not in NOT_COPIED.get(table, ())]


def day_files(store: ObjectStore, table: str) -> dict[str, str]:
    """A table's files of days, in order."""
    return {key: tag for key, tag in sorted(store.tags(f"{TABLES_FOLDER}/{table}/")) if _DAY_FILE.fullmatch(key)}


def day_of(key: str) -> dt.date | None:
    """The day that a file is of; None for one of no day, as 2026-02-30."""
    with suppress(ValueError):
        match = _DAY_FILE.fullmatch(key)
        return dt.date.fromisoformat(match[1]) if match else None
    return None


def days_of(files: Iterable[str]) -> set[str]:
    """The days that files are of."""
    return {match[1] for key in files if (match := _DAY_FILE.fullmatch(key))}


def reading(store: ObjectStore, table: str, files: Files) -> list[Part]:
    """What to read of a table so as to have all rows of these files in their order; only the note is opened for it."""
    found = by_month(files)
    noted = noted_months(store, table)
    current = set() if noted is None else current_months(store, table, noted, found)
    parts = []
    for is_months, months in groupby(sorted(found), current.__contains__):
        keys = ([month_key(table, month)] if is_months else sorted(found[month]) for month in months)
        parts.append(Part(is_months, list(chain.from_iterable(keys))))
    return parts


def prefix(table: str) -> str:
    """The folder of a table's months, with a trailing slash."""
    return f"{COMPACTED_FOLDER}/{table}/"


def layout(table: str) -> list[str]:
    """What is in a table's months, as a note tells it."""
    return [WRITER, *(f"{each.name} {each.type}" for each in copied(table))]


def noted_months(store: ObjectStore, table: str) -> Note | None:
    """A table's note; None when it is not there, was made by something else, or is of columns that changed since."""
    with suppress(ValidationError):
        small = store.get_small(note_key(table))
        note = None if small is None else Note.model_validate_json(small.data)
        return note if note is not None and note.layout == layout(table) else None
    return None


def by_month(files: Files) -> dict[str, dict[str, str]]:
    """Files month by month; those of no day under an empty name."""
    months: dict[str, dict[str, str]] = defaultdict(dict)
    for key, tag in files.items():
        day = day_of(key)
        months[str(day)[:7] if day else ""][key] = tag
    return months


def digest(days: Files) -> str:
    """What a month's files are, in 32 hex digits."""
    lines = "".join(f"{key}\n{tag}\n" for key, tag in sorted(days.items()))
    return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()


def current_months(store: ObjectStore, table: str, noted: Note, found: Mapping[str, Files]) -> set[str]:
    """The months whose file is the one that was written, of the days that there are."""
    files = dict(store.tags(prefix(table))) if noted.months else {}
    return {
        month
        for month, its in noted.months.items()
        if month in found and its.days == digest(found[month]) and files.get(month_key(table, month)) == its.file
    }
