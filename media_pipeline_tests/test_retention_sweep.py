"""retention_sweep: what the source deletes before it is exported, by its own list, and the order of work after it."""

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import httpx
import pytest

from media_pipeline.genesys import platform_retention
from media_pipeline.genesys.permissions import SENSITIVE
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline.sensors.incomplete_days import NAME
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.deadlines import due_first, soonest_deletions
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.daemon import QUIET, Daemon
from media_pipeline_tests.harness import DAY, Org, variables_for

DAYS = [DAY - dt.timedelta(days=n) for n in range(5, -1, -1)]


@pytest.fixture(scope="module")
def _six_days():
    with running(SandboxOptions(port=0, bodies="tiny", per_day=40, days=6, end=DAY)) as sandbox:
        yield sandbox


@pytest.fixture
def org(_six_days):
    _six_days.restore()
    yield Org(_six_days)
    _six_days.restore()


@pytest.fixture
def daemon(org, tmp_path, instance):
    return Daemon(org, tmp_path, instance, dialect="platform", start_date=DAYS[0])


@pytest.fixture
def tables(tmp_path):
    return Tables(LocalStore(tmp_path / "media"))


def sweep(daemon, *, raise_on_error=True, **config):
    result = daemon.definitions.resolve_job_def("sweep_retention").execute_in_process(
        instance=daemon.instance,
        run_config=QUIET | {"ops": {"retention_sweep": {"config": config}}},
        raise_on_error=raise_on_error,
    )
    if not result.success:
        return result, None
    (check,) = result.get_asset_check_evaluations()
    (materialized,) = result.get_asset_materialization_events()
    return check, {k: v.value for k, v in materialized.step_materialization_data.materialization.metadata.items()}


def rows(tables):
    return {day: list(tables.rows("recording_deadlines", day)) for day in DAYS}


def expiring(org, day):
    """Recordings that the org deletes five days after they were created."""
    return {i for i, one in org.truth(day).items() if deleted(one) - created(one) < dt.timedelta(days=6)}


def created(record):
    return dt.datetime.fromisoformat(record["created_time"])


def deleted(record):
    return dt.datetime.fromisoformat(record["platform"]["delete_date"])


def test_what_dies_before_it_is_exported_is_named_with_its_day_and_what_to_do(daemon, org, tables):
    daemon.run(day=DAYS[1])
    check, metadata = sweep(daemon)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "Run these days now" in check.description
    assert "(that is past)" in check.description, "the one of the oldest day was to be deleted yesterday"
    named = {record.data["day"] for record in check.metadata["days"].value.records}
    assert named == {str(day) for day in DAYS} - {str(DAYS[1])}, "each has one that dies within a week"
    sampled = {record.data["recording_id"] for record in check.metadata["recordings"].value.records}
    assert sampled == set().union(*(expiring(org, day) for day in DAYS if day != DAYS[1]))

    kept = rows(tables)
    for day in DAYS:
        ids = [row["recording_id"] for row in kept[day]]
        assert ids == sorted(set(ids))
        truth = org.truth(day)
        assert all(created(truth[row["recording_id"]]) == row["created_at"] for row in kept[day])
        assert all(deleted(truth[row["recording_id"]]) == row["delete_date"] for row in kept[day])
        if day != DAYS[1]:
            assert set(ids) == set(truth) - ({min(truth, key=lambda i: created(truth[i]))} if day == DAYS[2] else set())
            assert {row["status"] for row in kept[day]} == {"not_exported"}
    open_now = {row["status"] for row in kept[DAYS[1]]}
    assert open_now == {"pending", "unavailable", "not_exported"}, (
        "the last began before midnight, on a day not exported"
    )
    assert metadata["recordings_kept_at_the_source"] == 240
    assert metadata["dagster/row_count"] == sum(map(len, kept.values()))


def test_an_exported_org_passes_and_calls_are_counted_apart(daemon, org, tables):
    for day in DAYS:
        daemon.run(day=day)
    org.forget_stats()
    check, metadata = sweep(daemon)
    assert check.passed, check.description
    assert check.description.startswith("Nothing that is not exported is deleted within 7 days")
    left = [row for kept in rows(tables).values() for row in kept if row["status"] == "not_exported"]
    assert [row["created_at"].date() for row in left] == [DAYS[0]], "its conversation began on the day before the first"
    assert metadata["api_calls"] == 2, "a token and a page of 500"
    assert metadata["read_to_the_end"]
    assert set(org.stats()["requests"]) == {"token", "retention"}
    today = dt.datetime.now(dt.UTC).date()
    (part,) = (tables.store.sizes(f"tables/export_runs/date={today}/")) or [None]
    counted = list(tables.rows("export_runs", today, part=part.rpartition("/")[2].removesuffix(".parquet")))
    assert {row["step"] for row in counted} == {"retention_sweep"}
    assert sum(row["calls"] or 0 for row in counted if row["operation"] == "retention") == 1


