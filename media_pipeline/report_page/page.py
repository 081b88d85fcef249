"""Writes a day's page and keeps the calendar of all days up to date."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from media_pipeline.report_page import charts
from media_pipeline.report_page.calendar import DayRow, update_calendar
from media_pipeline.report_page.figures import Figures, figures_of
from media_pipeline.report_page.rendering import rendered
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import REPORT_PAGE, report_key

PICTURES = {"funnel": charts.funnel, "storage": charts.storage, "calls": charts.calls, "trend": charts.trend}


@dataclass(frozen=True, slots=True)
class Written:
    """A page that was written: its figures, its key and its size in bytes; how many days the calendar has."""

    figures: Figures
    key: str
    size: int
    days: int


def write_page(tables: Tables, day: dt.date, *, start: dt.date, lookback_days: int, threads: int = 4) -> Written:
    """Write reports/date=.../index.html and reports/index.html, whatever the day's state; see figures_of."""
    figures = figures_of(tables, day, start=start, lookback_days=lookback_days, threads=threads)
    page = page_of(figures)
    key = report_key(day, REPORT_PAGE)
    tables.store.put(key, page)
    totals = figures.totals
    row = DayRow(totals.listed, totals.stored, totals.stored_bytes, figures.verdict.complete)
    return Written(figures, key, len(page), update_calendar(tables, day, row, threads=threads))


def page_of(figures: Figures) -> bytes:
    """The page of a day; equal figures give equal bytes."""
    pictures = {name: draw(figures) if charts.available() else "" for name, draw in PICTURES.items()}
    return rendered("day.html", figures=figures, pictures=pictures, drawn=charts.available())
