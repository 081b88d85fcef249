"""late_recordings and the job behind it: recordings that are listed late make exactly their days run again."""

import datetime as dt

import dagster as dg
import pytest

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline.sensors.days import ATTEMPT_TAG, MAX_ATTEMPTS, MAX_RUNS_PER_TICK
from media_pipeline.sensors.late_recordings import NAME
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.daemon import Daemon
from media_pipeline_tests.harness import DAY, Org

DAYS = [DAY - dt.timedelta(days=n) for n in (3, 2, 1, 0)]
"""The org's days."""
HOUR = 3600.0


@pytest.fixture
def late(org, tmp_path, instance):
    return Daemon(org, tmp_path, instance).sensor(NAME)


def sandbox_time_is(org, hours):
    """Move the org's clock to so many hours after the end of its newest day."""
    moment = dt.datetime.combine(DAY + dt.timedelta(days=1), dt.time(), dt.UTC) + dt.timedelta(hours=hours)
    org.sandbox.state.clock.offset_seconds = (moment - dt.datetime.now(dt.UTC)).total_seconds()


def inventory(tmp_path, day):
    return {row["recording_id"] for row in Tables(LocalStore(tmp_path / "media")).rows("recording_inventory", day)}


def fetched(org):
    """Recordings whose link or bytes were asked for."""
    return {i for i, counts in org.stats()["recordings"].items() if counts["file"] or counts["media"]}


def test_arrivals_after_1_26_and_47_hours_run_exactly_their_days_again(org, late, tmp_path):
    older = DAYS[-2]
    arrivals = [(DAY, 1), (older, 26), (older, 47), (DAY, 26), (DAY, 47)]
    ids = {DAY: org.ordinary(3, DAY), older: org.ordinary(2, older)}
    lateness = [(day, hours, ids[day].pop()) for day, hours in arrivals]
    org.break_with(*({"fault": "late", "ids": [i], "hours": hours} for _, hours, i in lateness))
    sandbox_time_is(org, 0.5)
    for day in DAYS:
        late.run_day(day=day)
    late.daemon.relist()
    assert late.tick() == []

    for day, hours, recording_id in lateness:
        appears = hours - 24 * (DAY - day).days
        sandbox_time_is(org, appears - 0.1)
        late.daemon.relist()
        assert late.tick() == [], f"{recording_id} has not arrived yet"
        assert recording_id not in inventory(tmp_path, day)
        sandbox_time_is(org, appears + 0.1)
        late.daemon.relist()
        (request,) = late.tick()
        assert request.partition_key == str(day)
        org.forget_stats()
        late.run(request)
        assert recording_id in inventory(tmp_path, day)
        waiting = {i for i, record in org.truth(day).items() if record["kind"] == "processing"}
        assert fetched(org) - waiting == {recording_id}, "what was stored before was asked for again"
        assert late.tick() == []


def test_a_tick_asks_the_source_nothing(org, late):
    late.run_day(day=DAY)
    late.daemon.relist()
    org.forget_stats()
    late.tick()
    assert org.stats()["requests"] == {}


def test_a_recording_that_became_ready_runs_its_day_again(tmp_path, instance):
    options = SandboxOptions(port=0, bodies="tiny", per_day=40, days=1, end=DAY, transcode_seconds=3600)
    with running(options) as sandbox:
        late = Daemon(Org(sandbox), tmp_path, instance).sensor(NAME)
        assert not late.run_day(day=DAY), "one recording is still being prepared"
        late.daemon.relist()
        assert late.tick() == []
        sandbox.state.clock.offset_seconds = 3700.0
        late.daemon.relist()
        (request,) = late.tick()
        assert request.tags["media_pipeline/change"] == "1 pending, now available"
        assert late.run(request), "the day is complete now"


def test_what_the_source_forgets_stays_in_the_tables_as_deleted(org, late, tmp_path):
    gone = org.ordinary(1)
    late.run_day(day=DAY)
    org.break_with({"fault": "late", "ids": gone, "hours": 10_000})  # listed no more
    late.daemon.relist()
    (request,) = late.tick()
    assert request.tags["media_pipeline/change"] == "1 no longer listed"
    late.run(request)
    tables = Tables(LocalStore(tmp_path / "media"))
    (listed,) = (row for row in tables.rows("recording_inventory", DAY) if row["recording_id"] in gone)
    assert listed["file_state"] == "deleted"
    (kept,) = (row for row in tables.rows("recording_audio", DAY) if row["recording_id"] in gone)
    assert kept["status"] == "stored"
    assert (tmp_path / "media" / kept["object_key"]).exists()
    late.daemon.relist()
    assert late.tick() == [], "that it is gone is known now"


