"""What to do next about a day, as sentences with the exact commands."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from media_pipeline.tables.completeness import UNREADABLE, WITHOUT_ID, WITHOUT_OUTCOME, Verdict

MAX_EXPLAINED = 3


class Kind(Protocol):
    """Files of one status and reason."""

    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def files(self) -> int: ...
    @property
    def advice(self) -> str: ...
    @property
    def examples(self) -> list[tuple[str, int]]: ...
    @property
    def is_open(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do: why, and the command, empty where there is none."""

    why: str
    command: str = ""


def actions_for(day: dt.date, verdict: Verdict, outcomes: Iterable[Kind], transcripts: Iterable[Kind]) -> list[Action]:
    """In the order in which they help."""
    found = [] if verdict.complete else list(_mending(day, verdict, list(outcomes)))
    for kind in transcripts:
        if kind.status in ("forbidden", "failed"):
            plural = "" if kind.files == 1 else "s"
            found.append(Action(f"{kind.files:,} transcript{plural} {kind.status}: {kind.advice}"))
    if verdict.complete and not verdict.listed:
        found.append(Action("Nothing, if that is right: there are no objects to look at."))
        return found
    found.append(
        Action(
            "Read every object of the day again and compare its hashes with the tables.",
            f"media-pipeline verify --date {day}",
        )
    )
    return found


def _mending(day: dt.date, verdict: Verdict, outcomes: list[Kind]) -> Iterable[Action]:
    opened = [kind for kind in outcomes if kind.is_open]
    for kind in opened[:MAX_EXPLAINED]:
        what = f"{kind.files:,} {kind.status}, {kind.reason}: {kind.advice}"
        typable = [recording_id for recording_id, _ in kind.examples if recording_id.isprintable()]
        if typable:
            words = ["--date", str(day), *(["--"] if typable[0].startswith("-") else []), typable[0]]
            yield Action(f"{what} The story of one of them:", f"media-pipeline explain {shlex.join(words)}")
        else:
            yield Action(what)
    left = len(opened) - MAX_EXPLAINED
    if left > 0:
        yield Action(f"{f'{left} more reasons stand' if left > 1 else 'One more reason stands'} in the table below.")
    if verdict.lost:
        yield Action("Objects are missing, or differ in size from their rows: running the day again fetches them.")
    if verdict.problems[WITHOUT_OUTCOME]:
        yield Action("Inventory and outcomes do not hold the same keys: running the day again settles the rest.")
    if verdict.problems[UNREADABLE]:
        yield Action(
            "Grant recording:recording:view for the division of the conversations that may not be seen, or run the day "
            "again where Genesys Cloud failed: the log of the run says which."
        )
    if verdict.problems[WITHOUT_ID]:
        yield Action(
            "The listing has entries without an id, which nothing can be done about here: ask Genesys support."
        )
    yield Action(
        "Run the day again, once the causes are gone; what is stored is not fetched again.",
        f"media-pipeline export --date {day}",
    )
    if opened:
        statuses = ", ".join(sorted({f"'{kind.status}'" for kind in opened}))
        query = (
            "select recording_id, file_index, status, reason, detail from recording_audio "  # noqa: S608  to be read
            f"where date = '{day}' and status in ({statuses})"
        )
        yield Action("See all that is open, with what happened in a sentence each.", f'media-pipeline sql "{query}"')
