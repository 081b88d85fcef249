"""guest_upload_requests: files of guests are asked for until they are settled, by the tables alone."""

import datetime as dt
import time
from types import SimpleNamespace

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from media_pipeline.genesys.messaging_source import ConversationEvent
from media_pipeline.messaging.events import add_rows, row_of
from media_pipeline.messaging.pending import UPLOADS
from media_pipeline.sensors import guest_upload_requests
from media_pipeline.sensors.guest_upload_requests import NAME, UPLOADS_TAG
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.daemon import Daemon
from media_pipeline_tests.harness import Org
from media_pipeline_tests.messaging_org import today

NOWHERE = Org(SimpleNamespace(url="http://127.0.0.1:9"))
"""Nobody answers there: a sensor that asked Genesys Cloud would fail."""


@pytest.fixture
def daemon(tmp_path, instance):
    return Daemon(NOWHERE, tmp_path, instance)


@pytest.fixture
def tables(tmp_path):
    return Tables(LocalStore(tmp_path / "media"))


@pytest.fixture
def sensor(daemon):
    return daemon.sensor(NAME)


def days_ago(n):
    return today() - dt.timedelta(days=n)


def notice(tables, day, **files):
    """Events by id, each with a file's id or None."""
    events = [
        ConversationEvent(event_id=e, event_type="conversation", conversation_id="c", file_id=f)
        for e, f in files.items()
    ]
    add_rows(tables, day, sorted(map(row_of, events), key=lambda row: row["event_id"]))


def settle(tmp_path, day, **statuses):
    """The table of outcomes as the job messaging writes it."""
    path = tmp_path / "media" / "tables" / UPLOADS / f"date={day}" / "part-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"file_id": file_id, "status": status} for file_id, status in sorted(statuses.items())]
    pq.write_table(pa.Table.from_pylist(rows), path)


def ran(daemon, request, status):
    """A run as the daemon would have launched it."""
    tags = {**request.tags, "dagster/partition": request.partition_key, "dagster/run_key": request.run_key}
    job = daemon.definitions.resolve_job_def("messaging")
    run = daemon.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    if status == dg.DagsterRunStatus.FAILURE:
        daemon.instance.report_run_failed(run)
    elif status == dg.DagsterRunStatus.CANCELED:
        daemon.instance.report_run_canceled(run)
    return run


def test_without_any_event_nothing_is_asked_for(sensor):
    assert sensor.tick() == []
    assert sensor.said == "No file is waiting."


def test_days_with_files_that_are_not_settled_are_asked_for(sensor, tables, tmp_path):
    notice(tables, days_ago(3), e0="f0")
    settle(tmp_path, days_ago(3), f0="expired")
    notice(tables, days_ago(2), e1="f1")
    notice(tables, days_ago(1), e2="f2", e3="f3")
    notice(tables, today(), e4="f4", e5=None)
    requests = sensor.tick()
    assert [request.partition_key for request in requests] == [str(days_ago(n)) for n in (2, 1, 0)]
    settle(tmp_path, days_ago(2), f1="expired")
    settle(tmp_path, days_ago(1), f2="stored", f3="rejected")
    assert [request.partition_key for request in sensor.tick()] == [str(today())]
    settle(tmp_path, today(), f4="expired")
    assert sensor.tick() == []


def test_files_that_were_noticed_days_late_are_asked_for_until_they_have_an_outcome(sensor, tables, tmp_path):
    notice(tables, days_ago(40), e0="f0")
    notice(tables, days_ago(9), e1="f1")
    settle(tmp_path, days_ago(9), f1="stored")
    notice(tables, days_ago(8), e2="f2")
    assert [request.partition_key for request in sensor.tick()] == [str(days_ago(8))]
    settle(tmp_path, days_ago(8), f2="expired")
    assert sensor.tick() == []
    notice(tables, days_ago(9), e3="f3", e4="f1")
    assert [request.partition_key for request in sensor.tick()] == [str(days_ago(9))]
    settle(tmp_path, days_ago(9), f1="stored", f3="failed")
    assert sensor.tick() == [], "it has its row, and nobody can fetch it any more"


