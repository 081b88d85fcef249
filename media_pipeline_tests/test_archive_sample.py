"""verify_sample: a bounded sample of the archive is proved on a schedule, and the check names what is wrong."""

import dagster as dg
import pytest

from media_pipeline_tests.daemon import QUIET, Daemon
from media_pipeline_tests.harness import DAY

CHECK = dg.AssetCheckKey(dg.AssetKey("archive_sample"), "archive_sample_verified")


@pytest.fixture
def daemon(org, tmp_path):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(org, tmp_path, instance)
        daemon.run(day=DAY)
        org.forget_stats()
        yield daemon


def sampled(daemon, **config):
    result = daemon.definitions.resolve_job_def("verify_sample").execute_in_process(
        instance=daemon.instance, run_config=QUIET | {"ops": {"archive_sample": {"config": config}}}
    )
    (check,) = result.get_asset_check_evaluations()
    (materialized,) = result.get_asset_materialization_events()
    return check, materialized.step_materialization_data.materialization.metadata


def test_a_sample_is_proved_and_says_what_was_read(daemon, org, tmp_path):
    objects = sorted((tmp_path / "media" / f"audio/date={DAY}").glob("*.gz"))
    check, metadata = sampled(daemon)
    assert check.passed
    assert metadata["objects"].value == len(objects)
    assert metadata["bytes"].value > 0
    assert metadata["days_in_the_archive"].value == 1
    _, metadata = sampled(daemon, objects=5, seed=7)
    assert (metadata["objects"].value, metadata["seed"].value) == (5, 7)
    assert org.stats()["requests"] == {}, "nobody was asked"

    objects[0].with_name(objects[0].name + ".gzi").unlink()
    check, _ = sampled(daemon)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)

    for path in objects[:25]:
        path.write_bytes(b"x" * path.stat().st_size)
    objects[25].unlink()
    check, _ = sampled(daemon)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "1 missing" in check.description
    assert "25 unreadable" in check.description
    assert f"unreadable audio/date={DAY}/" in check.description
    assert len(check.metadata["findings"].value.records) == 20
    assert "media-pipeline verify --all" in check.metadata["to_do"].value


def test_an_archive_without_a_day_is_all_right(org, tmp_path):
    with dg.DagsterInstance.ephemeral() as instance:
        check, metadata = sampled(Daemon(org, tmp_path, instance))
    assert check.passed
    assert metadata["objects"].value == 0


def test_it_has_a_schedule_that_is_off_and_is_no_part_of_the_export(daemon):
    schedule = daemon.definitions.resolve_schedule_def("verify_sample_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("10 5 * * *", "UTC")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert "archive_sample" not in str(
        daemon.definitions.resolve_job_def("daily_export").asset_layer.executable_asset_keys
    )
