"""The sensor marts_after_complete_day: one build for all days completed since, evaluated on real runs of the export."""

import dagster as dg
import pytest

from media_pipeline.reports.build import JOB
from media_pipeline.reports.schedule import marts_schedule
from media_pipeline.reports.sensor import NAME, marts_after_complete_day_sensor
from media_pipeline_tests.harness import DAY
from media_pipeline_tests.reports.conftest import EMPTY_DAY

RED_DAY = DAY


class Daemon:
    """A small export with the real asset and check names, and the sensor evaluated as Dagster's daemon does."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, None
        self.skipped: str | None = None
        partitions = dg.DailyPartitionsDefinition(start_date=str(EMPTY_DAY))

        @dg.asset(
            partitions_def=partitions,
            check_specs=[dg.AssetCheckSpec("day_complete", asset="availability_report", blocking=True)],
        )
        def availability_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            complete = context.run.tags["complete"] == "yes"
            return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=complete)])

        @dg.asset(partitions_def=partitions, deps=[availability_report])
        def afterwards() -> None:
            """Something of the run that comes after the check."""

        @dg.op
        def build_marts() -> None:
            """Stands for dbt."""

        @dg.job(name=JOB)
        def build() -> None:
            build_marts()

        self.build = build
        self.sensor = marts_after_complete_day_sensor(build)
        export = dg.define_asset_job("daily_export", selection="*")
        self.definitions = dg.Definitions(
            assets=[availability_report, afterwards], jobs=[export, build], sensors=[self.sensor]
        )
        self.export_job = self.definitions.resolve_job_def("daily_export")

    def export(self, *, complete: bool, day=EMPTY_DAY) -> str:
        return self.export_job.execute_in_process(
            partition_key=str(day),
            instance=self.instance,
            tags={"complete": "yes" if complete else "no"},
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        ).run_id

    def tick(self) -> list[str]:
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.definitions.get_repository_def(),
            sensor_name=NAME,
        ) as context:
            result = self.sensor(context)
        self.cursor = result.cursor
        self.skipped = result.skip_reason.skip_message if result.skip_reason else None
        return [request.run_key for request in result.run_requests]

    def build_is(self, status: dg.DagsterRunStatus) -> str:
        return self.instance.create_run_for_job(self.build, status=status).run_id


@pytest.fixture
def daemon():
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(instance)


def test_without_a_completed_day_nothing_is_built(daemon):
    assert daemon.tick() == []
    daemon.export(complete=False, day=RED_DAY)
    assert daemon.tick() == []
    assert daemon.skipped == "No day was completed since the last build."


def test_any_number_of_completed_days_is_one_build(daemon):
    for _ in range(3):
        daemon.export(complete=True)
    daemon.export(complete=False, day=RED_DAY)
    assert len(daemon.tick()) == 1
    assert daemon.tick() == []


def test_each_later_day_is_built_under_a_key_of_its_own(daemon):
    keys = []
    for _ in range(3):
        daemon.export(complete=True)
        keys += daemon.tick()
    assert len(set(keys)) == 3


def test_after_its_cursor_was_reset_the_sensor_uses_no_key_twice(daemon):
    daemon.export(complete=True)
    keys = daemon.tick()
    daemon.cursor = None
    assert set(daemon.tick()).isdisjoint(keys)
    assert len(keys) == 1


def test_a_red_day_that_is_completed_later_is_built_then(daemon):
    daemon.export(complete=False)
    assert daemon.tick() == []
    daemon.export(complete=True)
    assert len(daemon.tick()) == 1


@pytest.mark.parametrize("status", ["STARTING", "STARTED", "CANCELING", "NOT_STARTED"])
def test_a_day_completed_during_a_build_is_built_after_it(daemon, status):
    run_id = daemon.build_is(dg.DagsterRunStatus[status])
    daemon.export(complete=True)
    assert [daemon.tick(), daemon.tick()] == [[], []]
    assert daemon.skipped == "A build is queued or under way; the next one follows it."
    daemon.instance.report_run_canceled(daemon.instance.get_run_by_id(run_id))
    assert len(daemon.tick()) == 1
    assert daemon.tick() == []


def test_once_a_day_red_days_are_built_too_unless_a_build_is_under_way(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:  # an ephemeral one has no reference
        daemon = Daemon(instance)
        daemon.export(complete=False, day=RED_DAY)
        schedule = marts_schedule(daemon.build)
        assert (schedule.name, schedule.execution_timezone) == (f"{JOB}_schedule", "UTC")
        with dg.build_schedule_context(instance=instance) as context:
            assert isinstance(schedule(context), dg.RunRequest)
            run_id = daemon.build_is(dg.DagsterRunStatus.STARTED)
            assert schedule(context).skip_message == "A build is queued or under way."
            instance.report_run_canceled(instance.get_run_by_id(run_id))
            assert isinstance(schedule(context), dg.RunRequest)


def test_a_run_is_waited_for_until_it_is_over(daemon, monkeypatch):
    run_id = daemon.export(complete=True)
    daemon.export(complete=False, day=RED_DAY)
    over = daemon.instance.get_run_by_id
    with monkeypatch.context() as still:
        still.setattr(
            daemon.instance,
            "get_run_by_id",
            lambda i: over(i) if i != run_id else over(i).with_status(dg.DagsterRunStatus.STARTED),
        )
        assert [daemon.tick(), daemon.tick()] == [[], []]
    assert len(daemon.tick()) == 1


def test_many_days_are_looked_at_page_by_page_and_none_is_forgotten(daemon, monkeypatch):
    monkeypatch.setattr("media_pipeline.reports.sensor.PAGE", 2)
    assert daemon.tick() == []
    daemon.export(complete=True)
    assert len(daemon.tick()) == 1
    for _ in range(4):
        daemon.export(complete=False, day=RED_DAY)
    daemon.export(complete=True)
    assert [len(daemon.tick()) for _ in range(2)] == [1, 0]


def test_a_tick_ends_in_time_and_the_next_one_goes_on(daemon, monkeypatch):
    for _ in range(3):
        daemon.export(complete=True)
    monkeypatch.setattr("media_pipeline.reports.sensor.MAX_TICK_SECONDS", -1.0)
    assert daemon.tick() == []
    assert "too many" in daemon.skipped
    monkeypatch.undo()
    assert len(daemon.tick()) == 1
    assert daemon.tick() == []


def test_the_real_export_sets_it_off(daemon, three_days, new_folder):
    from media_pipeline_tests.harness import Export

    folder = new_folder()
    assert not Export.run(three_days, folder, instance=daemon.instance).check_passed  # the sandbox's days are red
    assert daemon.tick() == []
    assert Export.run(three_days, folder, day=EMPTY_DAY, instance=daemon.instance).check_passed
    assert len(daemon.tick()) == 1
