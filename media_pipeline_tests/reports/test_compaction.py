"""The job compact_months: what it writes, tells, and leaves alone."""

import datetime as dt

import dagster as dg
import pytest

from benchmarks.year.generate import write_year
from media_pipeline.ownership import ANALYSTS
from media_pipeline.reports.build import JOB, build_reports
from media_pipeline.reports.compaction import JOB as COMPACTION
from media_pipeline.settings import Settings
from media_pipeline.storage.lease import Lease
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables import compaction
from media_pipeline.tables.months import COMPACTED
from media_pipeline.tables.paths import work_lease_key
from media_pipeline_tests.reports.conftest import Root


@pytest.fixture
def root(tmp_path):
    """Forty small days of months that are over."""
    found = Root(tmp_path)
    for _ in write_year(found.path, dt.date(2025, 11, 20), 40, 12, 2.0):
        pass
    return found


@pytest.fixture
def definitions(root):
    return build_reports(Settings(root=str(root.path), spool=root.folder / "spool"), retry=None)


def run(definitions):
    return definitions.resolve_job_def(COMPACTION).execute_in_process(
        raise_on_error=False, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )


def figures(result):
    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey("compacted_months")
    metadata = event.step_materialization_data.materialization.metadata
    return {name: metadata[f"months_{name}"].value for name in ("written", "kept", "removed", "left_out")}


def test_it_writes_the_months_that_are_over_and_then_nothing_more(root, definitions):
    assert sum(figures(run(definitions)).values()) > 0
    written = sorted(root.path.glob("compacted/*/*.parquet"))
    again = run(definitions)
    assert figures(again) == {"written": 0, "kept": len(written), "removed": 0, "left_out": 0}
    (event,) = again.get_asset_materialization_events()
    told = event.step_materialization_data.materialization.metadata["months"].value
    assert all(f"| {table} | 0 |" in told for table in COMPACTED)


def test_a_day_that_cannot_be_read_is_told_and_stops_nothing(root, definitions):
    torn = sorted(root.path.glob("tables/recording_audio/*/*.parquet"))[0]
    torn.write_bytes(b"torn")
    result = run(definitions)
    assert result.success
    assert figures(result)["left_out"] == 1


def test_two_runs_never_compact_at_the_same_time(root, definitions, monkeypatch):
    monkeypatch.setattr("media_pipeline.storage.lease.WAIT_SECONDS", 0.0)
    lease = Lease(LocalStore(root.path), work_lease_key(compaction.LEASE), "Compacting months", "another")
    lease.acquire()
    try:
        result = run(definitions)
    finally:
        lease.release()
    (event,) = [event for event in result.all_events if event.is_step_failure]
    assert "Compacting months" in event.step_failure_data.error.to_string()
    assert not (root.path / "compacted").exists()


def test_it_is_the_analysts_with_a_job_and_a_schedule_of_its_own(definitions):
    spec = definitions.resolve_asset_graph().get(dg.AssetKey("compacted_months"))
    assert (spec.group_name, list(spec.owners)) == ("compaction", [ANALYSTS])
    assert {key.to_user_string() for key in spec.parent_keys} == set(COMPACTED)
    assert "one Parquet file for each table and month" in spec.description
    repository = definitions.get_repository_def()
    schedule = repository.get_schedule_def(f"{COMPACTION}_schedule")
    assert (schedule.cron_schedule, schedule.job_name) == ("20 7 * * *", COMPACTION)
    for job in (COMPACTION, JOB):
        keys = repository.get_job(job).asset_layer.selected_asset_keys
        assert (dg.AssetKey("compacted_months") in keys) == (job == COMPACTION)
