"""The sensors under Dagster's real daemon: a day heals by itself; one that cannot is given up in one message."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq

from media_pipeline.sensors.days import ATTEMPT_TAG
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.completeness import judge_day
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.dagster_dev import YESTERDAY, DagsterDev, dagster_dev, until
from media_pipeline_tests.receiver import receiving

TRANSCODE_SECONDS = 30
LATENCY_MS = 150
"""So that there is time to kill a run in the middle of its day."""
HEALED_SECONDS = 200.0
QUIET_SECONDS = 70.0
"""Two ticks of the sensor and a run."""
KILLED = YESTERDAY - timedelta(days=1)
"""Due at any hour: yesterday, on which the org has nothing, is from 03:00 UTC on."""
BEFORE = KILLED - timedelta(days=1)
_RUNS = """
query Runs($tag: ExecutionTag!) {
  runsOrError(filter: {tags: [$tag]}) { ... on Runs { results { runId status tags { key value } } } }
}"""
_EVENTS = """
query Events($id: ID!) {
  runOrError(runId: $id) { ... on Run { eventConnection { events { ... on MessageEvent { message } } } } }
}"""


def test_a_killed_day_heals_by_itself_and_a_hopeless_one_is_given_up_in_one_message(tmp_path: Path) -> None:
    with (
        receiving() as receiver,
        dagster_dev(
            tmp_path,
            per_day=30,
            days=2,
            last_day=KILLED,
            transcode_seconds=TRANSCODE_SECONDS,
            latency_ms=LATENCY_MS,
            variables={"MEDIA_WEBHOOKS": receiver.url},
        ) as dev,
    ):
        forbid_one_recording_of(BEFORE, dev)
        killed = dev.launch_day(KILLED)
        kill_in_mid_day(dev, killed)
        for sensor in ("incomplete_days", "run_failures"):
            dev.start_sensor(sensor)
        dev.start_sensor("marts_after_complete_day", "reports")
        tables = Tables(LocalStore(tmp_path / "media"))

        def moved_on(found: Any) -> Any:
            make_next_attempts_due(dev)
            return found or None

        until(lambda: moved_on(judge_day(tables, KILLED).complete), HEALED_SECONDS, lambda: f"not healed: {runs(dev)}")
        until(lambda: moved_on(receiver.messages), HEALED_SECONDS, lambda: f"nobody was told: {runs(dev, BEFORE)}")
        until(lambda: _all_over(dev) or None, QUIET_SECONDS, lambda: f"still under way: {runs(dev)}")
        mart = tmp_path / f"media/marts/availability_daily/date={KILLED}/part-0.parquet"
        until(lambda: mart.exists() or None, HEALED_SECONDS, lambda: "the marts were not built")

        healing = runs(dev)
        assert healing[0]["id"] == killed
        assert [run["status"] for run in healing][-1] == "SUCCESS"
        assert {run["status"] for run in healing[:-1]} == {"FAILURE"}
        hopeless = runs(dev, BEFORE)
        assert [run["status"] for run in hopeless] == ["FAILURE"] * 3
        assert [run["key"] for run in hopeless] == [f"{BEFORE}:{n}" for n in (1, 2, 3)]
        (message,) = receiver.messages
        assert message["date"] == str(BEFORE)
        assert message["given_up"]
        assert message["recordings"] == {"failed (forbidden)": 1}
        assert message["run_id"] == hopeless[-1]["id"]
        log = (tmp_path / "dagster.log").read_text()
        assert log.count(message["text"]) == 1
        assert receiver.url not in log
        assert _settled(mart)
        red = mart.parents[1] / f"date={BEFORE}/part-0.parquet"
        assert not red.exists() or not _settled(red)


def make_next_attempts_due(dev: DagsterDev) -> None:
    """Move the ends of failed attempts into the past; hours are too long for a test."""
    update = """
        UPDATE runs SET end_time = 1 WHERE status = 'FAILURE' AND end_time > 1
        AND run_id IN (SELECT run_id FROM run_tags WHERE key = ?)
    """
    with closing(sqlite3.connect(dev.folder / "dagster_home/history/runs.db")) as runs_db, runs_db:
        runs_db.execute(update, [ATTEMPT_TAG])


def _settled(mart: Path) -> bool:
    return pq.ParquetFile(mart).read(["is_settled"]).to_pylist() == [{"is_settled": True}]


def forbid_one_recording_of(day: Any, dev: DagsterDev) -> None:
    truth = httpx.get(f"{dev.sandbox_url}/_sandbox/truth", params={"date": str(day)}).json()
    same_day = (record for record in truth if record["platform"]["date"] == str(day))
    (target, *_) = (record["id"] for record in same_day if record["kind"] == "ordinary")
    rules = {"rules": [{"fault": "forbidden", "on": "file", "ids": [target]}]}
    httpx.put(f"{dev.sandbox_url}/_sandbox/rules", json=rules).raise_for_status()


def kill_in_mid_day(dev: DagsterDev, run_id: str) -> None:
    """kill -9 of the run's own process, once it has published something and before it is done."""
    objects = dev.folder / f"media/audio/date={KILLED}"
    until(lambda: next(objects.glob("*.gz"), None), 60, lambda: "the run published nothing")
    messages = [event.get("message", "") for event in _run(dev, run_id)["eventConnection"]["events"]]
    pid = next(found[1] for message in messages if (found := re.search(r"\(pid: (\d+)\)", message)))
    os.kill(int(pid), signal.SIGKILL)
    assert not (dev.folder / f"media/tables/recording_audio/date={KILLED}").exists(), "the run was too fast"


def runs(dev: DagsterDev, day: Any = KILLED) -> list[dict[str, Any]]:
    """The day's runs, oldest first."""
    results = dev.graphql(_RUNS, {"tag": {"key": "dagster/partition", "value": str(day)}})["runsOrError"]["results"]
    found = []
    for run in reversed(results):
        tags = {entry["key"]: entry["value"] for entry in run["tags"]}
        found.append({"id": run["runId"], "status": run["status"], "key": tags.get("dagster/run_key")})
    return found


def _run(dev: DagsterDev, run_id: str) -> dict[str, Any]:
    run: dict[str, Any] = dev.graphql(_EVENTS, {"id": run_id})["runOrError"]
    return run


def _all_over(dev: DagsterDev) -> bool:
    return all(run["status"] in ("SUCCESS", "FAILURE") for day in (KILLED, BEFORE) for run in runs(dev, day))