def test_a_withheld_recording_shows_up_with_the_permission_it_takes(daemon, org, tables):
    org.sandbox.state.permissions -= {SENSITIVE}
    sensitive = {i: record for day in DAYS for i, record in org.truth(day).items() if record["platform"]["sensitive"]}
    assert sensitive
    for day in DAYS:
        daemon.run(day=day)
    check, _ = sweep(daemon)
    shown = {row["recording_id"]: row for day in rows(tables).values() for row in day}
    assert {(shown[i]["status"], shown[i]["reason"]) for i in sensitive} <= {
        ("failed", "not_delivered"),
        ("withheld", None),
    }
    assert check.passed == all(shown[i]["status"] == "failed" for i in sensitive)


def test_one_that_is_left_out_while_its_conversation_is_delivered_is_withheld(daemon, org, tables):
    """No listing can notice it: the conversation came, and nothing says that there was more."""
    of_conversation = {}
    for record in org.truth(DAYS[3]).values():
        of_conversation.setdefault(record["platform"]["conversation_id"], []).append(record)
    pairs = [pair for pair in of_conversation.values() if len(pair) == 2]
    victim = next(pair[1]["id"] for pair in pairs if {one["kind"] for one in pair} <= {"ordinary", "upper_case"})
    org.break_with({"fault": "batch_omitted", "ids": [victim], "times": 0})
    for day in DAYS:
        daemon.run(day=day)
    assert victim not in {row["recording_id"] for row in tables.rows("recording_inventory", DAYS[3])}
    check, _ = sweep(daemon)
    (row,) = [row for row in rows(tables)[DAYS[3]] if row["recording_id"] == victim]
    assert row["status"] == "withheld"
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert SENSITIVE in check.description
    assert victim in {record.data["recording_id"] for record in check.metadata["recordings"].value.records}


def test_pages_are_followed_by_cursor_and_each_recording_is_read_once(daemon, org, tables, monkeypatch):
    monkeypatch.setattr(platform_retention, "PAGE_SIZE", 7)
    _, metadata = sweep(daemon)
    assert metadata["pages"] == 35  # of 240, 7 each
    assert org.stats()["requests"]["retention"] == {"200": 35}
    assert {day: len(kept) for day, kept in rows(tables).items()} == dict.fromkeys(DAYS, 40)


def test_a_sweep_that_is_left_early_says_so_and_takes_nothing_away(daemon, tables, monkeypatch):
    sweep(daemon)
    before = rows(tables)
    monkeypatch.setattr(platform_retention, "PAGE_SIZE", 40)
    check, metadata = sweep(daemon, max_pages=2)
    assert not check.passed
    assert "was left after 2 pages (80 recordings)" in check.description
    assert not metadata["read_to_the_end"]
    assert rows(tables) == before


def test_a_broken_sweep_leaves_the_table_and_the_spool_as_they_were_and_the_next_is_whole(
    daemon, org, tables, tmp_path, monkeypatch
):
    sweep(daemon)
    before = rows(tables)
    for day in DAYS:
        daemon.run(day=day)
    monkeypatch.setattr(platform_retention, "PAGE_SIZE", 40)
    org.break_with({"fault": "server_error", "on": ["retention"], "times": 0})
    failed, _ = sweep(daemon, raise_on_error=False)
    assert not failed.success
    assert rows(tables) == before
    assert not list((tmp_path / "spool").glob("retention-*"))
    org.sandbox.restore()
    check, _ = sweep(daemon)
    assert check.passed
    after = rows(tables)
    assert after != before
    sweep(daemon)
    assert rows(tables) == after, "again is the same"


