"""Runs of jobs that run every minute are forgotten after a day, on the disk too; all others stay."""

import datetime as dt
from pathlib import Path

import dagster as dg
import pytest

from media_pipeline.jobs import DRAIN_CONVERSATION_EVENTS, drain_job
from media_pipeline.run_history import AT_ONCE, KEPT, forget_old_runs
from media_pipeline.schedules import drain_schedule

STARTED, SUCCESS = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS


@pytest.fixture
def instance(tmp_path):
    """With SQLite, as a deployment without dagster.yaml has it."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as found:
        yield found


def ran(instance, name, *, fails=False):
    @dg.asset(name="heard")
    def heard(context):
        print("what a step prints lies in the run's folder")
        if fails:
            raise dg.Failure("no")
        return dg.MaterializeResult()

    job = dg.Definitions([heard], jobs=[dg.define_asset_job(name, [heard])]).resolve_job_def(name)
    return job.execute_in_process(instance=instance, raise_on_error=False).run_id


def files_of(folder, run_id):
    return [path for path in Path(folder).rglob("*") if run_id in str(path) and path.is_file()]


def test_what_succeeded_a_day_ago_is_gone_with_its_files_and_what_failed_stays(instance, tmp_path):
    good = [ran(instance, DRAIN_CONVERSATION_EVENTS) for _ in range(2)]
    bad = ran(instance, DRAIN_CONVERSATION_EVENTS, fails=True)
    other = ran(instance, "daily_export")
    assert all(files_of(tmp_path, run_id) for run_id in (*good, bad, other))
    assert forget_old_runs(instance, DRAIN_CONVERSATION_EVENTS) == 0, "a day is kept"
    assert forget_old_runs(instance, DRAIN_CONVERSATION_EVENTS, dt.timedelta(seconds=-1)) == 2
    assert {run.run_id for run in instance.get_runs()} == {bad, other}
    assert [files_of(tmp_path, run_id) for run_id in good] == [[], []]
    assert all(files_of(tmp_path, run_id) for run_id in (bad, other))
    latest = instance.get_latest_materialization_event(dg.AssetKey("heard"))
    assert latest.run_id == other


def test_the_oldest_go_first_and_a_few_at_a_time(instance):
    runs = [ran(instance, DRAIN_CONVERSATION_EVENTS) for _ in range(AT_ONCE + 1)]
    assert forget_old_runs(instance, DRAIN_CONVERSATION_EVENTS, dt.timedelta(seconds=-1)) == AT_ONCE
    assert [run.run_id for run in instance.get_runs()] == runs[-1:]


def test_the_schedule_forgets_and_runs_although_that_fails(instance, monkeypatch):
    asked = []

    def failing(_, job_name):
        asked.append(job_name)
        raise OSError("database is locked")

    monkeypatch.setattr("media_pipeline.schedules.forget_old_runs", failing)
    schedule = drain_schedule(drain_job())
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=dt.datetime.now(dt.UTC))
    assert len(schedule.evaluate_tick(context).run_requests) == 1
    assert asked == [DRAIN_CONVERSATION_EVENTS]
    assert dt.timedelta(days=1) == KEPT
