"""The job around it: which runs are asked for, two at once, days, S3, the command line, and kill -9."""

from __future__ import annotations

import datetime as dt
import json

import dagster as dg
import pytest
from typer.testing import CliRunner

from media_pipeline.build import build_definitions
from media_pipeline.cli import app
from media_pipeline.messaging.voice_aside import expire
from media_pipeline.messaging.voice_state import TABLE
from media_pipeline.storage.lease import Lease
from media_pipeline.tables.paths import work_lease_key
from media_pipeline_tests import voices
from media_pipeline_tests.harness import resources_for, variables_for
from media_pipeline_tests.messaging_org import today
from media_pipeline_tests.voice_storm import rage


def _asked_for(desk, minutes=0, **changes):
    """What the schedule requests, so many minutes later."""
    settings = desk.settings.model_copy(update=changes)
    definitions = build_definitions(settings, resources=resources_for(settings))
    schedule = definitions.resolve_schedule_def("voice_messages_schedule")
    with dg.build_schedule_context(
        instance=desk.instance,
        resources=definitions.resources,
        repository_def=definitions.get_repository_def(),
        scheduled_execution_time=dt.datetime.combine(today(), dt.time(12, minutes), dt.UTC),
    ) as context:
        return schedule.evaluate_tick(context)


def test_a_new_pair_is_asked_for_and_an_empty_inbox_is_not(guide, tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:  # an ephemeral one has no reference
        guide.instance = instance
        _assert_asked_for(guide)


def _assert_asked_for(guide):
    assert _asked_for(guide).run_requests == []
    guide.put()
    guide.put(received_at=dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
    requests = _asked_for(guide).run_requests
    assert {request.partition_key for request in requests} == {str(today()), str(today() - dt.timedelta(days=1))}
    assert len({request.run_key for request in requests}) == 2
    later = _asked_for(guide, minutes=1).run_requests
    assert {request.run_key for request in later}.isdisjoint(request.run_key for request in requests)
    assert all(request.asset_selection == [dg.AssetKey(TABLE)] for request in requests)
    told = [
        {request.run_key for request in _asked_for(guide, minutes=n, allow_write_back=False).run_requests}
        for n in range(2)
    ]
    assert told[0] == told[1], "what is only told of is told once"
    assert guide.writes == []


def test_a_message_belongs_to_the_day_it_was_received_on(guide):
    yesterday = today() - dt.timedelta(days=1)
    moment = dt.datetime.combine(yesterday, dt.time(23, 59), dt.UTC)
    key, other = guide.put(received_at=moment), guide.put()
    assert set(guide.sent()) == {other}
    settings = guide.settings
    job = build_definitions(settings, resources=resources_for(settings)).resolve_job_def("messaging")
    assert job.execute_in_process(
        instance=guide.instance, partition_key=str(yesterday), asset_selection=[dg.AssetKey(TABLE)]
    ).success
    assert [row["message_key"] for row in guide.tables.rows(TABLE, yesterday)] == [key]
    assert len(guide.heard) == 2


def test_a_moment_that_cannot_be_is_todays(guide):
    key = guide.put(received_at=dt.datetime(1999, 1, 1, tzinfo=dt.UTC))
    assert guide.sent()[key]["status"] == "sent"


def test_a_run_beside_another_one_leaves_the_inbox_to_it(guide):
    key = guide.put()
    lease = Lease(guide.tables.store, work_lease_key(TABLE), "The inbox", "another-run")
    lease.acquire(0)
    try:
        result = guide.run()
        assert result.success
        (event,) = result.get_asset_materialization_events()
        assert "skipped" in event.step_materialization_data.materialization.metadata
        assert guide.writes == []
    finally:
        lease.release()
    assert guide.sent()[key]["status"] == "sent"


def test_a_day_without_messages_has_an_empty_table(guide):
    assert guide.sent() == {}
    assert guide.tables.exists(TABLE, today())


def test_rows_in_s3_are_the_same(guide, s3_root):
    guide.settings.root = s3_root
    key = guide.put()
    assert guide.sent()[key]["status"] == "sent"
    guide.sandbox.break_with({"fault": "reset", "on": ["message_send"], "headers": False})
    doubted = guide.put()
    assert guide.sent()[doubted]["status"] == "in_doubt"
    assert guide.tables.store.sizes("voice/") == {}


def test_what_failed_is_kept_for_a_week_only(guide):
    key = guide.put(voices.wav(61.0))
    guide.sent()
    assert expire(guide.inbox) == 0
    assert guide.aside("rejected") == {key}
    assert expire(guide.inbox, dt.datetime.now(dt.UTC).timestamp() + 8 * 24 * 3600) == 2
    assert guide.aside("rejected") == set()


def test_the_command_line_names_and_settles(guide, monkeypatch, tmp_path):
    variables = variables_for(guide.sandbox.url, tmp_path) | {"MEDIA_INBOX": guide.settings.inbox}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    assert run.invoke(app, ["voice", "list"]).exit_code == 0
    guide.sandbox.break_with({"fault": "reset", "on": ["message_send"], "headers": False})
    key = guide.put()
    guide.sent()
    listed = run.invoke(app, ["voice", "list", "--json"])
    assert listed.exit_code == 1
    assert [row["message_key"] for row in json.loads(listed.stdout)] == [key]
    assert run.invoke(app, ["voice", "resolve", key]).exit_code == 2
    assert run.invoke(app, ["voice", "resolve", "0" * 32, "--sent"]).exit_code == 2
    assert run.invoke(app, ["voice", "resolve", key, "--sent", "--who", "Ada"]).exit_code == 0
    assert guide.rows[key]["status"] == "sent"
    assert run.invoke(app, ["voice", "list"]).exit_code == 0
    said = "".join(path.read_text() for path in (tmp_path / "media" / "audit").rglob("voice-*.jsonl"))
    assert '"who":"Ada"' in said.replace(": ", ":")
    assert "voice_message_resolved" in said


@pytest.mark.parametrize("dialect", ["guide", "platform"])
def test_kill_9_anywhere_and_nobody_hears_a_message_twice(tmp_path, dialect):
    storm = rage(tmp_path / "storm", messages=24, kills=4, dialect=dialect, seed=3)
    assert storm.kills.total() >= 2
