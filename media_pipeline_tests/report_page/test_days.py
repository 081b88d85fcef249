"""Days of every kind: only failures, empty, the first, half exported, with hostile names, very large; and again."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from media_pipeline.report_page import calendar as calendar_page
from media_pipeline.report_page import charts
from media_pipeline.report_page.calendar import DayRow, calendar_of, update_calendar
from media_pipeline.report_page.figures import figures_of
from media_pipeline.report_page.page import page_of
from media_pipeline.report_page.units import NOBODY_KNOWS
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import TableMissing, Tables
from media_pipeline_tests.report_page.conftest import START, calendar, reading, written
from media_pipeline_tests.report_page.history import LAST, Day, write_day
from media_pipeline_tests.report_page.reading import Reading

TYPABLE = '</title><script>alert(1)</script>"\'><img src=x onerror=alert(1)>{{7*7}}$x_2$ data-call="up"'
HOSTILE = TYPABLE + "\u202eevil\x00\x1b[31m"
DAY = dt.timedelta(days=1)


def test_a_day_of_only_failures_has_its_page(tables: Tables):
    write_day(tables, LAST, Day(30, {"server_error": 0.5, "forbidden": 0.5}))
    assert not written(tables).figures.verdict.complete
    page = reading(tables)
    assert (page.value("card.stored"), page.value("card.unsettled")) == ("0", "30")
    assert "grant the permission" in page.text
    assert f"media-pipeline export --date {LAST}" in page.commands
    assert "0 %" in page.text


def test_an_empty_day_has_its_page_and_is_complete(tables: Tables):
    write_day(tables, LAST, Day(0))
    assert written(tables).figures.verdict.complete
    page = reading(tables)
    assert page.value("complete") == "1"
    assert "lists no recordings" in page.text
    assert not page.commands
    assert "there are no objects to look at" in page.text
    assert "1 day exported, 1 of them complete" in calendar(tables).text


def test_the_first_day_has_nothing_to_be_compared_with(tables: Tables):
    write_day(tables, LAST, Day(20))
    written(tables, start=LAST)
    page = reading(tables)
    assert page.value("freshness.days") == "1"
    assert {each.value for each in page.figures if each.name in ("before", "week_ago")} == {""}
    assert {each.text for each in page.figures if each.name in ("before", "week_ago")} == {NOBODY_KNOWS}


def test_days_before_it_that_were_never_exported_count_as_open(tables: Tables):
    write_day(tables, LAST, Day(20, {}))
    written(tables)
    page = reading(tables)
    assert page.open_days == [str(LAST - DAY * 6)]
    assert page.value("freshness.oldest") == page.open_days[0]
    assert "Sat 14 Nov 2026 to Thu 19 Nov 2026 never exported" in page.text
    assert not [link for link in page.links if "#" in link and "index.html" in link], "the calendar begins later"


def test_an_older_day_that_was_exported_and_is_open_leads_to_the_calendar(tables: Tables):
    write_day(tables, LAST - DAY, Day(20, {"server_error": 0.5}))
    write_day(tables, LAST, Day(20, {}))
    written(tables)
    assert f"../index.html#{LAST - DAY}" in reading(tables).links


def test_a_day_that_is_not_settled_wholly_has_a_page_of_what_is_known(tables: Tables):
    write_day(tables, LAST, Day(20, {}, runs=0, with_transcripts=False))
    tables.store.remove(f"tables/storage_utilization/date={LAST}/part-0.parquet")
    written(tables)
    page = reading(tables)
    assert "storage_utilization has no such day yet" in page.text
    assert "No run of this day" in page.text
    assert page.value("funnel.with_transcript") == "0"


def test_a_day_that_was_never_listed_has_no_page(tables: Tables):
    with pytest.raises(TableMissing, match="materialize recording_inventory"):
        written(tables)
    assert not Path(tables.store.url).exists() or not list(Path(tables.store.url).glob("reports/**"))


def test_a_lost_object_makes_the_page_red(tables: Tables):
    write_day(tables, LAST, Day(20, {}))
    before = written(tables).figures
    assert before.verdict.complete
    lost = next(iter(tables.store.sizes(f"audio/date={LAST}/")))
    tables.store.remove(lost)
    written(tables)
    assert "1 stored but missing" in reading(tables).text
    page = reading(tables)
    assert "running the day again fetches them" in page.text
    assert page.value("card.stored") == str(before.totals.stored - 1)
    assert page.value("card.unsettled") == "1"
    assert "1 of them is missing or differs in size: run the day again." in page.text
    assert "the object is there" not in page.text
    assert lost.rpartition("/")[2].partition(".")[0] in page.text, "it is named"


def test_a_day_that_was_listed_and_has_no_outcome_yet_says_so(tables: Tables):
    write_day(tables, LAST, Day(20, {}))
    tables.write("recording_audio", LAST, [])
    written(tables)
    assert "No file has an outcome yet." in reading(tables).text
    assert "no recording was listed" not in reading(tables).text


def test_nothing_from_outside_becomes_markup_or_a_command(tables: Tables):
    ids = {"3": HOSTILE, "4": f"--$(reboot) {TYPABLE}", "5": f"-z; reboot {TYPABLE}"}
    names = ids | {"wav": HOSTILE, "not_ready": HOSTILE, "file_name": "Ann Smith 555-0100"}
    write_day(tables, LAST, Day(40, {"not_ready": 1.0}, names=names))
    written(tables)
    page = reading(tables)
    assert set(page.tags) & {"script", "img", "iframe", "link", "object", "base", "form"} == set()
    assert "alert(1)" in page.text
    assert "Ann Smith" not in page.page
    assert not {"\x00", "\x1b", "\u202e"} & set(page.page)
    assert all(call.partition("?")[0] != "up" for call in page.calls)
    (command,) = [each for each in page.commands if "explain" in each]
    words = subprocess.run(["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    assert words.stdout.splitlines() == ["media-pipeline", "explain", "--date", str(LAST), "--", ids["4"]]


def test_the_page_names_ids_and_no_address_of_anything_outside(month: Tables):
    for page in (reading(month), calendar(month)):
        assert "://" not in page.page.replace("http-equiv", "")
        assert all(link.startswith(("#", "../", "date=")) for link in page.links), page.links
        assert set(page.tags) & {"script", "img", "link", "iframe"} == set()
        assert "style=" not in page.page


def test_equal_tables_give_equal_bytes(month: Tables, tmp_path: Path):
    before = {key: _bytes(month, key) for key in month.store.sizes("reports/") if not key.endswith("availability.json")}
    other = Tables(LocalStore(tmp_path / "elsewhere" / "media"))
    shutil.copytree(month.store.url, other.store.url, copy_function=os.link)
    for key in before:
        other.store.remove(key)
    code = (
        "import sys, datetime as dt; from pathlib import Path; from media_pipeline.storage.local import LocalStore; "
        "from media_pipeline.tables.partition import Tables; from media_pipeline.report_page.page import write_page\n"
        "for day in sys.argv[2:]: write_page(Tables(LocalStore(Path(sys.argv[1]))), dt.date.fromisoformat(day), "
        f"start=dt.date.fromisoformat('{START}'), lookback_days=7)"
    )
    days = [str(LAST - DAY * back) for back in (3, 0, 7, 1, 2, 6, 5, 4)]
    subprocess.run([sys.executable, "-c", code, other.store.url, *days], check=True, env={"PYTHONHASHSEED": "7"})
    assert {key: _bytes(other, key) for key in before} == before


def _bytes(tables: Tables, key: str) -> bytes:
    return (Path(tables.store.url) / key).read_bytes()


def test_calls_without_any_reply_stand_under_a_label_that_means_them_too(month: Tables):
    page = reading(month)
    assert "Run Calls 429 Other errors Retries" in page.text
    assert page.page.count('data-label="Other errors"') == page.page.count("data-run=")


def test_without_the_plotting_library_all_numbers_are_there(month: Tables, monkeypatch: pytest.MonkeyPatch):
    figures = figures_of(month, LAST, start=START, lookback_days=7)
    drawn = Reading(page_of(figures).decode())
    monkeypatch.setattr(charts, "available", lambda: False)
    plain = Reading(page_of(figures).decode())
    assert [(each.key, each.value) for each in plain.figures] == [(each.key, each.value) for each in drawn.figures]
    assert plain.marks == {}
    assert "Pictures need the extra reports" in plain.text


def test_two_days_at_once_are_both_in_the_calendar(tables: Tables):
    days = [LAST - DAY * back for back in range(8)]
    for day in days:
        write_day(tables, day, Day(3, {}))
    threads = [threading.Thread(target=update_calendar, args=(tables, day, DayRow(3, 3, 10, True))) for day in days]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calendar(tables).value("days") == "8"


def test_a_calendar_whose_file_is_lost_or_broken_is_made_of_the_tables(month: Tables, tmp_path: Path):
    before = calendar(month).page
    for damage in (None, b"", b"[]", b'{"days": {"2026-11-20": [1]}}', b'{"days": {"2026-11-20": [1e999, 1, 1, 1]}}'):
        month.store.remove("reports/days.json")
        if damage is not None:
            month.store.put("reports/days.json", damage)
        written(month)
        assert calendar(month).page == before


def test_days_whose_tables_are_gone_leave_the_calendar(tables: Tables):
    for back in (0, 1):
        write_day(tables, LAST - DAY * back, Day(3, {}))
        written(tables, LAST - DAY * back)
    tables.store.remove(f"tables/recording_inventory/date={LAST - DAY}/part-0.parquet")
    written(tables)
    assert calendar(tables).value("days") == "1"


def test_days_never_exported_between_others_are_not_complete():
    one, some = DayRow(3, 3, 10, True), {LAST, LAST - DAY * 2}
    found = Reading(calendar_of(dict.fromkeys(some, one), set()).decode())
    assert "All days Not all complete" in found.text
    assert "2 days exported, 2 of them complete; 1 between them never exported;" in found.text
    assert "Not complete, the oldest first Thu 19 Nov 2026 never exported" in found.text
    whole = Reading(calendar_of(dict.fromkeys([*some, LAST - DAY], one), set()).decode())
    assert "All days All complete" in whole.text


def test_days_never_exported_on_end_are_one_line_of_the_calendar():
    days = [LAST, LAST - DAY * 11, *(LAST - DAY * (13 + 2 * back) for back in range(calendar_page.MAX_OPEN))]
    found = Reading(calendar_of(dict.fromkeys(days, DayRow(3, 3, 10, True)), set()).decode())
    assert found.value("never_exported") == str(10 + calendar_page.MAX_OPEN)
    assert "and 10 more, below." in found.text
    near = Reading(calendar_of(dict.fromkeys(days[:2], DayRow(3, 3, 10, True)), set()).decode())
    assert "Tue 10 Nov 2026 to Thu 19 Nov 2026 10 days never exported" in near.text


def test_three_years_of_days_are_one_small_page():
    days = [LAST - DAY * back for back in range(3 * 365)]
    rows = {day: DayRow(10_000 + day.toordinal() % 977, 9_900, 12_345_678_901, day.day != 13) for day in days}
    page = calendar_of(rows, set(days))
    assert len(page) < 300_000
    found = Reading(page.decode())
    assert sum("date=" in link for link in found.links) == len(days) + min(
        calendar_page.MAX_OPEN, sum(not row.complete for row in rows.values())
    )
    assert found.tags.count("table") == 37


def test_a_day_of_100_000_recordings_is_a_small_page_in_little_memory(tmp_path: Path):
    tables = Tables(LocalStore(tmp_path / "media"))
    shares = {"codec": 0.05, "server_error": 0.01, "not_ready": 0.01}
    write_day(tables, LAST, Day(100_000, shares, objects=False))
    code = (
        "import datetime as dt, resource, sys; from pathlib import Path; "
        "from media_pipeline.storage.local import LocalStore; from media_pipeline.tables.partition import Tables; "
        "from media_pipeline.report_page.page import write_page; import matplotlib.backends.backend_svg; "
        "tables = Tables(LocalStore(Path(sys.argv[1]))); "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        f"page = write_page(tables, dt.date({LAST.year}, {LAST.month}, {LAST.day}), start=dt.date(2026, 1, 1), "
        "lookback_days=7); "
        "print(page.size, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, tables.store.url], capture_output=True, text=True, check=True)
    size, grown_mb = map(int, done.stdout.split())
    assert size < 300_000
    assert grown_mb < 140
    page = reading(tables)
    assert page.value("funnel.listed") == "100000"
    assert max(Counter(page.tags).values()) < 2_000
