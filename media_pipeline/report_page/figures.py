"""Everything a day's page says, as numbers and ids: from the day's tables, the objects' listing and earlier days'."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from media_pipeline.report_page.actions import Action, actions_for
from media_pipeline.report_page.runs import Runs, Slow, outcomes_of, runs_of
from media_pipeline.report_page.totals import NEVER_EXPORTED, Totals, totals_of_days
from media_pipeline.tables.completeness import OBJECT_DIFFERS, OBJECT_MISSING, Verdict, judge_day
from media_pipeline.tables.partition import Row, TableMissing, Tables
from media_pipeline.transfer.outcome import INCOMPLETE_STATUSES, REASONS, STORED

DAY, WEEK = dt.timedelta(days=1), dt.timedelta(days=7)
TREND_DAYS = 28
"""Four of each weekday."""
EXAMPLES = 2
MAX_REASONS, MAX_FORMATS = 40, 20
"""Both are few unless something is badly wrong; what is left out is counted."""
_Kind = tuple[str, str | None]
_NEEDED = ("recording_inventory", "recording_audio")
_UNKNOWN = "This reason is not in the operators' table; see the column detail."
_TRANSCRIPTS = {
    "available": "It is in diarized_transcripts, redacted.",
    "unavailable": "The source has none; recordings without speech, or not transcribed by the org's settings.",
    "forbidden": "Grant speechAndTextAnalytics:data:view with recording:recording:view, then run the day again.",
    "failed": "The source kept failing; run the day again later.",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the funnel: how many files came so far."""

    name: str
    label: str
    files: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Files with one status and reason, what to do about them, and a few of them."""

    status: str
    reason: str | None
    files: int
    advice: str
    examples: list[tuple[str, int]]

    @property
    def is_open(self) -> bool:
        """Whether it keeps the day from being complete."""
        return self.status in INCOMPLETE_STATUSES


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number of the day beside that of the day before and of the same weekday a week ago; None is not known."""

    name: str
    label: str
    unit: str
    now: float | None
    before: float | None
    week_ago: float | None
    less_is_better: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A day that is not complete, or days on end that were never exported."""

    first: dt.date
    last: dt.date
    why: str

    @property
    def is_exported(self) -> bool:
        """Whether it is a day that was."""
        return self.why != NEVER_EXPORTED

    @property
    def days(self) -> int:
        """How many days it stands for."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Freshness:
    """The finished days of the look-back that ends with this day."""

    days: int
    complete: int
    open_days: list[tuple[dt.date, str]]
    """Oldest first, with why."""

    @property
    def oldest(self) -> tuple[dt.date, bool]:
        """The oldest open day, and whether it was exported: the calendar may begin after one that never was."""
        day, why = self.open_days[0]
        return day, why != NEVER_EXPORTED

    @property
    def spans(self) -> list[Span]:
        """The same, with days on end that were never exported as one."""
        found: list[Span] = []
        for day, why in self.open_days:
            if found and why == found[-1].why == NEVER_EXPORTED and day == found[-1].last + DAY:
                found[-1] = Span(found[-1].first, day, why)
            else:
                found.append(Span(day, day, why))
        return found


@dataclass(slots=True)
class Figures:
    """A day's page in numbers; equal tables give equal figures."""

    day: dt.date
    verdict: Verdict
    totals: Totals
    funnel: list[Stage]
    outcomes: list[Outcome]
    more_outcomes: int
    transcripts: list[Outcome]
    storage: list[Row] | None
    """Rows of storage_utilization, largest first; None while that table is not written."""
    more_storage: int
    runs: Runs
    slow_outcomes: dict[tuple[str, int], tuple[str, str | None]]
    comparisons: list[Comparison]
    trend: list[tuple[dt.date, Totals | None]]
    freshness: Freshness
    actions: list[Action] = field(default_factory=list)

    @property
    def slowest(self) -> list[Slow]:
        """The recordings that took longest."""
        return self.runs.slowest

    @property
    def summary(self) -> str:
        """Why the day is complete, or why not."""
        if self.verdict.complete:
            files = f"{self.verdict.listed:,} recording file{'' if self.verdict.listed == 1 else 's'}"
            stored = self.verdict.stored
            there = f"all {stored:,} stored objects are" if stored != 1 else "the one stored object is"
            return (
                f"{files} listed, each with one outcome; none is open or failed, and {there} there."
                if self.verdict.listed
                else "The source lists no recordings for this day, and nothing contradicts it."
            )
        return f"{self.verdict.summary}."


