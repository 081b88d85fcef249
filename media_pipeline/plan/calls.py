"""The formula for API calls, one term an operation; measured factors take the place of the assumed ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

from media_pipeline.plan.model import Term

TRANSCRIPT_OPERATIONS = ("transcript", "transcript_url")
"""Named apart: one call a recording, in either dialect."""
PAGE_ENTRIES = {"platform": 1_000, "guide": 200}
BATCH_ENTRIES = 100
ASSUMED = "assumed"

FORMULAS: dict[str, tuple[Term, ...]] = {
    "platform": (
        Term(operation="token", unit="day", factor=1, basis="one per run"),
        Term(operation="availability", unit="day", factor=1, basis="one per run"),
        Term(operation="job_submit", unit="day", factor=1, basis="one per run"),
        Term(operation="job_state", unit="day", factor=2, basis=ASSUMED),
        Term(operation="job_results", unit="page", factor=1, basis="1,000 conversations each"),
        Term(operation="batch_submit", unit="batch", factor=1, basis="100 conversations each"),
        Term(operation="batch_state", unit="batch", factor=1.5, basis=ASSUMED),
        Term(operation="metadata", unit="entry", factor=0.05, basis=ASSUMED),
        Term(operation="transcript_url", unit="file", factor=1, basis="one per recording"),
    ),
    "guide": (
        Term(operation="token", unit="day", factor=1, basis="one per run"),
        Term(operation="quota", unit="day", factor=1, basis="one per run"),
        Term(operation="list", unit="page", factor=1, basis="200 recordings each, and an empty one"),
        Term(operation="media", unit="file", factor=0.9, basis=ASSUMED),
        Term(operation="transcript", unit="file", factor=1, basis="one per recording"),
    ),
}


def units_of(dialect: str, entries: int, files: float, days: int = 1) -> dict[str, float]:
    """How many of each unit a day's listing of so many entries and files comes to; `days` of them if several."""
    if days == 0:
        return dict.fromkeys(("day", "page", "batch", "entry", "file"), 0.0)
    each = entries / days
    pages = math.ceil(each / PAGE_ENTRIES[dialect])
    pages = pages + 1 if dialect == "guide" else max(pages, 1)
    return {
        "day": days,
        "page": pages * days,
        "batch": math.ceil(each / BATCH_ENTRIES) * days,
        "entry": entries,
        "file": files,
    }


def measured(
    terms: tuple[Term, ...], calls: Mapping[str, float], units: Mapping[str, float], basis: str, *, only: bool = False
) -> tuple[Term, ...]:
    """The terms with factors of measured calls; operations without a term become one per day unless `only`."""
    found = [
        Term(operation=t.operation, unit=t.unit, factor=calls[t.operation] / units[t.unit], basis=basis)
        if t.operation in calls and units.get(t.unit)
        else t
        for t in terms
    ]
    known = {term.operation for term in terms}
    if not only and units.get("day"):
        for operation in sorted(set(calls) - known):
            found.append(Term(operation=operation, unit="day", factor=calls[operation] / units["day"], basis=basis))
    return tuple(found)


def calls_of(terms: tuple[Term, ...], units: Mapping[str, float]) -> tuple[float, float]:
    """API calls without transcripts, and those for transcripts."""
    calls = transcripts = 0.0
    for term in terms:
        number = term.factor * units[term.unit]
        if term.operation in TRANSCRIPT_OPERATIONS:
            transcripts += number
        else:
            calls += number
    return calls, transcripts
