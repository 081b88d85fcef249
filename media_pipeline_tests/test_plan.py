"""media-pipeline plan against a real server: cheap before a backfill, close to what the backfill then brings."""

import dataclasses
import datetime as dt
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.platform_counting import Counting
from media_pipeline.genesys.source import DayCount
from media_pipeline.plan.calls import FORMULAS, TRANSCRIPT_OPERATIONS, calls_of, measured, units_of
from media_pipeline.plan.command import Planned, planned
from media_pipeline.plan.make import Planner
from media_pipeline.plan.measure import ASKED_WITH_DURATION
from media_pipeline.plan.model import Plan, from_json, to_json
from media_pipeline.plan.screen import show_comparison, show_plan
from media_pipeline_tests.harness import DAY, Export, Org, settings_for, variables_for

PROGRAM = str(Path(sys.executable).with_name("media-pipeline"))
FIRST = DAY - dt.timedelta(days=1)
CLOSE = 0.10


def plan(org: Org, folder: Path, first=FIRST, last=DAY, *, compare=None, **changes: object) -> Planned:
    settings = settings_for(org.url, folder, **{"dialect": "platform"} | changes)
    return planned(first, last, compare_kept=compare, told=lambda _: None, settings=settings)


def run(folder: Path, url: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = variables_for(url, folder) | {"COLUMNS": "80", "GENESYS_DIALECT": "platform"} | variables
    return subprocess.run(
        [PROGRAM, "plan", *arguments], env=environment, cwd=folder, capture_output=True, text=True, timeout=120
    )


def on_screen(result: Planned) -> str:
    console = Console(width=80, record=True)
    if result.comparison:
        show_comparison(console, result.comparison)
    else:
        show_plan(console, result.plan, result.where)
    return console.export_text()


def differences(result: Planned) -> dict[str, float]:
    assert result.comparison is not None
    assert result.comparison.finished
    return {line.name: line.difference for line in result.comparison.lines if line.name != "minutes the runs took"}


def asked(result: Planned) -> int:
    """How many files were asked for their size."""
    return int(re.search(r"(\d+) of them asked", result.plan.figures.basis)[1])


def assert_close(result: Planned) -> None:
    found = differences(result)
    assert {name: share for name, share in found.items() if share is None or abs(share) > CLOSE} == {}, found


@pytest.mark.parametrize("dialect", ["platform", "guide"])
def test_the_plan_of_a_speaking_org_is_what_its_backfill_comes_to(speaking_org, export, tmp_path, dialect):
    before = plan(speaking_org, tmp_path, dialect=dialect)
    assert before.comparison is None
    for day in (FIRST, DAY):
        export(speaking_org, day=day, dialect=dialect)
    after = plan(speaking_org, tmp_path, dialect=dialect)
    assert_close(after)
    assert "2 of the plan's 2 days were exported since, in 2 runs." in on_screen(after)


@pytest.mark.parametrize("dialect", ["platform", "guide"])
def test_the_plan_of_a_tiny_org_is_what_its_backfill_comes_to(org, export, tmp_path, dialect):
    before = plan(org, tmp_path, dialect=dialect)
    assert asked(before) > ASKED_WITH_DURATION, "nothing follows from anything here, so more are asked"
    for day in (FIRST, DAY):
        export(org, day=day, dialect=dialect)
    assert_close(plan(org, tmp_path, dialect=dialect))


@pytest.mark.parametrize("dialect", ["platform", "guide"])
def test_days_that_were_exported_teach_the_next_plan(org, export, tmp_path, dialect):
    earlier = [DAY - dt.timedelta(days=n) for n in (3, 2)]
    for day in earlier:
        export(org, day=day, dialect=dialect)
    taught = plan(org, tmp_path, dialect=dialect).plan
    assert any("earlier runs" in term.basis for term in taught.terms)
    assert taught.figures.seconds_per_file is not None
    assert taught.figures.stored_share is not None
    for day in (FIRST, DAY):
        export(org, day=day, dialect=dialect)
    assert_close(plan(org, tmp_path, dialect=dialect))


def test_days_that_were_listed_by_query_teach_the_next_plan(org, export, tmp_path):
    lag, org.sandbox.state.settings.analytics_lag_hours = org.sandbox.state.settings.analytics_lag_hours, 24 * 30
    try:
        for day in (DAY - dt.timedelta(days=n) for n in (3, 2)):
            export(org, day=day, dialect="platform")
    finally:
        org.sandbox.state.settings.analytics_lag_hours = lag
    taught = {term.operation: term.basis for term in plan(org, tmp_path).plan.terms}
    assert "earlier runs" in taught["batch_submit"]
    assert "earlier runs" not in taught["job_submit"]
    assert "query" not in taught, "a backfill lists by job"


def test_a_plan_is_cheap_and_downloads_nothing(org, tmp_path):
    org.forget_stats()
    made = plan(org, tmp_path, DAY - dt.timedelta(days=3)).plan
    requests = {name: sum(found.values()) for name, found in org.stats()["requests"].items()}
    requests.pop("file")  # a byte each, not of the API
    assert made.calls_spent == sum(requests.values())
    assert requests["query"] <= 4 + 4
    assert requests["batch_submit"] == 1
    assert "transcript_url" not in requests
    assert not list((tmp_path / "media").glob("audio/**/*"))


def test_days_that_are_complete_are_named_and_not_counted(org, tmp_path):
    empty = DAY - dt.timedelta(days=10)
    assert Export.run(org, tmp_path, day=empty, dialect="platform").verdict.complete
    result = plan(org, tmp_path, empty, empty + dt.timedelta(days=1))
    assert [day.state for day in result.plan.days] == ["complete", "to_export"]
    assert f"{empty}  complete" in on_screen(result)
    org.forget_stats()
    alone = plan(org, tmp_path, empty, empty)
    assert "nothing to export" in on_screen(alone)
    assert org.stats()["requests"] == {}
    assert alone.where is None


def test_of_a_day_exported_in_part_the_open_recordings_are_counted(org, export, tmp_path):
    done = export(org, dialect="platform")
    still = sum(row["status"] in ("pending", "failed") for row in done.rows("recording_audio"))
    made = plan(org, tmp_path, DAY, DAY).plan
    assert made.days[0].state == "partly"
    assert made.recordings == pytest.approx(still, abs=3)


@pytest.mark.parametrize("per_entry", [0.5, 1.05, 1.5])
def test_of_a_day_exported_in_part_the_open_recordings_do_not_hang_on_an_average(
    org, export, tmp_path, monkeypatch, per_entry
):
    done = export(org, dialect="platform")
    figures_of = Planner._figures

    def averaged(planner, counts, past):
        figures, terms = figures_of(planner, counts, past)
        return dataclasses.replace(figures, files_per_entry=per_entry), terms

    monkeypatch.setattr(Planner, "_figures", averaged)
    assert plan(org, tmp_path, DAY, DAY).plan.recordings == pytest.approx(done.verdict.problems.total(), abs=2)


@pytest.mark.parametrize("dialect", ["platform", "guide"])
def test_of_a_day_exported_in_part_the_transcripts_that_are_asked_for_again_are_counted(org, export, tmp_path, dialect):
    export(org, dialect=dialect)
    made = plan(org, tmp_path, DAY, DAY, dialect=dialect).plan
    org.forget_stats()
    export(org, dialect=dialect)
    requests = org.stats()["requests"]
    again = sum(sum(requests.get(name, {}).values()) for name in TRANSCRIPT_OPERATIONS)
    assert made.transcript_calls == pytest.approx(again, abs=2)


def test_comparing_is_asked_for_or_refused_with_what_to_do(org, export, tmp_path):
    with pytest.raises(ConfigurationError, match="There is no plan of"):
        plan(org, tmp_path, compare=True)
    first = plan(org, tmp_path)
    with pytest.raises(ConfigurationError, match="No day of the plan"):
        plan(org, tmp_path, compare=True)
    export(org, dialect="platform")
    half = plan(org, tmp_path, compare=True)
    assert half.comparison is not None
    assert half.comparison.days == (DAY,)
    assert half.plan == first.plan
    assert plan(org, tmp_path).comparison is None  # one day is still to come: planned anew
    assert plan(org, tmp_path, compare=False).comparison is None


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        (DAY, FIRST, "swap the two days"),
        (DAY, DAY + dt.timedelta(days=2), "is not finished"),
        (DAY - dt.timedelta(days=90), DAY, "MEDIA_START_DATE"),
    ],
)
def test_ranges_that_cannot_be_exported_are_refused(org, tmp_path, first, last, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        plan(org, tmp_path, first, last)


def test_a_plan_is_read_back_as_it_was_written(org, tmp_path):
    made = plan(org, tmp_path)
    kept = Path(made.where or "").read_bytes()
    assert from_json(kept) == made.plan
    assert from_json(to_json(made.plan)) == made.plan
    for other in (b"", b"[]", b"{}", b'{"version": 99}', kept.replace(b'"days"', b'"nights"')):
        assert from_json(other) is None


def test_long_ranges_are_shown_by_the_month(org, tmp_path):
    made = plan(org, tmp_path)
    days = tuple(dataclasses.replace(made.plan.days[0], day=DAY - dt.timedelta(days=n)) for n in reversed(range(70)))
    text = on_screen(Planned(dataclasses.replace(made.plan, days=days), made.where))
    assert f"{DAY:%Y-%m}  " in text
    assert f"{DAY}  " not in text
    assert len(text.splitlines()) < 45


def test_columns_add_up_as_they_are_shown(org, tmp_path):
    made = plan(org, tmp_path)
    days = [
        dataclasses.replace(day, recordings=182.6, calls=14.6, transcript_calls=190.6, source_bytes=0)
        for day in made.plan.days
    ]
    text = on_screen(Planned(dataclasses.replace(made.plan, days=days), made.where))
    assert text.count(" 183 ") == 2
    assert re.search(r"total +366 +0 B +30 +382 ", text)
    assert "30, and 382 for transcripts" in text


def test_the_command_is_one_screen_and_tells_by_its_exit_code(org, tmp_path):
    span = ("--from", str(FIRST), "--to", str(DAY))
    done = run(tmp_path, org.url, *span)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "sandbox-secret" not in done.stdout + done.stderr
    facts = json.loads(run(tmp_path, org.url, *span, "--json").stdout)
    assert facts["plan"]["totals"]["days_to_export"] == 2
    too_little = str(shutil.disk_usage(tmp_path).total // 1_000_000 + 1)
    full = run(tmp_path, org.url, *span, MEDIA_MIN_AVAILABLE_MB=too_little)
    assert full.returncode == 1
    assert "Not enough space" in full.stdout
    assert run(tmp_path, org.url, "--from", "tomorrow", "--to", str(DAY)).returncode == 2
    assert run(tmp_path, org.url, *span, GENESYS_CLIENT_SECRET="wrong").returncode == 2


@pytest.mark.parametrize(("held", "calls"), [(0, 1), (3, 1), (200, 2), (201, 2), (1_000, 8), (1_999, 9)])
def test_a_guide_day_is_counted_by_its_last_page(held, calls):
    from media_pipeline.genesys.guide import PAGE_SIZE, GuideSource

    asked = []

    class Api:
        patience = Patience()

        def get_json(self, operation, path, *, permission):
            asked.append(path)
            page = int(path.rpartition("=")[2])
            return {"entities": [{}] * max(0, min(PAGE_SIZE, held - (page - 1) * PAGE_SIZE))}

    assert GuideSource(Api()).count_day(DAY).recordings == held
    assert len(asked) <= calls


class Analytics:
    """A query over conversations evenly spread over the day, which shows no total above the wall."""

    def __init__(self, held: int) -> None:
        self.held, self.asked = held, []

    def call(self, operation, method, path, *, permission, body):
        start, end = map(dt.datetime.fromisoformat, body["interval"].split("/"))
        self.asked.append((body["interval"], body["paging"]))
        return {"totalHits": min(100_000, round(self.held * (end - start) / dt.timedelta(days=1)))}


def test_days_over_the_wall_are_counted_in_halves():
    api = Analytics(250_000)
    assert Counting(api).conversations(DAY) == pytest.approx(250_000, rel=0.001)
    assert len(api.asked) == 7


def test_samples_are_spread_over_days_and_hours():
    api = Analytics(50_000)
    days = [
        DayCount(day=DAY - dt.timedelta(days=n), recordings=None, conversations=50_000, basis="t") for n in range(8)
    ]
    Counting(api).some(days, 100)
    assert len({interval for interval, _ in api.asked}) == 4
    assert len({paging["pageNumber"] for _, paging in api.asked}) == 4
    assert all(paging["pageSize"] == 25 for _, paging in api.asked)


def test_the_formula_holds_the_promise_for_a_large_day():
    terms = FORMULAS["platform"]
    calls, transcripts = calls_of(terms, units_of("platform", 100_000, 100_000))
    assert calls / 100 < 80
    assert transcripts == 100_000
    learned = measured(terms, {"metadata": 0, "settings": 2}, {"entry": 1000, "day": 1}, "1 earlier run")
    factors = {term.operation: term.factor for term in learned}
    assert factors["metadata"] == 0
    assert factors["settings"] == 2


def test_api_calls_leave_out_media_hosts():
    stats = CallStats()
    for operation in ("list", "file", "transcript_file"):
        stats.called(operation, 200)
    assert stats.api_calls() == 1


def test_a_plan_knows_when_space_runs_out(org, tmp_path):
    made: Plan = plan(org, tmp_path).plan
    root = made.places[0]
    assert root.suffices
    assert not dataclasses.replace(root, needed=float(root.free or 0)).suffices
    assert dataclasses.replace(root, free=None).suffices
