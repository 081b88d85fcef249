"""The audit log is published while the run goes on, and what a killed run left in the spool is not lost."""

import datetime as dt
import fcntl
import json
import os
import time

import pytest

from media_pipeline.audit import log as log_module
from media_pipeline.audit.log import AuditLog, correlation_id, spool_folder
from media_pipeline.storage.base import StorageError
from media_pipeline.storage.local import LocalStore

DAY = dt.date(2026, 11, 20)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "media")


def published(store, run_id="run"):
    file = store.open(f"audit/date={DAY}/{run_id}.jsonl")
    if file is None:
        return []
    with file:
        return [json.loads(line) for line in file]


def make_old(path):
    two_hours_ago = time.time() - 7200
    os.utime(path, (two_hours_ago, two_hours_ago))


def spooled(tmp_path):
    return list((tmp_path / "spool").rglob("*.jsonl"))


def test_events_carry_time_run_and_a_correlation_id_per_recording(store, tmp_path):
    log = AuditLog(store, tmp_path / "spool", DAY, "run")
    log.emit("recording_settled", "a", bytes=5, reason=None)
    log.emit("transcript_settled", "a")
    log.emit("recording_settled", "b")
    log.emit("metadata_parsed", interaction_id="a")
    log.emit("step_started", step="x")
    log.close()
    first, second, third, interaction, step = published(store)
    assert dt.datetime.fromisoformat(first["timestamp"]).utcoffset() == dt.timedelta(0)
    assert (first["event"], first["run_id"], first["date"], first["bytes"]) == ("recording_settled", "run", str(DAY), 5)
    assert "reason" not in first
    assert first["correlation_id"] == second["correlation_id"] != third["correlation_id"]
    assert interaction["correlation_id"] == correlation_id("run", "a")
    assert step["correlation_id"] == correlation_id("run", str(DAY))


def test_a_file_name_that_is_no_utf8_is_logged(store, tmp_path):
    log = AuditLog(store, tmp_path / "spool", DAY, "run")
    log.emit("object_added", key="audio/caf\udce9.wav.gz")
    log.close()
    (event,) = published(store)
    assert event["key"] == "audio/caf&#56553;.wav.gz"


def test_it_is_published_while_the_run_goes_on(store, tmp_path, monkeypatch):
    assert log_module.PUBLISH_SECONDS <= 30
    monkeypatch.setattr(log_module, "PUBLISH_SECONDS", 0.1)
    log = AuditLog(store, tmp_path / "spool", DAY, "run")
    log.emit("step_started")
    deadline = time.monotonic() + 5
    while not published(store) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [event["event"] for event in published(store)] == ["step_started"]
    log.close()


class Refusing(LocalStore):
    """A store that cannot be written while it is down."""

    down = True

    def writer(self, key):
        if self.down:
            raise StorageError("down")
        return super().writer(key)


def test_lines_that_could_not_be_published_are_published_later(tmp_path, monkeypatch):
    monkeypatch.setattr(log_module, "PUBLISH_SECONDS", 0.05)
    store = Refusing(tmp_path / "media")
    log = AuditLog(store, tmp_path / "spool", DAY, "run")
    log.emit("play_begun")
    time.sleep(0.3)
    store.down = False
    log.close()
    assert [event["event"] for event in published(store)] == ["play_begun"]


def test_what_cannot_be_published_at_the_end_stays_in_the_spool(tmp_path, monkeypatch):
    monkeypatch.setattr(log_module, "PUBLISH_SECONDS", 0.05)
    store = Refusing(tmp_path / "media")
    log = AuditLog(store, tmp_path / "spool", DAY, "run")
    log.emit("play_begun")
    time.sleep(0.3)
    with pytest.raises(StorageError, match="down"):
        log.close()
    (left,) = spooled(tmp_path)
    assert "play_begun" in left.read_text()


def test_a_later_step_of_the_same_run_appends(store, tmp_path):
    for event in ("one", "two"):
        log = AuditLog(store, tmp_path / "spool", DAY, "run")
        log.emit(event)
        log.close()
    assert [event["event"] for event in published(store)] == ["one", "two"]


@pytest.mark.parametrize("of_earlier_version", [False, True])
def test_what_a_killed_run_left_is_published_by_a_later_one(store, tmp_path, of_earlier_version):
    folder = tmp_path / "spool/audit" if of_earlier_version else spool_folder(tmp_path / "spool", store.url)
    orphan = folder / f"date={DAY}/killed.jsonl"
    orphan.parent.mkdir(parents=True)
    orphan.write_text('{"event": "recording_settled"}\n')
    make_old(orphan)
    AuditLog(store, tmp_path / "spool", DAY, "run").close()
    assert published(store, "killed") == [{"event": "recording_settled"}]
    assert not orphan.exists()


