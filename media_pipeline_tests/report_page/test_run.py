"""The asset in a real run, whatever became of the day, on a disk and in a bucket; and the page by the service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from media_pipeline.build import build_definitions
from media_pipeline.genesys.pacing import CallStats
from media_pipeline.listening import PAGE
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.runs import Costs, record_step
from media_pipeline_tests.harness import DAY, settings_for, variables_for
from media_pipeline_tests.playback.serving import DEAF, served
from media_pipeline_tests.report_page.conftest import written
from media_pipeline_tests.report_page.history import LAST
from media_pipeline_tests.report_page.reading import Reading


def test_a_day_that_fails_its_check_has_a_page_that_explains_it(org, export):
    (broken,) = org.ordinary(1)
    org.break_with(
        {"fault": "server_error", "on": "media", "ids": [broken]}, {"fault": "rate_limit", "on": "media", "times": 3}
    )
    done = export(org, service_url="https://calls.example.org/")
    assert not done.check_passed
    page = Reading(done.bytes_of(f"reports/date={DAY}/index.html").decode())
    assert page.value("complete") == "0"
    assert done.verdict.summary in page.text
    assert any(broken in call for call in page.calls)
    refused = org.stats()["requests"]["media"]["429"]
    assert int(page.value("card.refused")) == refused > 3
    assert int(page.value("card.retries")) > refused
    assert sum(int(value) for name, value in page.marks.items() if name.startswith("refused.")) == refused
    (event,) = [e for e in done.result.get_asset_materialization_events() if e.asset_key == dg.AssetKey("report_page")]
    told = event.step_materialization_data.materialization.metadata
    assert told["page"].value == f"{done.settings.root}/reports/date={DAY}/index.html"
    assert told["open"].value == f"https://calls.example.org/reports/date={DAY}/index.html"
    assert told["complete"].value is False
    assert told["summary"].value == f"{done.verdict.summary}."


def test_the_page_of_a_mended_day_is_green_and_tells_of_both_runs_in_order(org, export):
    org.sandbox.state.settings.latency_ms = 0
    (broken,) = org.ordinary(1)
    org.break_with({"fault": "server_error", "on": "media", "ids": [broken]})
    first = export(org)
    org.break_with()
    stats = CallStats()
    stats.called("quota", 429)
    record_step(first.tables, DAY, "work-of-another-kind", "retention_sweep", Costs(), stats)
    second = export(org)
    page = Reading(second.bytes_of(f"reports/date={DAY}/index.html").decode())
    runs = [dict(each.row)["data-run"] for each in page.figures if each.name == "run.calls"]
    assert runs == [first.result.run_id, second.result.run_id]
    assert page.value("card.runs") == "2"
    assert page.value("complete") == str(int(second.check_passed))


def test_slices_of_time_add_up_to_the_calls_of_the_run(org, export):
    done = export(org)
    rows = list(done.tables.rows("export_runs", DAY, part=done.result.run_id))
    assert sum(row["calls_then"] or 0 for row in rows) == sum(row["calls"] or 0 for row in rows) > 0
    assert sum(row["retries_then"] or 0 for row in rows) == sum(row["retries"] or 0 for row in rows)
    slices = [row for row in rows if row["from_second"] is not None]
    assert all(row["from_second"] % 10 == 0 and row["operation"] is None for row in slices)


def test_pages_lie_in_a_bucket_too(org, export, s3_root):
    done = export(org, root=s3_root)
    page = Reading(done.bytes_of(f"reports/date={DAY}/index.html").decode())
    assert int(page.value("card.listed")) == len(done.rows("recording_inventory"))
    calendar = Reading(done.bytes_of("reports/index.html").decode())
    assert calendar.value("days") == "1"
    assert f"date={DAY}/index.html" in calendar.links


def test_the_command_writes_pages_again(org, export, tmp_path):
    done = export(org)
    key = f"reports/date={DAY}/index.html"
    before = done.bytes_of(key)
    done.tables.store.put(key, b"old")
    command = [Path(sys.executable).with_name("media-pipeline"), "report", "--all"]
    variables = variables_for(org.url, tmp_path) | {"MEDIA_START_DATE": str(done.settings.start_date)}
    told = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert "1 page(s) written" in told.stdout
    assert done.bytes_of(key) == before
    never = subprocess.run([*command[:2], "--date", "2026-01-02"], env=variables, capture_output=True, text=True)
    assert never.returncode == 2
    assert "export it first" in never.stderr


def test_the_service_shows_pages_to_who_may_listen_and_leads_on_to_calls(month: Tables, tmp_path: Path):
    settings = settings_for("http://127.0.0.1:1", tmp_path, root=month.store.url)
    path = f"/reports/date={LAST}/index.html"
    stored = (Path(month.store.url) / path[1:]).read_text()
    calls = Reading(stored).calls
    with served(settings) as player:
        for place in (path, "/reports/index.html"):
            assert player.ask(place, token=None).status == 401
            assert player.ask(place, token=DEAF).status == 403
        answer = player.ask(path)
        assert answer.status == 200
        assert (answer["Content-Security-Policy"] or "").startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in (answer["Content-Security-Policy"] or "")
        assert answer["Cache-Control"] == "no-store"
        links = [link for link in Reading(answer.body.decode()).links if PAGE in link]
        assert links == [f"../..{PAGE}{call}" for call in calls]
        assert player.ask(links[0].removeprefix("../..")).status in (200, 404)  # the day has no transcripts' table
        assert player.ask("/reports/index.html").status == 200
        assert player.ask("/reports/").headers["Location"] == "/reports/index.html"
        for missing in ("/reports/date=2026-01-01/index.html", "/reports/date=never/index.html"):
            assert player.ask(missing).status == 404
        assert player.ask(f"/reports/date={LAST}/availability.json").status == 404


def test_the_page_depends_on_nothing_whose_check_may_hold_it_back(tmp_path: Path):
    graph = build_definitions(settings_for("http://127.0.0.1:1", tmp_path)).resolve_asset_graph()
    page = graph.get(dg.AssetKey("report_page"))
    assert {key.to_user_string() for key in page.parent_keys} == {
        "recording_inventory",
        "recording_audio",
        "transcript_status",
        "storage_utilization",
    }
    assert page.group_name == "reports"


@pytest.fixture(autouse=True)
def _month_is_whole(month: Tables) -> None:
    """Other tests of this module's root put pages back."""
    assert isinstance(month.store, LocalStore)
    if not (Path(month.store.url) / f"reports/date={LAST}/index.html").exists():
        written(month)
