"""conversation_events: where a run begins, what it says of what is gone, and that one reads at a time."""

import dagster as dg
import pytest

from media_pipeline.jobs import drain_job
from media_pipeline.messaging.events import TABLE
from media_pipeline.schedules import drain_schedule
from media_pipeline.storage.lease import Holder, Lease
from media_pipeline.tables.paths import cursor_key, work_lease_key
from media_pipeline_tests.conversation_events.conftest import DIALECTS, files, gapless
from media_pipeline_tests.messaging_org import JOB, Listener


def test_a_dead_hour_is_caught_up(guests, listener):
    guests.send(3)
    listener.heard()
    sent = guests.send(2_500)
    heard = listener.heard()
    assert (heard["rows_added"], heard["connections"]) == (2_500, 2)
    check = gapless(listener.drain())
    assert check.passed
    assert {each["file_id"] for each in sent} < set(files(listener.rows()))


def test_what_the_stream_no_longer_has_is_said_for_a_day(guests, listener, tmp_path):
    guests.send(3)
    listener.heard()
    guests.send(5)
    guests.forget_events(newest=2)
    result = listener.drain()
    assert result.success, "what still comes must come"
    assert len(listener.rows()) == 5
    for told in (result, listener.drain()):
        check = gapless(told)
        assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert "no longer has the event" in check.description
    assert len(listener.cursor.gaps) == 1
    logs = "".join(path.read_text() for path in (tmp_path / "media/audit").rglob("*.jsonl"))
    assert logs.count('"event": "events_gap"') == 1


def test_a_cursor_that_cannot_be_read_is_said_and_costs_no_row_twice(guests, listener):
    guests.send(4)
    listener.heard()
    listener.tables.store.put(cursor_key(f"{TABLE}.guide"), b'{"position": ')
    check = gapless(listener.drain())
    assert "cannot be read" in check.description
    assert len(listener.rows()) == 4


def test_an_end_without_content_and_a_revoked_token_are_no_failure(guests, listener):
    guests.send(2)
    guests.sandbox.break_with({"fault": "no_content", "times": 1})
    assert listener.heard()["rows_added"] == 0
    assert listener.heard()["rows_added"] == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_refusal_names_the_permission_and_changes_nothing(guests, tmp_path, instance, dialect):
    listener = Listener.of(guests.sandbox.url, tmp_path, instance, dialect)
    guests.send(1)
    operation = "events" if dialect == "guide" else "message_conversation"
    guests.sandbox.break_with({"fault": "forbidden", "on": [operation], "times": 0})
    result = listener.drain()
    failed = [e.step_failure_data for e in result.all_events if e.is_step_failure]
    assert "permission" in failed[0].user_failure_data.description
    assert listener.rows() == []


def test_a_quiet_run_leaves_no_file_but_its_cursor(guests, listener, tmp_path):
    guests.send(1)
    listener.heard()
    before = sorted(path for path in (tmp_path / "media").rglob("*") if path.is_file())
    listener.heard()
    assert sorted(path for path in (tmp_path / "media").rglob("*") if path.is_file()) == before


def test_a_run_waits_for_none_that_died(guests, listener):
    guests.send(1)
    key = work_lease_key(TABLE)
    gone = Holder("a-dead-run", Holder.this("x").host, Holder.this("x").boot, 2**22 + 1, "12345")
    listener.tables.store.put(key, gone.encode())
    assert listener.heard()["rows_added"] == 1


def test_two_runs_do_not_read_at_the_same_time(guests, listener, monkeypatch):
    monkeypatch.setattr("media_pipeline.storage.lease.WAIT_SECONDS", 0.1)
    lease = Lease(listener.tables.store, work_lease_key(TABLE), "The stream", "another-run")
    lease.acquire()
    try:
        result = listener.drain()
    finally:
        lease.release()
    assert not result.success
    assert listener.heard()


def test_the_schedule_skips_while_a_run_waits_or_works(listener, tmp_path):
    job = listener.definitions.resolve_job_def(JOB)
    schedule = drain_schedule(drain_job())
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        _skips_while_a_run_waits_or_works(job, schedule, instance)


def _skips_while_a_run_waits_or_works(job, schedule, instance):
    def tick():
        with dg.build_schedule_context(instance=instance) as context:
            return schedule(context)

    assert isinstance(tick(), dg.RunRequest)
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED)
    assert isinstance(tick(), dg.SkipReason)
    instance.delete_run(run.run_id)
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert isinstance(tick(), dg.SkipReason)
    instance.delete_run(run.run_id)
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.SUCCESS)
    assert isinstance(tick(), dg.RunRequest)
