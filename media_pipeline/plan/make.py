"""Makes the plan of a backfill: days judged by the tables, counted by the source, costed by figures."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.genesys.pacing import CallStats
from media_pipeline.genesys.source import DayCount, RecordingSource
from media_pipeline.plan.calls import FORMULAS, calls_of, measured, units_of
from media_pipeline.plan.history import History, history_of, listed_of
from media_pipeline.plan.measure import Measured, Sampler
from media_pipeline.plan.model import DayPlan, Figures, Place, Plan, Term
from media_pipeline.settings import Settings
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.completeness import Verdict, judge_day
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import days_to_export

ENOUGH_FILES = 200
"""Files of exported days that make a sample needless."""
PUBLISHED_RATE = 300
"""Calls a minute and token by the published limits: taken where our own budget is unlimited."""
BYTES_PER_MB = 1_000_000

Told = Callable[[str], None]


class Planner:
    """Plans over one MEDIA_ROOT and one org; reads tables, lists no day whole, downloads nothing."""

    def __init__(
        self, settings: Settings, store: ObjectStore, source: RecordingSource, stats: CallStats, sampler: Sampler
    ) -> None:
        self._settings = settings
        self._store = store
        self._tables = Tables(store)
        self._source = source
        self._stats = stats
        self._sampler = sampler

    def plan(self, first: dt.date, last: dt.date, now: dt.datetime, told: Told) -> Plan:
        """The plan of these days, both included; raises ConfigurationError, GenesysError, StorageError.

        `told` hears what is being done.
        """
        newest = now.astimezone(dt.UTC).date() - dt.timedelta(days=1)
        try:
            days = days_to_export(first, last, self._settings.start_date, newest)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        told("Looking at what is exported already ...")
        exported = days_below(self._store, "tables/recording_inventory/")
        verdicts = self._verdicts([day for day in days if day in exported])
        to_count = [day for day in days if day not in verdicts or not verdicts[day].complete]
        counts = {}
        for number, day in enumerate(to_count, 1):
            told(f"Counting {day}, {number} of {len(to_count)} ...")
            counts[day] = self._source.count_day(day)
        told("Measuring ...")
        past = history_of(self._tables, sorted(exported), self._settings.dialect)
        figures, terms = self._figures(list(counts.values()), past)
        planned = tuple(self._day_plan(day, counts.get(day), verdicts.get(day), figures, terms) for day in days)
        return Plan(
            made_at=now,
            first=first,
            last=last,
            dialect=self._settings.dialect,
            counted_by=next((count.basis for count in counts.values()), "nothing to count"),
            calls_per_minute=self._settings.requests_per_minute or PUBLISHED_RATE,
            rate_basis="GENESYS_REQUESTS_PER_MINUTE" if self._settings.requests_per_minute else "the published limit",
            figures=figures,
            terms=terms,
            days=planned,
            places=self._places(sum(day.source_bytes for day in planned), figures),
            concurrency=self._settings.concurrency,
            calls_spent=self._stats.api_calls(),
        )

    def _verdicts(self, days: Sequence[dt.date]) -> dict[dt.date, Verdict]:
        with ThreadPoolExecutor(self._settings.concurrency) as threads:
            return dict(zip(days, threads.map(lambda day: judge_day(self._tables, day), days), strict=True))

    def _figures(self, counts: Sequence[DayCount], past: History) -> tuple[Figures, tuple[Term, ...]]:
        """Of earlier days where they tell enough, else of a sample; calls of earlier runs where there are any."""
        terms = FORMULAS[self._settings.dialect]
        sample: Measured | None = None
        if past.files < ENOUGH_FILES and any(count.entries for count in counts):
            sample = self._sampler.measure(counts)
            terms = measured(terms, sample.calls, sample.units, "sample", only=True)
        figures = _of_history(past)
        if sample is not None and sample.figures.files >= past.files:
            figures = replace(
                sample.figures,
                stored_share=figures.stored_share,
                seconds_per_file=figures.seconds_per_file,
                largest_bytes=max(figures.largest_bytes, sample.figures.largest_bytes),
            )
        if past.runs and past.units["file"]:
            runs = f"{past.runs} earlier run" + ("" if past.runs == 1 else "s")
            terms = measured(terms, past.calls, past.units, runs)
        return figures, terms

    def _day_plan(
        self,
        day: dt.date,
        count: DayCount | None,
        verdict: Verdict | None,
        figures: Figures,
        terms: tuple[Term, ...],
    ) -> DayPlan:
        if count is None:
            return DayPlan(day=day, state="complete")
        per_entry = 1.0 if count.recordings is not None else figures.files_per_entry
        if verdict is None or not verdict.listed:
            files = transcripts = count.entries * per_entry
        else:
            found = listed_of(self._tables, day)
            listed = found.recordings if count.recordings is not None else found.conversations
            not_listed = max(0, count.entries - listed) * per_entry
            files = verdict.problems.total() + not_listed
            transcripts = found.without_transcript + not_listed
        dialect = self._settings.dialect
        return DayPlan(
            day=day,
            state="to_export" if verdict is None else "partly",
            entries=count.entries,
            recordings=files,
            source_bytes=files * figures.bytes_per_file,
            calls=calls_of(terms, units_of(dialect, count.entries, files))[0],
            transcript_calls=calls_of(terms, units_of(dialect, count.entries, transcripts))[1],
        )

    def _places(self, source_bytes: float, figures: Figures) -> tuple[Place, ...]:
        """Root: all objects. Spool: what is in flight, compressed or not; it counts twice where both share a disk."""
        reserved = self._settings.min_available_mb * BYTES_PER_MB
        share = 1.0 if figures.stored_share is None else figures.stored_share
        objects, in_flight = source_bytes * share, float(self._settings.concurrency * figures.largest_bytes)
        spool = _nearest_folder(self._settings.spool)
        root = Path(self._store.url)
        if root.is_absolute() and _nearest_folder(root).stat().st_dev == spool.stat().st_dev:
            objects += in_flight
            in_flight = objects
        return (
            Place(
                variable="MEDIA_ROOT",
                where=self._store.url,
                needed=objects,
                free=self._store.free_bytes(),
                reserved=reserved,
            ),
            Place(
                variable="MEDIA_SPOOL",
                where=str(self._settings.spool),
                needed=in_flight,
                free=shutil.disk_usage(spool).free,
                reserved=reserved,
            ),
        )


def _of_history(past: History) -> Figures:
    return Figures(
        files_per_entry=past.files / past.entries if past.entries else 1.0,
        bytes_per_file=past.source_bytes / past.files if past.files else 0.0,
        stored_share=past.stored_bytes / past.source_bytes if past.source_bytes else None,
        largest_bytes=past.largest_bytes,
        seconds_per_file=past.seconds / past.timed_files if past.timed_files else None,
        files=past.files,
        basis=f"{past.files:,} recordings of {past.days} exported day{'' if past.days == 1 else 's'}",
    )


def _nearest_folder(path: Path) -> Path:
    path = path.expanduser().absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