def test_a_change_that_no_run_takes_in_is_given_up_in_a_sentence(org, late, tmp_path):
    late.run_day(day=DAY)
    org.break_with({"fault": "late", "ids": org.ordinary(1), "hours": 10_000})
    late.daemon.relist()
    org.break_with({"fault": "not_json", "on": "list"})  # the runs cannot list at all
    keys = []
    while requests := late.tick():
        keys += [request.run_key for request in requests]
        for request in requests:
            assert not late.run(request)
    assert len(keys) == MAX_ATTEMPTS == len(set(keys))
    assert f"{DAY}: 1 no longer listed, and 3 runs did not take it in" in late.said
    late.tick()
    assert "did not take it in" not in late.said


def test_a_day_under_way_or_cancelled_is_not_requested(org, late, instance):
    late.run_day(day=DAY)
    org.break_with({"fault": "late", "ids": org.ordinary(1), "hours": 10_000})
    late.daemon.relist()
    tags = {"dagster/partition": str(DAY)}
    run = instance.create_run_for_job(late.job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert late.tick() == []
    instance.report_run_canceled(run)
    assert late.tick() == []
    assert f"{DAY} was cancelled and is left alone" in late.said


def test_a_day_given_up_before_it_was_listed_runs_when_the_source_lists_it_again(org, late, instance):
    """One run for each new listing, and three in all; days that still have attempts are left to incomplete_days."""

    def fails(attempt):
        tags = {"dagster/partition": str(DAY), ATTEMPT_TAG: str(attempt)}
        instance.report_run_failed(instance.create_run_for_job(late.job, tags=tags, status=dg.DagsterRunStatus.STARTED))

    fails(1)
    fails(2)
    late.daemon.relist()
    assert late.tick() == [], "it has an attempt left"
    fails(3)
    assert late.tick() == [], "the listing is older than the last attempt"
    for number in (1, 2):
        org.break_with()
        late.daemon.relist()
        (request,) = late.tick()
        assert request.run_key == f"{DAY}:late:never-exported:{number}"
        assert request.tags["media_pipeline/change"] == "40 listed and never exported"
        org.break_with({"fault": "not_json", "on": "list"})
        assert not late.run(request)
        assert late.tick() == [], "the source has not listed it since"
    org.break_with()
    late.daemon.relist()
    (request,) = late.tick()
    late.run(request)
    late.daemon.relist()
    assert late.tick() == []


def test_before_the_first_listing_the_sensor_says_what_to_switch_on(late):
    assert late.tick() == []
    assert "relist_recent_days" in late.said


def test_the_check_names_each_finished_day_that_is_not_complete_and_why(org, late, instance):
    late.run_day(day=DAYS[1])
    late.daemon.relist()
    key = dg.AssetCheckKey(dg.AssetKey("recent_listings"), "finished_days_complete")
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    found = record.event.dagster_event.asset_check_evaluation_data
    assert not found.passed
    assert f"{DAYS[0]}: never exported" in found.description
    assert f"{DAYS[1]}: 1 pending (not_ready) of 40 recordings" in found.description


def test_a_burst_of_ten_days_is_taken_in_a_bounded_number_at_a_time_and_none_is_forgotten(tmp_path, instance):
    days = [DAY - dt.timedelta(days=n) for n in range(9, -1, -1)]
    with running(SandboxOptions(port=0, bodies="tiny", per_day=12, days=10, end=DAY)) as sandbox:
        org = Org(sandbox)
        late = Daemon(org, tmp_path, instance, lookback_days=14).sensor(NAME)
        ids = [org.ordinary(1, day)[0] for day in days]
        org.break_with({"fault": "late", "ids": ids, "hours": 10_000})
        for day in days:
            late.run_day(day=day)
        late.daemon.relist()
        assert late.tick() == []
        org.break_with()
        late.daemon.relist()
        asked: list[str] = []
        while requests := late.tick():
            assert len(requests) <= MAX_RUNS_PER_TICK
            asked += [request.partition_key for request in requests]
            for request in requests:
                late.run(request)
            assert len(asked) <= len(days)
        assert sorted(asked) == [str(day) for day in days]
        assert all(i in inventory(tmp_path, day) for i, day in zip(ids, days, strict=True))
