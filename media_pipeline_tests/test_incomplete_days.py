"""The sensor incomplete_days: exactly the days that need a run, a bounded number of times, evaluated on real runs."""

import datetime as dt
import json
import time
from pathlib import Path

import dagster as dg
import pytest

from media_pipeline.sensors.days import (
    ATTEMPT_TAG,
    ATTEMPT_WAITS_SECONDS,
    MAX_ATTEMPTS,
    MAX_RUNS_PER_TICK,
    RUNS_LOOKED_AT,
    due_days,
    is_export,
)
from media_pipeline.sensors.incomplete_days import NAME
from media_pipeline_tests.daemon import Daemon
from media_pipeline_tests.harness import DAY, Export

EMPTY_DAYS = [DAY - dt.timedelta(days=n) for n in range(6, 3, -1)]
"""Finished days in the look-back before the sandbox's first: complete with no recordings."""


WAITS = "media_pipeline.sensors.incomplete_days.ATTEMPT_WAITS_SECONDS"


@pytest.fixture
def daemon(org, tmp_path, instance, monkeypatch):
    monkeypatch.setattr(WAITS, (0.0, 0.0))
    return Daemon(org, tmp_path, instance).sensor(NAME)


def test_days_are_due_after_the_schedule_had_its_turn():
    at = lambda hour: dt.datetime(2026, 11, 21, hour, tzinfo=dt.UTC)  # noqa: E731
    start = dt.date(2026, 11, 1)
    assert due_days(at(12), start, 3) == [dt.date(2026, 11, n) for n in (18, 19, 20)]
    assert due_days(at(2), start, 3) == [dt.date(2026, 11, n) for n in (18, 19)]
    assert due_days(at(12), dt.date(2026, 11, 20), 3) == [dt.date(2026, 11, 20)]
    assert due_days(at(12), dt.date(2026, 11, 21), 3) == []


def test_missing_days_are_requested_oldest_first_and_a_bounded_number_a_tick(daemon):
    requests = daemon.tick()
    due = due_days(dt.datetime.now(dt.UTC), dt.date(2020, 1, 1), 7)
    assert [r.partition_key for r in requests] == [str(day) for day in due[:MAX_RUNS_PER_TICK]]
    assert [r.run_key for r in requests] == [f"{day}:1" for day in due[:MAX_RUNS_PER_TICK]]


def test_days_that_can_be_completed_are_and_the_others_are_given_up_after_three_attempts(daemon, org):
    keys = daemon.until_quiet()
    # the sandbox's four days hold a recording that is never ready; the days before them are empty, so complete
    due = due_days(dt.datetime.now(dt.UTC), dt.date(2020, 1, 1), 7)
    for day in due:
        attempts = MAX_ATTEMPTS if org.truth(day) else 1
        assert [key for key in keys if key.startswith(str(day))] == [f"{day}:{n}" for n in range(1, attempts + 1)]
    assert daemon.tick() == []