def figures_of(tables: Tables, day: dt.date, *, start: dt.date, lookback_days: int, threads: int = 4) -> Figures:
    """Collect a day's figures; raises TableMissing for a day without inventory or outcomes.

    `start` is the first day that can have been exported, `lookback_days` how far repairs look.
    """
    for needed in _NEEDED:
        tables.note(needed, day)  # says what to materialize when missing
    verdict = judge_day(tables, day, _NEEDED)
    wanted = [day - DAY * n for n in reversed(range(max(TREND_DAYS, lookback_days + 1)))]
    found = totals_of_days(tables, [each for each in wanted if each >= start or each == day], threads)
    totals = found[day] or Totals(day)
    outcomes = list(_outcomes(tables, day, verdict))
    storage = _storage(tables, day)
    runs = runs_of(tables, day)
    figures = Figures(
        day=day,
        verdict=verdict,
        totals=totals,
        funnel=_funnel(tables, day, totals),
        outcomes=outcomes[:MAX_REASONS],
        more_outcomes=sum(each.files for each in outcomes[MAX_REASONS:]),
        transcripts=list(_transcripts(tables, day)),
        storage=None if storage is None else storage[:MAX_FORMATS],
        more_storage=len(storage[MAX_FORMATS:]) if storage else 0,
        runs=runs,
        slow_outcomes=outcomes_of(tables, day, {each.recording_id for each in runs.slowest}),
        comparisons=list(_comparisons(totals, found.get(day - DAY), found.get(day - WEEK))),
        trend=_trend(found, wanted[-TREND_DAYS:]),
        freshness=_freshness(found, verdict, lookback_days),
    )
    pa.default_memory_pool().release_unused()  # Arrow would keep it for the run's life
    figures.actions = actions_for(day, verdict, figures.outcomes, figures.transcripts)
    return figures


def _funnel(tables: Tables, day: dt.date, totals: Totals) -> list[Stage]:
    return [
        Stage("listed", "Listed by the source", totals.listed),
        Stage("supported", "In an exported format", totals.supported),
        Stage("expected", "Held by the source", totals.expected),
        Stage("stored", "Stored and verified", totals.stored),
        Stage("with_transcript", "Of these, transcribed", _with_transcript(tables, day)),
    ]


def _with_transcript(tables: Tables, day: dt.date) -> int:
    """Stored files whose recording has a transcript."""
    known: list[pa.ChunkedArray] = []
    with suppress(TableMissing):
        for batch in tables.batches("transcript_status", day, ["recording_id", "status"]):
            known.append(batch.filter(pc.equal(batch["status"], "available"))["recording_id"])
    if not known:
        return 0
    spoken = pa.chunked_array([chunk.cast(pa.string()) for each in known for chunk in each.chunks], pa.string())
    found = 0
    for batch in tables.batches("recording_audio", day, ["recording_id", "status"]):
        stored = batch.filter(pc.equal(batch["status"], STORED))
        found += pc.sum(pc.is_in(stored["recording_id"], value_set=spoken)).as_py() or 0
    return found


def _outcomes(tables: Tables, day: dt.date, verdict: Verdict) -> Iterator[Outcome]:
    """Those that keep the day open first, then by number."""
    files = Counter[_Kind]()
    examples: dict[_Kind, list[tuple[str, int]]] = {}
    for batch in tables.batches("recording_audio", day, ["recording_id", "file_index", "status", "reason"]):
        found = _grouped(batch)
        files += found
        for kind in found:
            left = EXAMPLES - len(examples.setdefault(kind, []))
            if left and kind != (STORED, None):
                examples[kind] += _examples(batch, kind, left)
    for status, reason in sorted(
        files, key=lambda kind: (kind[0] not in INCOMPLETE_STATUSES, *_most_first(files, kind))
    ):
        if (status, reason) == (STORED, None):
            advice = _of_stored(verdict.lost)
            examples[status, reason] = _lost(verdict)
        else:
            advice = REASONS[reason][1] if reason in REASONS else _UNKNOWN
        yield Outcome(status, reason, files[status, reason], advice, examples[status, reason])


