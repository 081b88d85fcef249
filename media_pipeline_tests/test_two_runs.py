"""Two runs of the same day at once: the second refuses, or waits and then finds everything done."""

import json
import signal
import subprocess
import sys
import time

import pytest

from media_pipeline.storage import lease
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.paths import lease_key
from media_pipeline_tests.harness import DAY, assert_is_truth, variables_for

SLOW_MS = 400
"""So that a day takes some ten seconds."""


@pytest.fixture
def first_run(org, tmp_path):
    """A real process in the middle of the day."""
    org.forget_stats()
    org.sandbox.state.settings.latency_ms = SLOW_MS
    command = [sys.executable, "-m", "media_pipeline.cli", "export", "--date", str(DAY)]
    with subprocess.Popen(
        command,
        env=variables_for(org.url, tmp_path),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "media").glob("audio/*/*.gz")) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield process
        process.wait(60)


def test_the_second_run_refuses_and_disturbs_nothing(org, export, first_run, monkeypatch):
    monkeypatch.setattr(lease, "WAIT_SECONDS", 0.2)
    second = export(org)
    assert not second.result.success
    assert f"{DAY} is being worked on by the run " in second.failure
    assert "wait for it, or cancel it, then run again" in second.failure
    first_run.wait(60)
    org.sandbox.state.settings.latency_ms = 0
    org.forget_stats()
    third = export(org)
    assert_is_truth(third, org.truth())
    assert org.media_requests() <= 2, "only what is still being prepared is asked for again"


def test_the_second_run_waits_for_the_first_and_fetches_nothing_twice(org, export, first_run, tmp_path):
    second = export(org)
    first_run.wait(60)
    assert_is_truth(second, org.truth())
    events = [
        json.loads(line)
        for path in (tmp_path / "media").glob("audit/*/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    ours = [event["timestamp"] for event in events if event["run_id"] == second.result.run_id]
    theirs = [event["timestamp"] for event in events if event["run_id"] != second.result.run_id]
    assert max(theirs) <= min(ours), "the second run worked beside the first"
    sizes = {i: record["size"] or 0 for i, record in org.truth().items()}
    fetched = {i: counts["bytes"] for i, counts in org.stats()["recordings"].items()}
    assert all(count <= sizes[i] for i, count in fetched.items())


def test_a_run_whose_log_cannot_be_published_still_lets_go_of_its_day(org, export, tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "WAIT_SECONDS", 0.2)
    (tmp_path / "media").mkdir()
    in_the_way = tmp_path / "media" / "audit"
    in_the_way.touch()
    export(org)
    in_the_way.unlink()
    assert_is_truth(export(org), org.truth())


def test_a_run_that_wakes_after_another_took_its_day_over_changes_nothing(org, export, first_run, tmp_path):
    store = LocalStore(tmp_path / "media")
    first_run.send_signal(signal.SIGSTOP)
    try:
        stopped = time.monotonic()
        org.sandbox.state.settings.latency_ms = 0
        present = store.get_small(lease_key(DAY))
        store.put_if(lease_key(DAY), lease.Holder().encode(), present.tag)  # as if its 90 s were over
        assert_is_truth(export(org), org.truth())
        before = contents(store)
        time.sleep(max(0.0, lease.STALE_SECONDS + 1 - (time.monotonic() - stopped)))
        org.forget_stats()
    finally:
        first_run.send_signal(signal.SIGCONT)
    assert first_run.wait(60) != 0
    assert contents(store) == before
    assert not store.sizes("ledger/")
    assert org.media_requests() <= 8, "what was under way when it was stopped"


def contents(store):
    """All that the runs of a day share: not each run's own log and costs."""
    folders = ("audio", "leases", "reports", "tables")
    paths = [path for folder in folders for path in (store.root / folder).rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths if "export_runs" not in path.parts}
