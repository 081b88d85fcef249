"""The job `retention`, its schedule and its check, and the commands of holds: as Dagster and a person run them."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from media_pipeline.checks.deleted_in_time import deleted_in_time_result
from media_pipeline.doctor.examine import examine
from media_pipeline.messaging.holds import Holds
from media_pipeline.messaging.retention_days import Day, Index
from media_pipeline.storage.lease import Lease
from media_pipeline.tables.paths import RETENTION_LEASE
from media_pipeline_tests.daemon import QUIET, Daemon
from media_pipeline_tests.harness import settings_for, variables_for
from media_pipeline_tests.retention.conftest import FIFTEEN, NO_COPY

PROGRAM = str(Path(sys.executable).with_name("media-pipeline"))
PAST = dt.timedelta(hours=1)


@pytest.fixture
def root(tmp_path):
    """Where the variables of a child process have it."""
    return str(tmp_path / "media")


@pytest.fixture
def daemon(org, tmp_path, instance):
    return lambda **changes: Daemon(org, tmp_path, instance, **{"allow_remote_delete": True} | changes)


def ran(daemon, **changes):
    deployment = daemon(**changes)
    result = deployment.definitions.resolve_job_def("retention").execute_in_process(
        instance=deployment.instance, run_config=QUIET, raise_on_error=False
    )
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    (materialized,) = result.get_asset_materialization_events()
    return check, {k: v.value for k, v in materialized.step_materialization_data.materialization.metadata.items()}


def asked(daemon, **changes):
    """What the schedule answers."""
    deployment = daemon(**changes)
    schedule = deployment.definitions.resolve_schedule_def("retention_schedule")
    resources = {key: deployment.definitions.resources[key] for key in schedule.required_resource_keys}
    with dg.build_schedule_context(instance=deployment.instance, resources=resources) as context:
        return schedule(context)


def audited(tmp_path):
    """The lines of all audit logs, in order of time."""
    files = tmp_path.glob("media/audit/*/*.jsonl")
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    return sorted(lines, key=lambda line: line["timestamp"])


def hold(org, tmp_path, *arguments, **variables):
    environment = variables_for(org.url, tmp_path) | {"COLUMNS": "200"} | variables
    return subprocess.run(
        [PROGRAM, "hold", *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )


def test_a_run_deletes_what_is_due_and_tells_it_with_the_moment_in_the_audit_log(bench, daemon, tmp_path):
    (media,) = bench.uploaded()
    bench.schedule(media, now=bench.now() - PAST, sha256="ab" * 32)
    check, metadata = ran(daemon)
    assert check.passed, check.description
    assert (metadata["taken_in"], metadata["entries_deleted"], metadata["nothing_left_due"]) == (1, 1, True)
    assert not bench.there(media)
    lines = audited(tmp_path)
    (told,) = [line for line in lines if line["event"] == "media_deleted"]
    assert (told["subject_id"], told["sha256"], told["certificate"]) == (media, "ab" * 32, "deleted")
    assert dt.datetime.fromisoformat(told["timestamp"]).tzinfo
    assert len(list(tmp_path.glob("media/tables/export_runs/*/*.parquet"))) == 1, "what the run cost"


def test_the_switch_is_off_unless_it_is_on(bench, daemon):
    (media,) = bench.uploaded()
    bench.schedule(media, now=bench.now() - PAST)
    check, metadata = ran(daemon, allow_remote_delete=False)
    assert check.passed
    assert metadata["entries_would_delete"] == 1
    assert check.metadata["open_would_delete"].value == 1
    assert bench.there(media)
    assert isinstance(asked(daemon, allow_remote_delete=False), dg.SkipReason)
    assert isinstance(asked(daemon), dg.RunRequest), "it was switched on"


def test_the_schedule_asks_for_a_run_only_when_there_is_something_to_do(bench, daemon):
    assert isinstance(asked(daemon, allow_remote_delete=False), dg.SkipReason)
    (media,) = bench.uploaded()
    bench.schedule(media, kind="recording", now=bench.now())
    assert isinstance(asked(daemon), dg.RunRequest), "something was scheduled"
    ran(daemon)
    bench.org.forget_stats()
    assert isinstance(asked(daemon), dg.SkipReason), "nothing is due yet"
    assert bench.org.stats()["requests"] == {}
    kept = bench.hold("conversation", "c-1")
    assert isinstance(asked(daemon), dg.RunRequest), "there is a hold"
    ran(daemon)
    assert isinstance(asked(daemon), dg.SkipReason)
    bench.release(kept)
    assert isinstance(asked(daemon), dg.RunRequest), "there is none any more"
    ran(daemon)
    ran(daemon)
    assert isinstance(asked(daemon), dg.SkipReason)


def test_a_lost_index_is_made_anew_from_the_tables(bench, daemon):
    (media,) = bench.uploaded()
    bench.schedule(media, now=bench.now() - PAST)
    ran(daemon, allow_remote_delete=False)
    bench.store.remove("retention/days.json")
    assert isinstance(asked(daemon), dg.RunRequest)
    ran(daemon)
    assert not bench.there(media)
    bench.store.put("retention/days.json", b"{torn")
    ran(daemon)
    assert isinstance(asked(daemon), dg.SkipReason)


def test_a_run_beside_another_one_changes_nothing_and_says_whose_turn_it_is(bench, daemon, monkeypatch):
    monkeypatch.setattr("media_pipeline.storage.lease.WAIT_SECONDS", 0.0)
    (media,) = bench.uploaded()
    bench.schedule(media, now=bench.now() - PAST)
    other = Lease(bench.store, RETENTION_LEASE, "The retention ledger", "the-other-run")
    other.acquire()
    try:
        check, metadata = ran(daemon)
    finally:
        other.release()
    assert check.passed
    assert "the-other-run" in metadata["skipped"]
    assert bench.there(media)
    ran(daemon)
    assert not bench.there(media)


def test_the_job_is_apart_from_the_export(daemon):
    definitions = daemon().definitions
    exported = str(definitions.resolve_job_def("daily_export").asset_layer.executable_asset_keys)
    assert "media_retention" not in exported
    schedule = definitions.resolve_schedule_def("retention_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.cron_schedule == "* * * * *"


NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("day", "passed", "severity", "sentence"),
    [
        (Day(oldest=NOW - dt.timedelta(minutes=14), states={"scheduled": 1}), True, None, "Everything"),
        (Day(oldest=NOW - dt.timedelta(minutes=16), states={"marked": 1}), False, "WARN", "16 minutes ago"),
        (Day(states={"failed": 2}), False, "WARN", "2 deletions failed"),
        (Day(states={"held": 3}), True, None, "Everything"),
        (Day(states={"held": 3}, not_withdrawn=1), False, "ERROR", "1 entries are held here"),
        (Day(states={"would_delete": 9}), True, None, "Everything"),
    ],
)
def test_the_check_warns_of_what_is_overdue_or_failed(day, passed, severity, sentence):
    result = deleted_in_time_result(Index({NOW.date(): day}), NOW)
    assert result.passed == passed
    assert sentence in result.description
    if severity:
        assert result.severity.name == severity


def test_a_person_adds_lists_and_releases_a_hold_and_each_is_audited(bench, org, tmp_path):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.work()
    added = hold(
        org, tmp_path, "add", "--conversation", "c-1", "--who", "Legal", "--why", "case 7", "--until", "2099-01-01"
    )
    assert added.returncode == 0, added.stderr
    assert "1 held" in added.stdout
    assert bench.row(media)["source_retention"] == "withdrawn", "at once, not with the next run"
    bench.move(**FIFTEEN)
    bench.work()
    assert bench.there(media)
    listed = json.loads(hold(org, tmp_path, "list", "--json").stdout)["holds"]
    assert [(each["kind"], each["value"], each["who"], each["why"]) for each in listed] == [
        ("conversation", "c-1", "Legal", "case 7")
    ]
    assert listed[0]["until"].startswith("2099-01-02 00:00"), "the whole day"
    assert "case 7" in hold(org, tmp_path, "list").stdout
    released = hold(org, tmp_path, "release", listed[0]["hold_id"], "--who", "Judge", "--why", "closed")
    assert released.returncode == 0, released.stderr
    assert "no holds" in hold(org, tmp_path, "list").stdout
    assert "Legal" in hold(org, tmp_path, "list", "--all").stdout
    bench.work()
    bench.work()
    assert not bench.there(media)
    lines = [line for line in audited(tmp_path) if line["event"].startswith("hold_")]
    assert [(line["event"], line["hold_id"]) for line in lines] == [
        ("hold_added", listed[0]["hold_id"]),
        ("hold_released", listed[0]["hold_id"]),
    ]
    assert (lines[1]["released_by"], lines[1]["released_why"]) == ("Judge", "closed")


def test_a_hold_without_credentials_is_recorded_and_says_what_it_could_not_do(bench, org, tmp_path):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.work()
    added = hold(org, tmp_path, "add", "--subject", media, "--who", "a", "--why", "b", GENESYS_CLIENT_ID="")
    assert added.returncode == 1, added.stdout
    assert "takes that back" in added.stderr
    bench.work()
    assert bench.row(media)["state"] == "held"


def test_a_hold_with_wrong_credentials_is_recorded_and_named(bench, org, tmp_path):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.work()
    added = hold(org, tmp_path, "add", "--subject", media, "--who", "a", "--why", "b", GENESYS_CLIENT_SECRET="wrong")
    assert added.returncode == 1, added.stderr
    (recorded,) = Holds(bench.store).all()
    assert f"Hold {recorded.hold_id} is recorded" in added.stdout
    assert "GENESYS_CLIENT_SECRET" in added.stderr
    assert [line["event"] for line in audited(tmp_path) if line["run_id"].startswith("hold-")] == ["hold_added"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "--who", "a", "--why", "b"),
        ("add", "--subject", "x", "--day", "2026-01-01", "--who", "a", "--why", "b"),
        ("add", "--day", "tomorrow", "--who", "a", "--why", "b"),
        ("add", "--subject", "x", "--who", "a", "--why", "b", "--until", "soon"),
        ("add", "--subject", "x", "--who", "a", "--why", "b", "--until", "2020-01-01"),
        ("add", "--subject", "x", "--who", "a", "--why", "b", "--until", "9999-12-31"),
        ("release", "nothing", "--who", "a", "--why", "b"),
        ("release", "../../x", "--who", "a", "--why", "b"),
    ],
)
def test_what_keeps_nothing_is_refused_with_a_sentence(org, tmp_path, arguments):
    done = hold(org, tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_the_hold_is_written_before_anything_else_is_tried(bench, org, tmp_path):
    """With a source that is down the hold is there all the same."""
    (media,) = bench.uploaded()
    bench.schedule(media, NO_COPY)
    bench.work()
    bench.org.break_with({"fault": "server_error", "on": ["media_retention"]})
    added = hold(org, tmp_path, "add", "--subject", media, "--who", "a", "--why", "b")
    assert added.returncode == 1
    assert len(Holds(bench.store).all()) == 1
    bench.org.break_with()
    bench.work()
    assert bench.row(media)["state"] == "held"


@pytest.mark.parametrize(
    ("dialect", "switches", "lines"),
    [
        ("platform", {}, set()),
        ("platform", {"allow_remote_delete": True}, {"deletion"}),
        ("platform", {"allow_write_back": True}, {"hold protection"}),
        ("guide", {"allow_remote_delete": True}, {"deletion"}),
    ],
)
def test_the_doctor_looks_at_the_permissions_of_what_is_switched_on(org, tmp_path, dialect, switches, lines):
    report = examine(settings_for(org.url, tmp_path, dialect=dialect, **switches))
    assert {finding.name for finding in report.findings} & {"deletion", "hold protection"} == lines
