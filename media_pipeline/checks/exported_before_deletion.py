"""exported_before_deletion: the check that says which recordings the source deletes before they are exported."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

import dagster as dg

from media_pipeline.genesys.permissions import DETAILS, SENSITIVE, VIEW
from media_pipeline.genesys.source import RetentionTally
from media_pipeline.metadata import SAMPLE_ROWS, sample
from media_pipeline.tables.deadlines import NEVER_LISTED, NOT_EXPORTED, WITHHELD
from media_pipeline.tables.partition import Row

EXPORTED_BEFORE_DELETION = "exported_before_deletion"
WARN_AHEAD = dt.timedelta(days=7)
"""Before the next sweep: what dies until then is named now."""
ERROR_AHEAD = dt.timedelta(days=2)
LISTED_LATE = dt.timedelta(hours=48)
"""Genesys Cloud documents up to this until a recording is listed: before, its absence means nothing."""
DAYS_IN_A_SENTENCE = 10
NOT_TOLD = "The guide dialect does not tell when recordings are deleted; with GENESYS_DIALECT=platform this check does."
_COLUMNS = ["recording_id", "conversation_id", "day", "delete_date", "status", "reason"]


@dataclass(slots=True)
class Deadlines:
    """Recordings that are not here, counted by what is to be said of them; samples are those that are deleted first."""

    now: dt.datetime
    total: int = 0
    error: int = 0
    warn: int = 0
    days: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    first: dt.datetime | None = None
    _samples: list[Row] = field(default_factory=list)

    def add(self, day: dt.date, row: Row) -> None:
        """Take in one row of recording_deadlines."""
        self.total += 1
        self.statuses[row["status"]] += 1
        left = row["delete_date"] - self.now if row["delete_date"] is not None else dt.timedelta.max
        if left < WARN_AHEAD:
            self.error += left < ERROR_AHEAD
            self.warn += left >= ERROR_AHEAD
            self.days[str(day)] += 1
            self.first = min(self.first or row["delete_date"], row["delete_date"])
        elif row["status"] == NEVER_LISTED and self.now - row["created_at"] < LISTED_LATE:
            self.statuses[NEVER_LISTED] -= 1
            return
        elif row["status"] not in (WITHHELD, NEVER_LISTED):
            return
        self._samples.append(row | {"day": str(day)})
        if len(self._samples) > 2 * SAMPLE_ROWS:
            self._samples = self.samples

    @property
    def samples(self) -> list[Row]:
        """At most 20 rows."""
        never = dt.datetime.max.replace(tzinfo=dt.UTC)
        return sorted(self._samples, key=lambda row: (row["delete_date"] or never, row["recording_id"]))[:SAMPLE_ROWS]

    @property
    def sentences(self) -> list[str]:
        """What is wrong and what to do, for a person."""
        said = []
        if self.days and self.first is not None:
            days = sorted(self.days)
            named = ", ".join(days[:DAYS_IN_A_SENTENCE]) + (", ..." if len(days) > DAYS_IN_A_SENTENCE else "")
            past = " (that is past)" if self.first < self.now else ""
            said.append(
                f"{self.error + self.warn} recordings of {len(days)} day(s) are not exported and will be deleted at "
                f"the source within {WARN_AHEAD.days} days, {self.error} of them within {ERROR_AHEAD.days}, the first "
                f"at {self.first:%Y-%m-%d %H:%M} UTC{past}. Run these days now, or have their deletion put off: "
                f"{named} (days of creation; a conversation may have begun the day before)."
            )
        if self.statuses[WITHHELD]:
            said.append(
                f"{self.statuses[WITHHELD]} recordings are known to the retention list and never delivered, although "
                f"others of their conversations are: likely {SENSITIVE} is missing (calls with card or personal data). "
                "Grant it, then run their days again."
            )
        if self.statuses[NEVER_LISTED] > 0:
            said.append(
                f"{self.statuses[NEVER_LISTED]} recordings are known to the retention list and never listed: likely "
                f"{DETAILS} or {VIEW} is missing for their division. Grant it, then run their days again."
            )
        return said


def exported_before_deletion_result(found: Deadlines, tally: RetentionTally) -> dg.AssetCheckResult:
    """Red when a recording dies within two days or should have, yellow within seven or when one is never delivered."""
    sentences = found.sentences
    if not tally.complete:
        sentences.append(
            f"The retention list was left after {tally.pages} pages ({tally.entries} recordings): raise max_pages, or "
            "older_than_days, to look at the others."
        )
    if tally.malformed:
        sentences.append(f"{tally.malformed} entries of the retention list have no ids or no creation time.")
    counts = {f"not_here_{status}": number for status, number in sorted(found.statuses.items()) if number > 0}
    metadata: dict[str, object] = {"within_2_days": found.error, "within_7_days": found.error + found.warn} | counts
    if found.days:
        rows = [{"day": day, "recordings": number} for day, number in sorted(found.days.items())]
        metadata["days"] = sample(rows, ["day", "recordings"])
    if found.samples:
        metadata["recordings"] = sample(found.samples, _COLUMNS)
    later = found.statuses[NOT_EXPORTED]
    return dg.AssetCheckResult(
        check_name=EXPORTED_BEFORE_DELETION,
        passed=not sentences,
        severity=dg.AssetCheckSeverity.ERROR if found.error else dg.AssetCheckSeverity.WARN,
        description=" ".join(sentences)
        or f"Nothing that is not exported is deleted within {WARN_AHEAD.days} days"
        + (f"; {later} recordings of days that were never exported are kept longer." if later else "."),
        metadata=metadata,
    )


def not_told_result() -> dg.AssetCheckResult:
    """Where the source has no retention list."""
    return dg.AssetCheckResult(check_name=EXPORTED_BEFORE_DELETION, passed=True, description=NOT_TOLD)