def _of_stored(lost: int) -> str:
    if not lost:
        return "Nothing: the object is there and its hashes are known."
    are = "is missing or differs" if lost == 1 else "are missing or differ"
    return f"{lost:,} of them {are} in size: run the day again."


def _lost(verdict: Verdict) -> list[tuple[str, int]]:
    named = dict.fromkeys(each for each, problem in verdict.samples if problem in (OBJECT_MISSING, OBJECT_DIFFERS))
    return [(recording_id, 0) for recording_id in list(named)[:EXAMPLES]]


def _grouped(table: pa.Table) -> Counter[_Kind]:
    counted = table.group_by(["status", "reason"], use_threads=False).aggregate([([], "count_all")])
    return Counter({(row["status"], row["reason"]): row["count_all"] for row in counted.to_pylist()})


def _most_first(files: Counter[_Kind], kind: _Kind) -> tuple[int, str, str]:
    return (-files[kind], kind[0], kind[1] or "")


def _examples(audio: pa.Table, kind: _Kind, most: int) -> list[tuple[str, int]]:
    """The first by key."""
    status, reason = kind
    same = pc.is_null(audio["reason"]) if reason is None else pc.equal(audio["reason"], reason)
    rows = audio.filter(pc.and_kleene(pc.equal(audio["status"], status), same)).slice(0, most).to_pylist()
    return [(row["recording_id"], row["file_index"]) for row in rows]


def _transcripts(tables: Tables, day: dt.date) -> Iterator[Outcome]:
    recordings = Counter[_Kind]()
    with suppress(TableMissing):
        for batch in tables.batches("transcript_status", day, ["status", "reason"]):
            recordings += _grouped(batch)
    for status, reason in sorted(recordings, key=lambda kind: _most_first(recordings, kind)):
        yield Outcome(status, reason, recordings[status, reason], _TRANSCRIPTS.get(status, _UNKNOWN), [])


def _storage(tables: Tables, day: dt.date) -> list[Row] | None:
    try:
        rows: list[Row] = tables.read("storage_utilization", day).to_pylist()
    except TableMissing:
        return None
    return sorted(
        rows, key=lambda row: (-row["source_bytes"], -row["recordings"], row["media_type"] or "", row["format"] or "")
    )


def _comparisons(now: Totals, before: Totals | None, week_ago: Totals | None) -> Iterator[Comparison]:
    for name, label, unit, less_is_better in (
        ("listed", "Recording files listed", "files", False),
        ("stored", "Stored and verified", "files", False),
        ("unsettled", "Open or failed", "files", True),
        ("failed", "Of these, failed", "files", True),
        ("transcripts", "Recordings with a transcript", "files", False),
        ("source_bytes", "Before compression", "bytes", False),
        ("stored_bytes", "As stored", "bytes", False),
        ("duration_seconds", "Length as listed", "seconds", False),
    ):
        values = [None if each is None else getattr(each, name) for each in (now, before, week_ago)]
        yield Comparison(name, label, unit, values[0], values[1], values[2], less_is_better)


def _trend(found: dict[dt.date, Totals | None], days: list[dt.date]) -> list[tuple[dt.date, Totals | None]]:
    """From the first of these days that was exported on."""
    first = next(each for each in days if found.get(each) is not None)
    return [(each, found[each]) for each in days if each >= first]


def _freshness(found: dict[dt.date, Totals | None], verdict: Verdict, lookback_days: int) -> Freshness:
    looked_at = sorted(each for each in found if verdict.day - each < DAY * lookback_days)
    open_days = []
    for each in looked_at:
        totals = found[each]
        if each == verdict.day:
            if not verdict.complete:
                open_days.append((each, verdict.summary))
        elif totals is None:
            open_days.append((each, NEVER_EXPORTED))
        elif not totals.is_settled:
            open_days.append((each, totals.why))
    return Freshness(len(looked_at), len(looked_at) - len(open_days), open_days)
