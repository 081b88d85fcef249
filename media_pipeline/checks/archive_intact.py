"""archive_intact: the check that objects under audio/ are what the tables say, with the names of those that are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import dagster as dg

from media_pipeline.escaping import printable
from media_pipeline.metadata import SAMPLE_ROWS, sample
from media_pipeline.tables.drift import Drift

ARCHIVE_INTACT = "archive_intact"
NAMES_IN_A_SENTENCE = 5
TO_DO = (
    "Run the day again to fetch what is missing or differs while the source still has it (for a changed file of the "
    "same size with refetch: everything), and move away what does not belong there."
)


@dataclass(frozen=True, slots=True)
class RedDay:
    """A day's findings as they are kept between ticks: the first names, and the number of all."""

    summary: str
    files: list[tuple[str, str]]

    @classmethod
    def of(cls, drift: Drift) -> RedDay:
        """What is kept of a comparison; names that are no UTF-8, which Dagster's event log cannot keep, are escaped."""
        return cls(drift.summary, [(kind, printable(key)) for kind, key in islice(drift.items(), SAMPLE_ROWS)])

    @property
    def names(self) -> str:
        """The first files by name."""
        named = ", ".join(f"{kind} {key}" for kind, key in self.files[:NAMES_IN_A_SENTENCE])
        return named + (", ..." if len(self.files) > NAMES_IN_A_SENTENCE else "")


def archive_intact_facts(red: Mapping[str, RedDay]) -> dict[str, Any]:
    """`passed`, `description`, `severity` and `metadata` of the check's result; `red` maps days to findings."""
    rows = [{"day": day, "change": kind, "key": key} for day, found in red.items() for kind, key in found.files]
    described = [f"{day}: {found.summary} outside a run ({found.names})." for day, found in sorted(red.items())]
    return {
        "passed": not red,
        "severity": dg.AssetCheckSeverity.WARN,
        "description": " ".join(described) or "The objects are what the tables say.",
        "metadata": {"files": sample(rows, ["day", "change", "key"]), "to_do": TO_DO} if red else {},
    }


def archive_intact_result(drift: Drift) -> dg.AssetCheckResult:
    """The result of one day, for the run that has just exported it."""
    red = {str(drift.day): RedDay.of(drift)} if drift else {}
    return dg.AssetCheckResult(check_name=ARCHIVE_INTACT, **archive_intact_facts(red))