def test_a_killed_sweep_leaves_the_last_table_and_the_next_one_is_whole(daemon, org, tables, tmp_path):
    sweep(daemon)
    before = rows(tables)
    org.break_with({"fault": "stall", "on": ["retention"], "times": 1, "seconds": 60})
    variables = variables_for(org.url, tmp_path) | {
        "GENESYS_DIALECT": "platform",
        "MEDIA_START_DATE": str(DAYS[0]),
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    command = [Path(sys.executable).with_name("dagster"), "asset", "materialize", "-m", "media_pipeline.definitions"]
    with subprocess.Popen(
        [*command, "--select", "retention_sweep"], env=variables, cwd=tmp_path, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while not (left := list((tmp_path / "spool").glob("retention-*"))) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    org.sandbox.restore()
    assert len(left) == 1
    assert rows(tables) == before
    sweep(daemon)
    assert rows(tables) == before
    assert left[0].exists(), "it may be that of a sweep at work"
    os.utime(left[0], (0, 0))
    sweep(daemon)
    assert not left[0].exists()


def test_a_client_that_may_not_see_recordings_is_told_the_permission(daemon, org):
    org.sandbox.state.permissions -= {"recording:recording:view"}
    failed, _ = sweep(daemon, raise_on_error=False)
    text = str([event.step_failure_data.user_failure_data for event in failed.all_events if event.is_step_failure])
    assert "recording:recording:view" in text


def test_the_guide_dialect_says_that_it_does_not_tell(org, tmp_path, instance, tables):
    check, metadata = sweep(Daemon(org, tmp_path, instance, dialect="guide"))
    assert check.passed
    assert "does not tell" in check.description
    assert "does not tell" in metadata["skipped"]
    assert not tables.store.sizes("tables/recording_deadlines/")


def test_days_that_hold_what_dies_first_are_run_first(daemon, org, tables, instance):
    """All six days die within a week, the oldest first; then one of the newest day is said to die tomorrow."""
    ticking = daemon.sensor(NAME)
    sweep(daemon)
    assert [request.partition_key for request in ticking.tick()] == [str(day) for day in DAYS[:3]]
    kept = [row | {"delete_date": row["created_at"] + dt.timedelta(days=365)} for row in rows(tables)[DAYS[0]]]
    for day in DAYS:
        tables.write("recording_deadlines", day, kept)
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    tables.write("recording_deadlines", DAYS[4], [kept[0] | {"delete_date": tomorrow}, *kept[1:]])
    org.forget_stats()
    requested = [request.partition_key for request in daemon.sensor(NAME).tick()]
    # the conversation may have begun the day before
    assert requested == [str(DAYS[3]), str(DAYS[4]), str(DAYS[0])]
    assert org.stats()["requests"] == {}, "nobody was asked"
    assert set(soonest_deletions(tables, [DAYS[4]])) == {DAYS[4]}


def test_recordings_that_die_within_two_days_are_downloaded_first_and_rows_stay_sorted(daemon, org, tables, tmp_path):
    org.forget_stats()
    daemon.run(day=DAYS[3])
    asked = {i: counts["file"] for i, counts in org.stats()["recordings"].items()}
    audio = list(tables.rows("recording_audio", DAYS[3]))
    stored = [row["recording_id"] for row in audio if row["status"] == "stored"]
    last = stored[-1]
    shutil.rmtree(tmp_path / "media")
    shutil.rmtree(tmp_path / "spool")
    now = dt.datetime.now(dt.UTC)
    row = {"recording_id": last, "conversation_id": "c", "created_at": now, "status": "not_exported"}
    tables.write("recording_deadlines", DAYS[3], [row | {"delete_date": now + dt.timedelta(hours=30)}])
    assert due_first(tables, DAYS[3], now) == {last}
    assert due_first(tables, DAYS[3], now - dt.timedelta(days=3)) == set()
    org.forget_stats()
    daemon.run(day=DAYS[3])
    again = list(tables.rows("recording_audio", DAYS[3]))
    assert again == audio
    objects = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "media" / f"audio/date={DAYS[3]}").glob("*.gz")}
    assert min(objects, key=lambda name: objects[name]).startswith(last)
    assert {i: counts["file"] for i, counts in org.stats()["recordings"].items()} == asked, "each once"


def test_the_schedule_is_off_and_the_sweep_is_no_part_of_the_export(daemon):
    schedule = daemon.definitions.resolve_schedule_def("sweep_retention_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("25 7 * * 0", "UTC")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert "retention_sweep" not in str(
        daemon.definitions.resolve_job_def("daily_export").asset_layer.executable_asset_keys
    )


def test_the_admin_clock_moves_the_list(daemon, org):
    """Only what was kept for more days than the threshold is on it."""
    moment = dt.datetime.combine(DAY - dt.timedelta(days=2), dt.time(12), dt.UTC)
    offset = (moment - dt.datetime.now(dt.UTC)).total_seconds()
    httpx.put(f"{org.url}/_sandbox/clock", json={"offset_seconds": offset}).raise_for_status()
    _, metadata = sweep(daemon)
    assert 80 <= metadata["recordings_kept_at_the_source"] <= 160
