"""What changed under audio/ outside a run: files added, changed or removed, by comparing objects with the tables.

An object whose size is right is read only when it was written after its table: a run writes the table last.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.gzi import INDEX_SUFFIX
from media_pipeline.storage.ranges import UnreadableError
from media_pipeline.storage.restore import restored
from media_pipeline.tables.partition import Row, Tables, aligned
from media_pipeline.tables.paths import OBJECT_SUFFIX, audio_prefix, object_stem, table_key
from media_pipeline.transfer.outcome import INCOMPLETE_STATUSES, STORED
from media_pipeline.transfer.sidecar import sidecar_key

TABLE = "recording_audio"

MAX_BYTES_READ = 64 * 1024 * 1024
"""Of one day's objects at a time; which ones is left to chance."""


@dataclass(slots=True)
class Drift:
    """Keys of a day that are not as its tables say, each list sorted."""

    day: dt.date
    objects: int = 0
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    disowned: list[str] = field(default_factory=list)
    """Objects of recordings that are settled as not stored: no change outside a run, and nothing uses them."""

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def items(self) -> Iterator[tuple[str, str]]:
        """Every finding as (`removed` | `changed` | `added`, key)."""
        for kind, keys in (("removed", self.removed), ("changed", self.changed), ("added", self.added)):
            yield from ((kind, key) for key in keys)

    @property
    def summary(self) -> str:
        """The findings by number."""
        kinds = (("removed", self.removed), ("changed", self.changed), ("added", self.added))
        return ", ".join(f"{len(keys)} {kind}" for kind, keys in kinds if keys) or "as the tables say"


def days_with_objects(store: ObjectStore) -> list[dt.date]:
    """Days that have been exported, oldest first."""
    return sorted(days_below(store, f"tables/{TABLE}/"))


def days_below(store: ObjectStore, prefix: str) -> set[dt.date]:
    """The days that have a folder `date=...` below a prefix."""
    names = {key.removeprefix(prefix).partition("/")[0].removeprefix("date=") for key, _ in store.stats(prefix)}
    days = set()
    for name in names:
        with suppress(ValueError):  # somebody's folder, or a day no month has
            days.add(dt.date.fromisoformat(name))
    return {day for day in days if str(day) in names}  # fromisoformat takes 20261120 too


def find_drift(tables: Tables, day: dt.date, *, read: bool = True) -> Drift:
    """Compare a day's objects with its tables; a day without tables has no drift.

    Without `read` only what a listing shows is compared: no object is opened.
    """
    key = table_key(TABLE, day)
    written = dict(tables.store.stats(key.rpartition("/")[0] + "/")).get(key)
    found = Drift(day)
    if written is None:
        return found
    present = dict(tables.store.stats(audio_prefix(day)))
    found.objects = len(present)
    of_stem: dict[str, list[str]] = defaultdict(list)
    for key in present:
        of_stem[_stem(key)].append(key)
    rewritten: list[tuple[int, Row]] = []
    for row, stem in _known_files(tables, day):
        if row is None or row["status"] != STORED:
            for key in of_stem.get(stem, ()):
                del present[key]  # what a failed export left untouched, or a run under way has just published
                if row is not None and row["status"] not in INCOMPLETE_STATUSES and key.endswith(OBJECT_SUFFIX):
                    found.disowned.append(key)
            continue
        key = row["object_key"] or ""  # null in a table that somebody edited
        stat = present.pop(key, None)
        present.pop(key + INDEX_SUFFIX, None)
        present.pop(sidecar_key(key), None)
        if stat is None:
            found.removed.append(key)
        elif stat.size != row["stored_size_bytes"]:
            found.changed.append(key)
        elif read and stat.modified > written.modified:
            rewritten.append((stat.size, row))
    found.changed = sorted([*found.changed, *_other_bytes(tables.store, rewritten)])
    found.added = sorted(present)
    found.disowned.sort()
    return found


def _other_bytes(store: ObjectStore, rewritten: list[tuple[int, Row]]) -> Iterator[str]:
    """Of objects written after their table, those that no longer restore to their SHA-256; a bounded sample is read."""
    budget = MAX_BYTES_READ
    random.shuffle(rewritten)
    for size, row in rewritten:
        if budget <= 0:
            return
        budget -= size
        if not _holds(store, row):
            yield row["object_key"]


def _stem(key: str) -> str:
    """A key without format and suffixes, as object_stem gives it; other files keep what they have."""
    return key.removesuffix(INDEX_SUFFIX).removesuffix(OBJECT_SUFFIX).rpartition(".")[0]


def _known_files(tables: Tables, day: dt.date) -> Iterator[tuple[Row | None, str]]:
    """Each file that the day's tables know: its outcome, if it has one, and its key without suffixes."""
    outcome = ["recording_id", "file_index", "status", "object_key", "stored_size_bytes", "sha256"]
    for recording_id, rows in aligned(
        inventory=tables.rows("recording_inventory", day, ["recording_id", "file_index"]),
        audio=tables.rows(TABLE, day, outcome),
    ):
        outcomes = {row["file_index"]: row for row in rows["audio"]}
        indexes = sorted({row["file_index"] for row in rows["inventory"]} | outcomes.keys())
        for index in indexes:
            yield outcomes.get(index), object_stem(day, recording_id, index, several_files=len(indexes) > 1)


def _holds(store: ObjectStore, row: Row) -> bool:
    """Whether an object still restores to the SHA-256 of its row."""
    file = store.open(row["object_key"])
    if file is None:
        return False
    try:
        with file:
            return restored(file).sha256 == str(row["sha256"])
    except UnreadableError:
        return False
