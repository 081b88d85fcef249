"""The page of all days: a calendar whose colours tell how much each day has, and which days are not complete.

What it says of each day is kept in reports/days.json, so that a run reads nothing of the other days. Runs of two days
may write at once: the file is swapped, and whoever writes the page looks afterwards whether the file is still the same.
"""

from __future__ import annotations

import calendar
import datetime as dt
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from media_pipeline.report_page import charts
from media_pipeline.report_page.rendering import rendered
from media_pipeline.report_page.totals import totals_of_days
from media_pipeline.storage.base import ObjectStore, SwapsUnsupported
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import CALENDAR_DAYS_KEY, CALENDAR_KEY, REPORT_PAGE, REPORTS_PREFIX

LEVELS = 4
MAX_OPEN = 30
"""Days that are not complete, or spans never exported, named above the calendar, oldest first."""
MAX_TRIES = 50
_INVENTORY = "tables/recording_inventory/"


@dataclass(frozen=True, slots=True)
class DayRow:
    """What the calendar knows of a day: files listed and stored, bytes as stored, whether it was proved complete."""

    listed: int
    stored: int
    stored_bytes: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """A day in the calendar; `row` is None when it was never exported, `level` 0 to 4 tells how much it has."""

    day: dt.date
    row: DayRow | None
    level: int
    has_page: bool


@dataclass(frozen=True, slots=True)
class Open:
    """A day that is not complete, or, without `row`, days on end that were never exported."""

    first: dt.date
    last: dt.date
    row: DayRow | None

    @property
    def days(self) -> int:
        """How many days it stands for."""
        return (self.last - self.first).days + 1


@dataclass(slots=True)
class Month:
    """Weeks of seven cells from Monday on, None outside the month or the archive."""

    first: dt.date
    weeks: list[list[Cell | None]]


@dataclass(slots=True)
class Year:
    """A year with its sums; the newest month first."""

    year: int
    rows: list[DayRow]
    months: list[Month] = field(default_factory=list)


def update_calendar(tables: Tables, day: dt.date, row: DayRow, *, threads: int = 4) -> int:
    """Take a day in, or what changed about it, and write the page; returns how many days it has."""
    store = tables.store
    for _ in range(MAX_TRIES):
        kept = store.get_small(CALENDAR_DAYS_KEY)
        exported = days_below(store, _INVENTORY)
        known = {each: old for each, old in _read(kept.data if kept else b"").items() if each in exported}
        rows = known | _of_tables(tables, exported - known.keys() - {day}, threads) | {day: row}
        data = _written(rows)
        tag = kept.tag if kept else None
        if kept is None or kept.data != data:
            tag = _swapped(store, data, tag)
            if tag is None:
                continue
        store.put(CALENDAR_KEY, calendar_of(rows, _pages(store)))
        now = store.get_small(CALENDAR_DAYS_KEY)
        if now is None or now.data == data:
            return len(rows)
    raise RuntimeError(f"{CALENDAR_DAYS_KEY} was changed by others {MAX_TRIES} times; write the report again.")


def calendar_of(rows: dict[dt.date, DayRow], pages: set[dt.date]) -> bytes:
    """The page; `pages` are the days that have one of their own."""
    ordered = dict(sorted(rows.items()))
    most = max((row.listed for row in rows.values()), default=0)
    open_days = list(_open(ordered))
    drawn = charts.available()
    return rendered(
        "calendar.html",
        rows=ordered,
        years=list(_years(ordered, pages, most)),
        open_days=open_days[:MAX_OPEN],
        more_open=sum(each.days for each in open_days[MAX_OPEN:]),
        never_exported=sum(each.days for each in open_days if each.row is None),
        pages=pages,
        most=most,
        levels=LEVELS,
        picture=charts.volume([(day, row.listed, row.stored_bytes) for day, row in ordered.items()]) if drawn else "",
    )


def _open(ordered: dict[dt.date, DayRow]) -> Iterable[Open]:
    """The oldest first; days between the first and the last that have no row were never exported."""
    day = dt.timedelta(days=1)
    before = None
    for each, row in ordered.items():
        if before is not None and before + day < each:
            yield Open(before + day, each - day, None)
        if not row.complete:
            yield Open(each, each, row)
        before = each


def _years(rows: dict[dt.date, DayRow], pages: set[dt.date], most: int) -> Iterable[Year]:
    if not rows:
        return
    first, last = min(rows), max(rows)
    weeks = calendar.Calendar(calendar.MONDAY)

    def cell(day: dt.date, month: int) -> Cell | None:
        if day.month != month or not first <= day <= last:
            return None
        row = rows.get(day)
        level = -(-row.listed * LEVELS // most) if row is not None and most else 0
        return Cell(day, row, level, day in pages)

    for year in range(last.year, first.year - 1, -1):
        found = Year(year, [row for day, row in rows.items() if day.year == year])
        for month in range(12, 0, -1):
            if (first.year, first.month) <= (year, month) <= (last.year, last.month):
                days = [[cell(day, month) for day in week] for week in weeks.monthdatescalendar(year, month)]
                found.months.append(Month(dt.date(year, month, 1), [week for week in days if any(week)]))
        yield found


def _of_tables(tables: Tables, days: set[dt.date], threads: int) -> dict[dt.date, DayRow]:
    """Days that were exported before there were pages, by their tables alone."""
    found = totals_of_days(tables, sorted(days), threads) if days else {}
    return {
        day: DayRow(totals.listed, totals.stored, totals.stored_bytes, totals.is_settled)
        for day, totals in found.items()
        if totals is not None
    }


def _pages(store: ObjectStore) -> set[dt.date]:
    """Days with a page of their own."""
    found = set()
    for key in store.sizes(REPORTS_PREFIX, f"/{REPORT_PAGE}"):
        with suppress(ValueError):
            found.add(dt.date.fromisoformat(key.removeprefix(f"{REPORTS_PREFIX}date=").partition("/")[0]))
    return found


def _swapped(store: ObjectStore, data: bytes, tag: str | None) -> str | None:
    try:
        return store.put_if(CALENDAR_DAYS_KEY, data, tag)
    except SwapsUnsupported:  # of two runs at once one may be missing until the next
        store.put(CALENDAR_DAYS_KEY, data)
        return ""


def _read(data: bytes) -> dict[dt.date, DayRow]:
    """Nothing when somebody else's hand was in it: the tables know."""
    try:
        return {
            dt.date.fromisoformat(day): DayRow(int(listed), int(stored), int(size), bool(complete))
            for day, (listed, stored, size, complete) in json.loads(data)["days"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return {}


def _written(rows: dict[dt.date, DayRow]) -> bytes:
    lines = ",\n".join(
        f'"{day}": {json.dumps([row.listed, row.stored, row.stored_bytes, int(row.complete)])}'
        for day, row in sorted(rows.items())
    )
    return f'{{"columns": ["listed", "stored", "stored_bytes", "complete"], "days": {{\n{lines}\n}}}}\n'.encode()