def test_what_a_killed_run_left_is_published_in_its_own_archive_only(store, tmp_path):
    orphan = spool_folder(tmp_path / "spool", store.url) / f"date={DAY}/killed.jsonl"
    orphan.parent.mkdir(parents=True)
    orphan.write_text('{"event": "recording_settled"}\n')
    make_old(orphan)
    other = LocalStore(tmp_path / "other")
    AuditLog(other, tmp_path / "spool", DAY, "run").close()
    assert published(other, "killed") == []
    AuditLog(store, tmp_path / "spool", DAY, "run").close()
    assert published(store, "killed") == [{"event": "recording_settled"}]


def test_two_archives_may_have_a_run_of_one_name(store, tmp_path):
    logs = [AuditLog(each, tmp_path / "spool", DAY, "run") for each in (store, LocalStore(tmp_path / "other"))]
    for number, log in enumerate(logs):
        log.emit(f"event_{number}")
    for log in logs:
        log.close()
    assert [event["event"] for event in published(store)] == ["event_0"]


def test_an_open_log_is_left_alone_however_long_nothing_is_written(store, tmp_path):
    log = AuditLog(store, tmp_path / "spool", DAY, "quiet")
    log.emit("play_begun")
    (path,) = spooled(tmp_path)
    make_old(path)
    AuditLog(store, tmp_path / "spool", DAY, "other").close()
    assert path.exists()
    log.emit("play_ended")
    log.close()
    assert [event["event"] for event in published(store, "quiet")] == ["play_begun", "play_ended"]
    assert spooled(tmp_path) == []


def test_a_log_that_another_process_has_open_is_left_alone(store, tmp_path):
    path = spool_folder(tmp_path / "spool", store.url) / f"date={DAY}/elsewhere.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"event": "play_begun"}\n')
    make_old(path)
    with path.open("ab") as elsewhere:
        fcntl.flock(elsewhere, fcntl.LOCK_SH)
        AuditLog(store, tmp_path / "spool", DAY, "run").close()
        assert path.exists()
        assert published(store, "elsewhere") == []
    AuditLog(store, tmp_path / "spool", DAY, "run").close()
    assert published(store, "elsewhere") == [{"event": "play_begun"}]


def test_a_log_whose_spooled_file_was_removed_is_published_all_the_same(store, tmp_path, monkeypatch):
    monkeypatch.setattr(log_module, "PUBLISH_SECONDS", 0.05)
    log = AuditLog(store, tmp_path / "spool", DAY, "run")
    log.emit("one")
    (path,) = spooled(tmp_path)
    path.unlink()
    path.parent.rmdir()
    log.emit("two")
    time.sleep(0.3)
    log.emit("three")
    log.close()
    assert [event["event"] for event in published(store)] == ["one", "two", "three"]


def test_two_processes_of_one_run_lose_nothing(store, tmp_path):
    first, second = (AuditLog(store, tmp_path / "spool", DAY, "run") for _ in range(2))
    first.emit("one")
    second.emit("two")
    first.close()
    second.emit("three")
    second.close()
    assert [event["event"] for event in published(store)] == ["one", "two", "three"]
    assert spooled(tmp_path) == []


def test_an_open_log_shows_that_it_lives(store, tmp_path, monkeypatch):
    monkeypatch.setattr(log_module, "PUBLISH_SECONDS", 0.05)
    log = AuditLog(store, tmp_path / "spool", DAY, "run")
    (path,) = spooled(tmp_path)
    make_old(path)
    time.sleep(0.3)
    assert time.time() - path.stat().st_mtime < 60
    log.close()


def test_an_empty_leftover_does_not_replace_what_was_published(store, tmp_path):
    log = AuditLog(store, tmp_path / "spool", DAY, "killed")
    log.emit("one")
    log.close()
    orphan = spool_folder(tmp_path / "spool", store.url) / f"date={DAY}/killed.jsonl"
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.touch()
    make_old(orphan)
    AuditLog(store, tmp_path / "spool", DAY, "run").close()
    assert [event["event"] for event in published(store, "killed")] == ["one"]
    assert not orphan.exists()


def test_the_spool_is_private(store, tmp_path):
    AuditLog(store, tmp_path / "spool", DAY, "run").close()
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
