"""Whether a day is complete, from the tables and the objects alone; the one place that decides it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from media_pipeline.tables.inventory import malformed_entries, unreadable_conversations
from media_pipeline.tables.partition import Tables, aligned
from media_pipeline.tables.paths import OBJECT_SUFFIX, audio_prefix
from media_pipeline.transfer.outcome import INCOMPLETE_STATUSES, STORED

MISSING_TABLE = "missing table "
WITHOUT_ID = "listed without an id"
UNREADABLE = (
    "conversations whose recordings may not be seen (recording:recording:view for their division) or were not told of"
)
WITHOUT_OUTCOME = "without exactly one outcome"
OBJECT_MISSING, OBJECT_DIFFERS = "stored but missing", "stored with another size"
NEEDED = ("recording_inventory", "recording_audio", "availability_report")
SAMPLE = 20
"""Names given at most; counts are exact."""


@dataclass(slots=True)
class Verdict:
    """Why a day is not complete; empty reasons mean that it is."""

    day: dt.date
    listed: int = 0
    stored: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[str, str]] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """True when nothing is missing, failed or open."""
        return not self.problems

    @property
    def sentence(self) -> str:
        """The verdict for a person."""
        if self.complete:
            return f"{self.day} is complete: {self.listed:,} recordings listed, {self.stored:,} stored and present."
        return (
            f"{self.day} is not complete: {self.summary}. See status, reason and detail in recording_audio, then "
            "materialize the day again: what is stored is not fetched again."
        )

    @property
    def summary(self) -> str:
        """The problems by number."""
        problems = ", ".join(f"{count:,} {problem}" for problem, count in sorted(self.problems.items()))
        return f"{problems} of {self.listed:,} recordings"

    @property
    def never_exported(self) -> bool:
        """True when not even the inventory is there."""
        return f"{MISSING_TABLE}recording_inventory" in self.problems

    @property
    def lost(self) -> int:
        """How many stored files have no object, or one of another size."""
        return self.problems[OBJECT_MISSING] + self.problems[OBJECT_DIFFERS]

    def add(self, problem: str, recording_id: str = "") -> None:
        """Count one problem and name the recording while there is room."""
        self.problems[problem] += 1
        if recording_id and len(self.samples) < SAMPLE:
            self.samples.append((recording_id, problem))


def judge_day(tables: Tables, day: dt.date, needed: Collection[str] = NEEDED) -> Verdict:
    """Compare inventory, outcomes and objects of a day; a day never exported is not complete.

    `needed`: the tables that must be there, the first two always among them.
    """
    verdict = Verdict(day)
    for table in needed:
        if not tables.exists(table, day):
            verdict.add(MISSING_TABLE + table)
    if not verdict.complete:
        return verdict
    for _ in range(malformed_entries(tables, day)):
        verdict.add(WITHOUT_ID)
    for _ in range(unreadable_conversations(tables, day)):
        verdict.add(UNREADABLE)
    sizes = tables.store.sizes(audio_prefix(day), OBJECT_SUFFIX)
    outcome_columns = ["recording_id", "file_index", "status", "reason", "object_key", "stored_size_bytes"]
    for recording_id, rows in aligned(
        inventory=tables.rows("recording_inventory", day, ["recording_id", "file_index"]),
        audio=tables.rows("recording_audio", day, outcome_columns),
    ):
        listed = Counter(row["file_index"] for row in rows["inventory"])
        settled = Counter(row["file_index"] for row in rows["audio"])
        verdict.listed += listed.total()
        if listed != settled or max(listed.values(), default=0) > 1:
            verdict.add(WITHOUT_OUTCOME, recording_id)
        for row in rows["audio"]:
            if row["status"] in INCOMPLETE_STATUSES:
                verdict.add(f"{row['status']} ({row['reason'] or 'no reason'})", recording_id)
                verdict.reasons.add(row["reason"])
            elif row["status"] == STORED:
                verdict.stored += 1
                size = sizes.get(row["object_key"])
                if size is None:
                    verdict.add(OBJECT_MISSING, recording_id)
                elif size != row["stored_size_bytes"]:
                    verdict.add(OBJECT_DIFFERS, recording_id)
    return verdict