def test_a_killed_run_that_dagster_repeats_by_itself_is_not_run_a_second_time(daemon, instance):
    day = DAY - dt.timedelta(days=1)  # DAY itself is due from 03:00 UTC on
    tags = {"dagster/partition": str(day), "dagster/will_retry": "true"}
    run = instance.create_run_for_job(daemon.job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(run, "Run execution process unexpectedly exited with exit code -9.")
    daemon.until_quiet()
    assert day not in {
        dt.date.fromisoformat(run.tags["dagster/partition"]) for run in instance.get_runs() if run.tags.get(ATTEMPT_TAG)
    }
    instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
    assert [request.partition_key for request in daemon.tick()] == [str(day)]


def test_giving_up_is_said_once_in_a_sentence(daemon, org, caplog):
    daemon.until_quiet()
    red = [day for day in due_days(dt.datetime.now(dt.UTC), dt.date(2020, 1, 1), 7) if org.truth(day)]
    sentence = f"{red[-1]} is still not complete after 3 attempts and is given up"
    assert sentence in str(daemon.last.skip_reason)
    daemon.tick()
    assert daemon.said == f"Given up, to be run by hand: {', '.join(str(day) for day in red)}."


@pytest.mark.parametrize(("failed", "waited_for"), [(1, 15 * 60), (2, 2 * 3600)])
def test_a_day_that_failed_waits_for_its_next_attempt(daemon, instance, monkeypatch, failed, waited_for):
    day = daemon.tick()[0].partition_key
    for number in range(1, failed + 1):
        tags = {"dagster/partition": day, ATTEMPT_TAG: str(number)}
        run = instance.create_run_for_job(daemon.job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        instance.report_run_failed(run)
    ended = instance.get_run_record_by_id(run.run_id).end_time
    monkeypatch.setattr(WAITS, ATTEMPT_WAITS_SECONDS)
    assert day not in {request.partition_key for request in daemon.tick()}
    daemon.until_quiet()
    due = dt.datetime.fromtimestamp(ended + waited_for, dt.UTC)
    assert f"{day} waits for its next attempt, which is due at {due:%Y-%m-%d %H:%M} UTC." in daemon.said
    past = [wait if number != failed else time.time() - ended for number, wait in enumerate(ATTEMPT_WAITS_SECONDS, 1)]
    monkeypatch.setattr(WAITS, past)
    assert f"{day}:{failed + 1}" in {request.run_key for request in daemon.tick()}


def test_a_day_that_recovers_by_hand_is_left_alone_and_looked_after_again_when_it_breaks(
    daemon, org, tmp_path, instance
):
    daemon.until_quiet()
    empty = EMPTY_DAYS[-1]
    first = Export.run(org, tmp_path, day=empty, instance=instance)
    assert first.result.success
    assert daemon.tick() == []
    for path in Path(first.settings.root).glob(f"tables/recording_audio/date={empty}/*"):
        path.unlink()
    Export.run(org, tmp_path, day=empty, instance=instance)
    assert daemon.tick() == []


def test_a_day_an_operator_cancelled_is_left_alone(daemon, instance):
    cancelled = daemon.tick()[0].partition_key
    instance.create_run_for_job(daemon.job, tags={"dagster/partition": cancelled}, status=dg.DagsterRunStatus.CANCELED)
    assert cancelled not in {r.partition_key for r in daemon.tick()}
    daemon.until_quiet()
    assert f"{cancelled} was cancelled and is left alone" in str(daemon.last.skip_reason)


def of_job(daemon, instance, name, day, status=dg.DagsterRunStatus.SUCCESS):
    job = daemon.daemon.definitions.resolve_job_def(name)
    instance.create_run_for_job(job, tags={"dagster/partition": str(day)}, status=status)


def test_other_jobs_of_a_day_neither_bring_back_what_was_cancelled_nor_cancel_it(daemon, instance):
    first, second = (request.partition_key for request in daemon.tick()[:2])
    of_job(daemon, instance, "daily_export", first, dg.DagsterRunStatus.CANCELED)
    of_job(daemon, instance, "interactions_daily", first)
    of_job(daemon, instance, "daily_export", second, dg.DagsterRunStatus.FAILURE)
    of_job(daemon, instance, "interactions_daily", second, dg.DagsterRunStatus.CANCELED)
    requested = {request.partition_key for request in daemon.tick()}
    assert (first in requested, second in requested) == (False, True)


def test_attempts_are_counted_whatever_other_jobs_do(daemon, instance):
    day = daemon.tick()[0].partition_key
    for number in range(1, MAX_ATTEMPTS + 1):
        tags = {"dagster/partition": day, ATTEMPT_TAG: str(number)}
        instance.create_run_for_job(daemon.job, tags=tags, status=dg.DagsterRunStatus.FAILURE)
        for _ in range(RUNS_LOOKED_AT // 2):
            of_job(daemon, instance, "messaging", day)
    daemon.cursor = None
    assert day not in {request.partition_key for request in daemon.tick()}


def test_hand_picked_assets_of_other_groups_are_no_export(daemon, instance):
    day = daemon.tick()[0].partition_key
    for asset, expected in (("call_waveforms", False), ("recording_audio", True)):
        job = daemon.daemon.definitions.resolve_implicit_job_def_def_for_assets([dg.AssetKey(asset)])
        chosen = {dg.AssetKey(asset)}
        run = instance.create_run_for_job(job, tags={"dagster/partition": day}, asset_selection=chosen)
        assert run.job_name == "__ASSET_JOB"
        assert is_export(run) is expected


def test_a_day_under_way_is_not_requested_again(daemon, instance):
    under_way = daemon.tick()[0].partition_key
    instance.create_run_for_job(
        daemon.job,
        tags={"dagster/partition": under_way},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert under_way not in {r.partition_key for r in daemon.tick()}


def test_run_retries_of_one_attempt_count_once(daemon, instance):
    day = daemon.tick()[0].partition_key
    for _ in range(5):
        instance.create_run_for_job(
            daemon.job,
            tags={"dagster/partition": day, ATTEMPT_TAG: "1"},
            status=dg.DagsterRunStatus.FAILURE,
        )
    (request,) = [r for r in daemon.tick() if r.partition_key == day]
    assert request.run_key == f"{day}:2"


def test_judged_days_are_not_judged_again_until_they_run_again(daemon, org):
    daemon.until_quiet()
    known = json.loads(daemon.cursor)
    assert set(known) == {str(day) for day in due_days(dt.datetime.now(dt.UTC), dt.date(2020, 1, 1), 7)}
