"""archive_drift: files added, changed or removed outside a run turn checks red by name, are audited and told once."""

import datetime as dt
import json
import os
import time

import dagster as dg
import pytest
from pydantic import SecretStr

from media_pipeline.sensors.archive_drift import DAYS_PER_TICK, NAME
from media_pipeline.tables.drift import find_drift
from media_pipeline_tests.daemon import Daemon
from media_pipeline_tests.harness import DAY

BEFORE = DAY - dt.timedelta(days=1)
INTACT = dg.AssetCheckKey(dg.AssetKey("recording_audio"), "archive_intact")
COMPLETE = dg.AssetCheckKey(dg.AssetKey("availability_report"), "day_complete")


@pytest.fixture
def watch(org, tmp_path, instance, receiver):
    org.break_with({"fault": "late", "ids": preparing(org), "hours": 10_000})  # so that the days are complete
    watch = Daemon(org, tmp_path, instance, webhooks=SecretStr(receiver.url)).sensor(NAME)
    for day in (BEFORE, DAY):
        assert watch.run_day(day=day)
    watch.tick()
    return watch


def preparing(org):
    return [i for day in (BEFORE, DAY) for i, record in org.truth(day).items() if record["kind"] == "processing"]


@pytest.fixture
def objects(watch, tmp_path):
    return sorted((tmp_path / "media" / f"audio/date={DAY}").glob("*.gz"))


def latest(watch, check):
    records = watch.instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
    return records[0].event.dagster_event.asset_check_evaluation_data


def audited(tmp_path, day=DAY):
    files = (tmp_path / "media" / f"audit/date={day}").glob("archive_drift-*.jsonl")
    events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return {(event["event"], event["key"]) for event in events if "key" in event}


def test_an_untouched_archive_is_green_and_nothing_is_said(watch, receiver, tmp_path):
    assert watch.said == f"{BEFORE}: as the tables say; {DAY}: as the tables say"
    assert latest(watch, INTACT).passed
    watch.tick()
    assert not watch.last.asset_events, "nothing new"
    assert receiver.messages == []
    assert audited(tmp_path) == set()


@pytest.mark.parametrize("hurt", ["removed", "truncated", "same size", "added", "added folder", "added, no UTF-8"])
def test_each_change_outside_a_run_is_found_and_named(watch, objects, receiver, tmp_path, hurt):
    target = objects[0]
    key = target.relative_to(tmp_path / "media").as_posix()
    kind = "changed"
    if hurt == "removed":
        target.unlink()
        kind = "removed"
    elif hurt == "truncated":
        target.write_bytes(target.read_bytes()[:-3])
    elif hurt == "same size":
        data = bytearray(target.read_bytes())
        data[len(data) // 2] ^= 0xFF
        target.write_bytes(data)
    else:
        names = {"added": "holiday.wav.gz", "added folder": "new/notes.txt"}
        stray = target.parent / names.get(hurt, "caf\udce9.wav.gz")
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"not ours")
        key, kind = stray.relative_to(tmp_path / "media").as_posix().replace("\udce9", "\\udce9"), "added"
    watch.tick()
    for check in (INTACT,) if kind == "added" else (INTACT, COMPLETE):
        evaluation = latest(watch, check)
        assert not evaluation.passed
        assert str(DAY) in evaluation.description
        assert key in evaluation.description
    if kind == "added":
        assert latest(watch, COMPLETE).passed, "a day that has more than it needs is complete"
    assert audited(tmp_path) == {(f"object_{kind}", key)}
    (message,) = receiver.messages
    assert message["text"].startswith(f"{DAY}: 1 {kind} under audio/ outside a run: {kind} {key}.")
    watch.tick()
    assert len(receiver.messages) == 1
    assert not watch.last.asset_events


def test_running_the_day_again_fetches_what_is_missing_and_turns_the_checks_green(watch, objects, receiver, org):
    objects[0].unlink()
    objects[1].write_bytes(b"x")
    watch.tick()
    assert not latest(watch, INTACT).passed
    org.forget_stats()
    assert watch.run_day(day=DAY)
    requested = {i for i, counts in org.stats()["recordings"].items() if counts["file"]}
    assert requested == {path.name.partition(".")[0] for path in objects[:2]}
    watch.tick()
    assert latest(watch, INTACT).passed
    assert latest(watch, COMPLETE).passed
    objects[0].unlink()
    watch.tick()
    assert len(receiver.messages) == 2, "the same again, after it was mended, is news"


def test_the_check_stays_red_while_another_day_is_red(watch, objects, tmp_path):
    other = next((tmp_path / "media" / f"audio/date={BEFORE}").glob("*.gz"))
    other.unlink()
    watch.tick()
    assert watch.run_day(day=DAY)  # its own step finds its own day intact
    assert latest(watch, INTACT).passed
    watch.tick()
    assert not latest(watch, INTACT).passed
    assert str(BEFORE) in latest(watch, INTACT).description


def test_a_file_rewritten_with_the_same_bytes_is_no_drift(watch, objects):
    objects[0].write_bytes(objects[0].read_bytes())
    later = time.time() + 60
    os.utime(objects[1], (later, later))
    watch.tick()
    assert watch.said.endswith(f"{DAY}: as the tables say")


def test_a_day_a_run_is_working_on_is_left_for_later(watch, objects, instance):
    objects[0].unlink()
    run = instance.create_run_for_job(
        watch.job, tags={"dagster/partition": str(DAY)}, status=dg.DagsterRunStatus.STARTED
    )
    watch.tick()
    assert f"{DAY}: a run is at work" in watch.said
    instance.report_run_failed(run)
    watch.tick()
    assert f"{DAY}: 1 removed" in watch.said


def test_days_take_turns_and_all_are_looked_at(watch, tmp_path):
    tables = tmp_path / "media/tables/recording_audio"
    for n in range(2, 14):
        (tables / f"date={DAY - dt.timedelta(days=n)}").symlink_to(tables / f"date={DAY}")
    seen: list[str] = []
    for _ in range(4):
        watch.tick()
        days = [part.partition(":")[0] for part in watch.said.split("; ")]
        fresh = [day for day in days if day not in seen]
        seen += fresh
    assert len(set(seen)) == 14
    assert DAYS_PER_TICK == 5


@pytest.mark.parametrize(("status", "reason"), [("failed", "server_error"), ("unavailable", "no_file")])
def test_objects_of_recordings_that_are_not_stored_are_not_called_added(watch, status, reason):
    """A failed re-export leaves the earlier object, and a run that was killed may have published one."""
    tables = watch.daemon.definitions.resources["media"].tables
    outcome = {"status": status, "reason": reason, "object_key": None, "stored_size_bytes": None}
    rows = list(tables.rows("recording_audio", DAY))
    tables.write("recording_audio", DAY, [row | (outcome if row["object_key"] else {}) for row in rows])
    drift = find_drift(tables, DAY)
    assert not drift
    assert len(drift.disowned) == (status == "unavailable") * sum(row["status"] == "stored" for row in rows)
