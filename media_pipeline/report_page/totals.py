"""What a day amounts to, in a few numbers: cheap enough to be asked of a month of days."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from media_pipeline.tables.inventory import malformed_entries, unreadable_conversations
from media_pipeline.tables.partition import TableMissing, Tables
from media_pipeline.transfer.outcome import EMPTY, FAILED, INCOMPLETE_STATUSES, STORED, UNAVAILABLE, UNSUPPORTED
from media_pipeline.transfer.parallel import ordered_map

NEVER_EXPORTED = "never exported"


@dataclass(frozen=True, slots=True)
class Totals:
    """A day by its tables: files, sizes in bytes, length in seconds (None where the source tells no length)."""

    day: dt.date
    listed: int = 0
    supported: int = 0
    duration_seconds: float | None = None
    unlisted: int = 0
    """Entries without an id, and conversations whose recordings are not known: they have no rows."""
    statuses: Counter[str] = field(default_factory=Counter)
    source_bytes: int = 0
    stored_bytes: int = 0
    transcripts: int = 0

    @property
    def stored(self) -> int:
        """Files whose object is verified."""
        return self.statuses[STORED]

    @property
    def failed(self) -> int:
        """Files whose download failed."""
        return self.statuses[FAILED]

    @property
    def expected(self) -> int:
        """Files that should be exported: those that are in another format, empty or gone are not."""
        return self.listed - sum(self.statuses[status] for status in (UNSUPPORTED, EMPTY, UNAVAILABLE))

    @property
    def unsettled(self) -> int:
        """Files that keep the day from being complete: those without an outcome count too."""
        return sum(self.statuses[each] for each in INCOMPLETE_STATUSES) + abs(self.listed - self.statuses.total())

    @property
    def is_settled(self) -> bool:
        """Whether the tables hold nothing against the day; objects are not looked at."""
        return not self.unsettled and not self.unlisted

    @property
    def why(self) -> str:
        """What keeps it from being complete, in a few words."""
        found = [f"{self.statuses[each]:,} {each}" for each in sorted(INCOMPLETE_STATUSES) if self.statuses[each]]
        without = abs(self.listed - self.statuses.total())
        found += [f"{without:,} without an outcome"] if without else []
        found += [f"{self.unlisted:,} that could not be listed"] if self.unlisted else []
        return ", ".join(found)


def totals_of(tables: Tables, day: dt.date) -> Totals | None:
    """A day's totals, None for a day that was never listed; a table that is not there yet counts nothing."""
    try:
        unlisted = malformed_entries(tables, day) + unreadable_conversations(tables, day)
    except TableMissing:
        return None
    sums, statuses, spoken = Counter[str](), Counter[str](), Counter[str]()
    seconds: list[float] = []
    for listed in tables.batches("recording_inventory", day, ["codec_supported", "duration_seconds"]):
        sums["listed"] += listed.num_rows
        sums["supported"] += _sum(listed, "codec_supported")
        known = pc.sum(listed["duration_seconds"]).as_py()
        seconds += [] if known is None else [known]
    with suppress(TableMissing):
        columns = ["status", "source_size_bytes", "stored_size_bytes"]
        for outcomes in tables.batches("recording_audio", day, columns):
            statuses += _counted(outcomes["status"])
            stored = outcomes.filter(pc.equal(outcomes["status"], STORED))
            sums["source_bytes"] += _sum(stored, "source_size_bytes")
            sums["stored_bytes"] += _sum(stored, "stored_size_bytes")
    with suppress(TableMissing):
        for transcripts in tables.batches("transcript_status", day, ["status"]):
            spoken += _counted(transcripts["status"])
    return Totals(
        day,
        listed=sums["listed"],
        supported=sums["supported"],
        duration_seconds=math.fsum(seconds) if seconds else None,
        unlisted=unlisted,
        statuses=statuses,
        source_bytes=sums["source_bytes"],
        stored_bytes=sums["stored_bytes"],
        transcripts=spoken["available"],
    )


def totals_of_days(tables: Tables, days: Iterable[dt.date], threads: int) -> dict[dt.date, Totals | None]:
    """The same for many days, a few at a time."""
    return dict(ordered_map(lambda day: (day, totals_of(tables, day)), days, threads=threads))


def _sum(table: pa.Table, column: str) -> int:
    return int(pc.sum(table[column]).as_py() or 0)


def _counted(column: Any) -> Counter[str]:
    return Counter({entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()})
