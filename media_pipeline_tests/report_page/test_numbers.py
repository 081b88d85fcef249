"""Every number of a page is that of the tables, as pandas reads them."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: TID253  as an analyst would
import pytest

from media_pipeline.report_page.units import NOBODY_KNOWS
from media_pipeline.tables.completeness import judge_day
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.report_page.conftest import calendar, reading
from media_pipeline_tests.report_page.history import LAST
from media_pipeline_tests.report_page.reading import Reading, shown_number

OPEN = ("failed", "pending", "quarantined")
DAY, WEEK = dt.timedelta(days=1), dt.timedelta(days=7)


def frame(tables: Tables, table: str, day: dt.date = LAST) -> pd.DataFrame:
    return pd.read_parquet(Path(tables.store.url) / f"tables/{table}/date={day}")


def totals(tables: Tables, day: dt.date) -> dict[str, float]:
    inventory, audio = frame(tables, "recording_inventory", day), frame(tables, "recording_audio", day)
    stored = audio[audio["status"] == "stored"]
    return {
        "listed": len(inventory),
        "stored": len(stored),
        "unsettled": int(audio["status"].isin(OPEN).sum()),
        "failed": int((audio["status"] == "failed").sum()),
        "transcripts": int((frame(tables, "transcript_status", day)["status"] == "available").sum()),
        "source_bytes": int(stored["source_size_bytes"].sum()),
        "stored_bytes": int(stored["stored_size_bytes"].sum()),
        "duration_seconds": float(inventory["duration_seconds"].sum()),
    }


def expected(tables: Tables) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All figures of the last day's page by name and row."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def put(name: str, value: Any, **row: str) -> None:
        found[name, tuple((f"data-{key.replace('_', '-')}", text) for key, text in row.items())] = value

    now = totals(tables, LAST)
    report, audio = frame(tables, "availability_report"), frame(tables, "recording_audio")
    held = len(audio) - audio["status"].isin(["unsupported", "empty", "unavailable"]).sum()
    available = report[report["status"] == "available"]
    put("complete", 0)
    for name in ("stored", "unsettled", "listed", "source_bytes", "stored_bytes", "transcripts"):
        put(f"card.{name}", now[name])
    put("card.expected", held)
    for name, value in (
        ("listed", now["listed"]),
        ("supported", frame(tables, "recording_inventory")["codec_supported"].sum()),
        ("expected", held),
        ("stored", len(available)),
        ("with_transcript", available["has_transcript"].sum()),
    ):
        put(f"funnel.{name}", value)
    for (status, reason), files in audio.fillna({"reason": ""}).groupby(["status", "reason"]).size().items():
        put("outcome", files, status=status, reason=reason)
    spoken = frame(tables, "transcript_status").fillna({"reason": ""})
    for (status, reason), recordings in spoken.groupby(["status", "reason"]).size().items():
        put("transcript", recordings, transcript=status, reason=reason)
    for row in frame(tables, "storage_utilization").to_dict("records"):
        for name in ("recordings", "source_bytes", "stored_bytes", "compression_ratio", "duration_seconds"):
            put(f"storage.{name}", row[name], media_type=row["media_type"], format=row["format"])
    days = {"now": now, "before": totals(tables, LAST - DAY), "week_ago": totals(tables, LAST - WEEK)}
    for name in now:
        for when, values in days.items():
            put(when, values[name], comparison=name)
    _put_runs(tables, put)
    look_back = [LAST - DAY * n for n in range(7)]
    put("freshness.days", 7)
    put("freshness.complete", sum(judge_day(tables, day).complete for day in look_back))
    return found


def _put_runs(tables: Tables, put: Any) -> None:
    runs = frame(tables, "export_runs")
    calls = runs[runs["calls"].notna()]
    put("card.refused", calls.loc[calls["http_status"] == 429, "calls"].sum())
    put("card.retries", runs["retries"].sum())
    put("card.runs", runs["run_id"].nunique())
    for run_id, of_run in runs.groupby("run_id"):
        made = of_run[of_run["calls"].notna()]
        wrong = ~made["http_status"].between(1, 399) & (made["http_status"] != 429)
        put("run.calls", made["calls"].sum(), run=str(run_id))
        put("run.refused", made.loc[made["http_status"] == 429, "calls"].sum(), run=str(run_id))
        put("run.broken", made.loc[wrong, "calls"].sum(), run=str(run_id))
        put("run.retries", of_run["retries"].sum(), run=str(run_id))
        put("run.waited_seconds", of_run["waited_seconds"].sum(), run=str(run_id))
        put("run.bytes_fetched", of_run["bytes_fetched"].sum(), run=str(run_id))
    worked = runs[runs["recording_id"].notna()].sort_values(["seconds", "recording_id"], ascending=[False, True])
    slowest = worked.drop_duplicates(["recording_id", "file_index"]).head(10)
    for row in slowest.to_dict("records"):
        about = {"recording": row["recording_id"], "file": str(int(row["file_index"]))}
        for name in ("seconds", "bytes_fetched", "attempts"):
            put(f"slow.{name}", row[name], **about)
    put("slow.more", (worked["seconds"] > 0).sum() - len(slowest))


@pytest.fixture(scope="module")
def page(month: Tables) -> Reading:
    return reading(month)


def test_every_figure_is_that_of_the_tables(month: Tables, page: Reading):
    wanted = expected(month)
    said = {each.key: each.value for each in page.figures if each.name != "freshness.oldest"}
    assert said.keys() == wanted.keys()
    assert len(said) == len([each for each in page.figures if each.name != "freshness.oldest"])
    for key, value in wanted.items():
        if pd.isna(value):
            assert said[key] == "", key
        else:
            assert float(said[key]) == pytest.approx(value, rel=1e-12), key


def test_what_is_shown_is_the_exact_figure_rounded(page: Reading):
    for each in page.figures:
        if each.name in ("complete", "freshness.oldest") or each.text == NOBODY_KNOWS:
            continue
        number, rounding = shown_number(each.text)
        assert number == pytest.approx(float(each.value), abs=rounding), each


def test_the_days_that_are_not_complete_are_named_the_oldest_first(month: Tables, page: Reading):
    days = [LAST - DAY * n for n in reversed(range(7))]
    not_complete = [str(day) for day in days if not judge_day(month, day).complete]
    assert page.open_days == not_complete
    assert page.value("freshness.oldest") == not_complete[0]


def test_the_pictures_show_the_same_numbers(month: Tables, page: Reading):
    for stage in ("listed", "supported", "expected", "stored", "with_transcript"):
        assert page.marks[stage] == page.value(f"funnel.{stage}")
    kinds = frame(month, "storage_utilization").sort_values("source_bytes", ascending=False)
    for place, row in enumerate(kinds[kinds["source_bytes"] > 0].to_dict("records")):
        assert page.marks[f"source_bytes.{place}"] == str(row["source_bytes"])
        assert page.marks[f"stored_bytes.{place}"] == str(row["stored_bytes"])
    for back in range(28):
        day = LAST - DAY * back
        assert page.marks[str(day)] == str(len(frame(month, "recording_inventory", day)))
    runs = frame(month, "export_runs")
    largest = runs.groupby("run_id")["calls"].sum().idxmax()
    then = runs[(runs["run_id"] == largest) & runs["from_second"].notna()]
    drawn = {
        name: [int(v) for key, v in page.marks.items() if key.startswith(f"{name}.")] for name in ("calls", "refused")
    }
    assert sum(drawn["calls"]) == then["calls_then"].sum()
    assert sum(drawn["refused"]) == then["refused_then"].sum() > 0
    assert int(page.marks["retries"]) == then["retries_then"].sum()


def test_the_headline_says_what_the_check_says(month: Tables, page: Reading):
    assert judge_day(month, LAST).summary in page.text
    assert "Not complete" in page.text


def test_the_calendar_has_every_day_and_their_sums(month: Tables):
    found = calendar(month)
    exported = [path.name.removeprefix("date=") for path in Path(month.store.url).glob("tables/recording_inventory/*")]
    days = {day: totals(month, dt.date.fromisoformat(day)) for day in exported}
    assert float(found.value("days")) == len(days) == 44
    for name in ("listed", "stored", "stored_bytes"):
        assert float(found.value(name)) == sum(each[name] for each in days.values())
    complete = {day for day in exported if judge_day(month, dt.date.fromisoformat(day)).complete}
    assert float(found.value("complete")) == len(complete)
    kept = json.loads((Path(month.store.url) / "reports/days.json").read_text())["days"]
    assert {day for day, row in kept.items() if row[3]} == complete
    with_page = {str(LAST - DAY * back) for back in range(8)}
    for day, sums in days.items():
        state = "complete" if day in complete else "not complete"
        date = dt.date.fromisoformat(day)
        said = f"{date:%b}: {sums['listed']:,} files, {state}"
        spoken = (
            f'aria-label="{date.day} {said}"' if day in with_page else f'<span>{date.day}<span class="unseen"> {said}<'
        )
        assert spoken in found.page
    assert {link.partition("/")[0].removeprefix("date=") for link in found.links if "date=" in link} == with_page
    weeks = Counter[str]()
    for day, sums in days.items():
        date = dt.date.fromisoformat(day)
        weeks[str(date - dt.timedelta(days=date.weekday()))] += sums["listed"]
    drawn = {monday: int(files) for monday, files in found.marks.items()}
    assert {monday: files for monday, files in drawn.items() if files} == weeks
    assert "10 never exported" in found.text
