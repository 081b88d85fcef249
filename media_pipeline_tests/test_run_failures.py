"""run_failures: one message per failed day, when a person is needed, to the log and to webhooks over real HTTP."""

import datetime as dt

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from pydantic import SecretStr

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.notify.webhooks import parse_webhooks
from media_pipeline.sensors.days import MAX_ATTEMPTS, RUNS_LOOKED_AT
from media_pipeline.sensors.incomplete_days import NAME as INCOMPLETE_DAYS
from media_pipeline.sensors.run_failures import NAME
from media_pipeline_tests.daemon import Daemon
from media_pipeline_tests.harness import DAY

BEFORE = DAY - dt.timedelta(days=1)


@pytest.fixture
def deployment(org, tmp_path, instance, receiver):
    return Daemon(org, tmp_path, instance, webhooks=SecretStr(receiver.url), ui_url="https://dagster.example/ui/")


@pytest.fixture
def failures(deployment):
    return deployment.sensor(NAME)


def switch_on(deployment, sensor):
    """As the UI's switch does."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("media_pipeline"), "__repository__")
    deployment.instance.add_instigator_state(
        InstigatorState(
            RemoteInstigatorOrigin(repository, sensor),
            InstigatorType.SENSOR,
            InstigatorStatus.RUNNING,
            SensorInstigatorData(),
        )
    )


def test_a_failed_day_is_told_once_with_reasons_advice_and_link(failures, receiver, capfd):
    failures.run_day(day=DAY)
    failures.tick()
    (message,) = receiver.messages
    run = failures.instance.get_runs(limit=1)[0]
    assert message["event"] == "day_failed"
    assert message["date"] == str(DAY)
    assert message["recordings"] == {"pending (not_ready)": 1}
    assert message["listed"] == 40
    assert message["run_url"] == f"https://dagster.example/ui/runs/{run.run_id}"
    assert message["text"].startswith(
        f"{DAY} is not complete: 1 pending (not_ready) of 40 recordings. To do: The source"
    )
    assert message["text"].endswith(f"Run: {message['run_url']}")
    assert message["text"] in capfd.readouterr().err, "the log has it too"
    failures.tick()
    assert len(receiver.messages) == 1


def test_a_failed_day_is_told_whatever_other_jobs_did_since(failures, receiver, deployment):
    failures.run_day(day=DAY)
    messaging = deployment.definitions.resolve_job_def("messaging")
    for _ in range(RUNS_LOOKED_AT + 1):
        deployment.instance.create_run_for_job(
            messaging, tags={"dagster/partition": str(DAY)}, status=dg.DagsterRunStatus.SUCCESS
        )
    failures.tick()
    assert [message["event"] for message in receiver.messages] == ["day_failed"]


def test_the_same_failure_again_is_not_told_and_another_one_is(failures, receiver, org):
    failures.run_day(day=DAY)
    failures.tick()
    failures.run_day(day=DAY)
    failures.tick()
    assert len(receiver.messages) == 1
    org.break_with({"fault": "forbidden", "on": "transcript"}, {"fault": "not_json", "on": "list"})
    failures.run_day(day=DAY)
    failures.tick()
    assert len(receiver.messages) == 2
    assert "Cause: " in receiver.texts[1]


def test_many_failed_days_are_one_message_each(failures, receiver):
    for day in (BEFORE, DAY, BEFORE):
        failures.run_day(day=day)
    failures.tick()
    assert sorted(message["date"] for message in receiver.messages) == [str(BEFORE), str(DAY)]


def test_a_day_that_recovers_is_not_told_and_when_it_breaks_again_it_is(failures, receiver, org, instance):
    failures.run_day(day=DAY)
    failures.tick()
    good = instance.create_run_for_job(
        failures.job, tags={"dagster/partition": str(DAY)}, status=dg.DagsterRunStatus.SUCCESS
    )
    assert good
    failures.tick()
    failures.run_day(day=DAY)
    failures.tick()
    assert len(receiver.messages) == 2


def test_a_message_that_is_not_taken_is_sent_again_and_logged_once(failures, receiver, capfd):
    receiver.status = 503
    failures.run_day(day=DAY)
    failures.tick()
    failures.tick()
    assert receiver.refused == 2
    receiver.status = 200
    failures.tick()
    failures.tick()
    assert len(receiver.messages) == 1
    log = capfd.readouterr().err
    assert log.count(f"{DAY} is not complete") == 1
    assert "the webhook at 127.0.0.1 answered 503" in log
    assert "T0P-SECRET" not in log


def test_a_day_that_will_be_run_again_is_told_when_it_is_given_up_in_one_message(org, tmp_path, receiver, monkeypatch):
    monkeypatch.setattr("media_pipeline.sensors.days.EXPORT_GRACE", dt.timedelta())  # due at any hour
    monkeypatch.setattr("media_pipeline.sensors.incomplete_days.ATTEMPT_WAITS_SECONDS", (0.0, 0.0))
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:  # an ephemeral one knows no switches
        deployment = Daemon(org, tmp_path, instance, webhooks=SecretStr(receiver.url), start_date=DAY)
        switch_on(deployment, INCOMPLETE_DAYS)
        incomplete, failures = deployment.sensor(INCOMPLETE_DAYS), deployment.sensor(NAME)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            # midnight may bring a further day
            (request,) = [each for each in incomplete.tick() if each.partition_key == str(DAY)]
            assert receiver.messages == [], f"told before attempt {attempt}"
            incomplete.run(request)
            failures.tick()
        assert all(each.partition_key != str(DAY) for each in incomplete.tick())
        failures.tick()
    (message,) = receiver.messages
    assert message["given_up"]
    assert "It is given up after 3 attempts." in message["text"]


def test_a_killed_run_that_dagster_will_retry_is_not_told(failures, receiver, instance):
    tags = {"dagster/partition": str(DAY), "dagster/will_retry": "true"}
    run = instance.create_run_for_job(failures.job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(run, "Run execution process unexpectedly exited with exit code -9.")
    failures.tick()
    assert receiver.messages == []
    retry = instance.create_run_for_job(failures.job, tags={"dagster/partition": str(DAY)})
    instance.report_run_failed(retry, "Run execution process unexpectedly exited with exit code -9.")
    failures.tick()
    (message,) = receiver.messages
    assert "unexpectedly exited with exit code -9" in message["text"]
    assert message["run_id"] == retry.run_id


def test_a_failed_job_without_a_day_is_told_too(failures, receiver, org):
    org.break_with({"fault": "not_json", "on": "list"})
    failures.daemon.run("relist_recent_days")
    failures.tick()
    (message,) = receiver.messages
    assert message["event"] == "run_failed"
    assert message["text"].startswith("relist_recent_days failed. ")
    assert message["date"] is None


def test_an_unusable_root_still_reaches_a_person(failures, receiver, tmp_path):
    failures.run_day(day=DAY)
    audio = next((tmp_path / "media/tables/recording_audio").glob("*/part-0.parquet"))
    audio.write_bytes(b"not Parquet")
    failures.tick()
    (message,) = receiver.messages
    assert message["date"] == str(DAY)


def test_an_unusable_webhook_is_named_by_its_place_only():
    with pytest.raises(ConfigurationError, match=r"entry 2 is not an http\(s\) URL") as error:
        parse_webhooks("https://hooks.example/a, hooks.example/T0P-SECRET")
    assert "SECRET" not in str(error.value)
    assert [hook.host for hook in parse_webhooks(" https://a.example/x ,http://b.example:8080/y")] == [
        "a.example",
        "b.example",
    ]
    assert "SECRET" not in repr(parse_webhooks("https://a.example/SECRET"))