def test_days_before_the_first_one_are_never_asked_for(tmp_path, instance, tables):
    sensor = Daemon(NOWHERE, tmp_path, instance, start_date=today()).sensor(NAME)
    for n in (8, 2, 1, 0):
        notice(tables, days_ago(n), **{f"e{n}": f"f{n}"})
    assert [request.partition_key for request in sensor.tick()] == [str(today())]


def test_a_file_that_is_noticed_again_the_next_day_is_asked_for_once(sensor, tables, tmp_path):
    notice(tables, days_ago(1), e1="f1")
    notice(tables, today(), e2="f1")
    assert [request.partition_key for request in sensor.tick()] == [str(days_ago(1))]
    settle(tmp_path, days_ago(1), f1="stored")
    assert sensor.tick() == []


def test_one_that_was_settled_the_day_before_those_is_not_asked_for(sensor, tables, tmp_path):
    settle(tmp_path, days_ago(2), f1="stored")
    notice(tables, days_ago(1), e1="f1")
    assert sensor.tick() == []


def test_while_a_run_is_under_way_no_other_is_asked_for(daemon, sensor, tables):
    notice(tables, today(), e1="f1")
    (request,) = sensor.tick()
    ran(daemon, request, dg.DagsterRunStatus.STARTED)
    notice(tables, today(), e2="f2")
    assert sensor.tick() == []
    assert "under way" in sensor.said


def test_runs_of_other_jobs_of_the_day_do_not_matter(daemon, sensor, tables):
    notice(tables, days_ago(1), e1="f1")
    job = daemon.definitions.resolve_job_def("daily_export")
    daemon.instance.create_run_for_job(
        job, tags={"dagster/partition": str(days_ago(1))}, status=dg.DagsterRunStatus.STARTED
    )
    assert len(sensor.tick()) == 1


def test_what_failed_is_asked_for_again_further_and_further_apart_and_never_given_up(
    daemon, sensor, tables, monkeypatch
):
    notice(tables, today(), e1="f1")
    keys, waits = [], []
    now = time.time()
    for _ in range(9):
        (request,) = sensor.tick()
        keys.append(request.run_key)
        ran(daemon, request, dg.DagsterRunStatus.FAILURE)
        assert sensor.tick() == []
        waits.append(float(sensor.said.rpartition(" in ")[2].removesuffix(" s.")))
        now += waits[-1] + 120
        monkeypatch.setattr(guest_upload_requests.time, "time", lambda: now)  # noqa: B023  read at once
    assert len(set(keys)) == 9, "a key that was used is refused for ever"
    assert waits[0] <= 60
    assert waits == sorted(waits)
    assert max(waits) <= 3_600


def test_a_new_file_does_not_wait_for_those_that_failed(daemon, sensor, tables):
    notice(tables, today(), e1="f1")
    (first,) = sensor.tick()
    ran(daemon, first, dg.DagsterRunStatus.FAILURE)
    assert sensor.tick() == []
    notice(tables, today(), e2="f2")
    (second,) = sensor.tick()
    assert second.run_key != first.run_key
    assert second.tags[UPLOADS_TAG] != first.tags[UPLOADS_TAG]


def test_a_file_whose_upload_failed_is_asked_for_again(daemon, sensor, tables, tmp_path):
    notice(tables, today(), e1="f1", e2="f2")
    assert len(sensor.tick()) == 1
    settle(tmp_path, today(), f1="stored", f2="failed")
    assert len(sensor.tick()) == 1


def test_a_cancelled_run_is_not_repeated_for_the_same_files(daemon, sensor, tables):
    notice(tables, today(), e1="f1")
    (request,) = sensor.tick()
    ran(daemon, request, dg.DagsterRunStatus.CANCELED)
    assert sensor.tick() == []
    assert "by hand" in sensor.said
    notice(tables, today(), e2="f2")
    assert len(sensor.tick()) == 1


def test_a_tick_with_nothing_new_reads_no_table(sensor, tables, tmp_path, monkeypatch):
    notice(tables, today(), e1="f1")
    settle(tmp_path, today(), f1="stored")
    assert sensor.tick() == []
    monkeypatch.setattr(Tables, "rows", lambda *_, **__: pytest.fail("a table was read"))
    assert sensor.tick() == []
