"""Archive: what can be asked of MEDIA_ROOT without Genesys Cloud, without credentials and without Dagster."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pyarrow as pa

from media_pipeline.settings import Settings
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import CALENDAR_KEY
from media_pipeline.tables.upload_check import upload_days
from media_pipeline.tables.verification import Verification, Watcher, all_days, verify_days

if TYPE_CHECKING:
    from media_pipeline.audit.story import Story

NEEDED_FOR_PAGES = ("recording_inventory", "recording_audio")
Span = tuple[dt.date, dt.date]


class Archive:
    """The tables and objects of a deployment, read only but for the report pages."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings.load()
        self._store = open_store(self._settings.root, self._settings.spool, self._settings.concurrency)

    def verify(
        self, span: Span | None, *, sample: int | None = None, seed: int | None = None, progress: Watcher | None = None
    ) -> Verification:
        """Verify the days of a span, both included, or all; see verify_days. Raises ValueError without any day."""
        recorded = all_days(self._store)
        known = sorted({*recorded, *upload_days(self._store)})
        days = known if span is None else days_of(*span)
        if not known:
            raise ValueError(
                f"Nothing was exported under MEDIA_ROOT={self._store.url} yet: there is nothing to verify."
            )
        if not set(days) & set(known):
            asked = str(days[0]) if len(days) == 1 else f"No day from {days[0]} to {days[-1]}"
            was = "was never exported" if len(days) == 1 else "was ever exported"
            raise ValueError(f"{asked} {was} under MEDIA_ROOT={self._store.url}: it has {known[0]} to {known[-1]}.")
        return verify_days(
            Tables(self._store),
            days,
            sample=sample,
            seed=seed,
            threads=self._settings.concurrency,
            watcher=progress,
            uploads_only=set(known) - set(recorded) if span is None else (),
        )

    def story(self, recording_id: str, day: dt.date | None = None) -> Story:
        """All that is known of a recording; see tell_story."""
        from media_pipeline.audit.story import tell_story

        settings = self._settings
        return tell_story(self._store, settings.spool, recording_id, day=day, threads=settings.concurrency)

    def write_reports(self, span: Span | None) -> tuple[int, str]:
        """Write the report pages of the exported days of a span, both included, or of all; how many, and the
        calendar's place. Raises ValueError without any such day, and, once all others are written, for days whose
        tables cannot be read."""
        from media_pipeline.report_page.page import write_page

        settings, tables = self._settings, Tables(self._store)
        wanted = None if span is None else set(days_of(*span))
        days = [day for day in all_days(self._store) if wanted is None or day in wanted]
        days = [day for day in days if all(tables.exists(needed, day) for needed in NEEDED_FOR_PAGES)]
        if not days:
            raise ValueError(f"No day of these was exported under MEDIA_ROOT={self._store.url}: export it first.")
        unreadable: list[str] = []
        for day in days:
            try:
                write_page(
                    tables,
                    day,
                    start=settings.start_date,
                    lookback_days=settings.lookback_days,
                    threads=settings.concurrency,
                )
            except (pa.ArrowException, OSError) as error:
                unreadable.append(f"{day} ({error})")
        if unreadable:
            raise ValueError(
                f"{len(days) - len(unreadable)} page(s) written, and not those that need a table which cannot be read: "
                f"{'; '.join(unreadable)}. `media-pipeline verify --date {unreadable[0][:10]}` names the table."
            )
        return len(days), f"{self._store.url}/{CALENDAR_KEY}"

    def day_of(self, recording_id: str) -> dt.date | None:
        """The newest day whose inventory lists the recording; None when no day does."""
        tables = Tables(self._store)
        for day in reversed(all_days(self._store)):
            if tables.rows_about("recording_inventory", day, recording_id, ["recording_id"]):
                return day
        return None


def days_of(first: dt.date, last: dt.date) -> list[dt.date]:
    """All days of a range, both ends included; raises ValueError when it ends before it begins."""
    if last < first:
        raise ValueError(f"The range ends ({last}) before it begins ({first}); swap the two days.")
    return [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
