"""A root in a folder, and one that has four weeks behind it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from media_pipeline.report_page.page import Written, write_page
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import REPORT_PAGE, report_key
from media_pipeline_tests.report_page.history import LAST, history
from media_pipeline_tests.report_page.reading import Reading

START = LAST - dt.timedelta(days=44)


def written(tables: Tables, day: dt.date = LAST, start: dt.date = START) -> Written:
    return write_page(tables, day, start=start, lookback_days=7)


def reading(tables: Tables, day: dt.date = LAST) -> Reading:
    return Reading((Path(tables.store.url) / report_key(day, REPORT_PAGE)).read_text())


def calendar(tables: Tables) -> Reading:
    return Reading((Path(tables.store.url) / "reports/index.html").read_text())


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(LocalStore(tmp_path / "media"))


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """45 days, the last of them bad, with pages of the last eight; the day 41 days back was never exported."""
    tables = Tables(LocalStore(tmp_path_factory.mktemp("month")))
    history(tables, 45, per_day=120)
    for back in range(7, -1, -1):
        written(tables, LAST - dt.timedelta(days=back))
    return tables
