"""The sensor under Dagster's real daemon: a day that is not complete yet is run again, by itself, until it is."""

from __future__ import annotations

from pathlib import Path

from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.completeness import judge_day
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.dagster_dev import YESTERDAY, DagsterDev, dagster_dev, until

TRANSCODE_SECONDS = 40
HEALED_SECONDS = 150.0
_RUNS = """
query Runs($tag: ExecutionTag!) {
  runsOrError(filter: {tags: [$tag]}) { ... on Runs { results { runId status jobName tags { key value } } } }
}"""


def test_a_day_is_run_again_by_the_daemon_until_it_is_complete(tmp_path: Path) -> None:
    with dagster_dev(tmp_path, per_day=30, days=1, transcode_seconds=TRANSCODE_SECONDS) as dev:
        dev.start_sensor("incomplete_days")
        tables = Tables(LocalStore(tmp_path / "media"))
        until(lambda: judge_day(tables, YESTERDAY).complete or None, HEALED_SECONDS, lambda: f"not healed: {runs(dev)}")
        until(lambda: _all_over(dev) or None, 30, lambda: f"runs still under way: {runs(dev)}")
        found = runs(dev)
        assert [run["status"] for run in found][-1] == "SUCCESS"
        assert {run["status"] for run in found[:-1]} <= {"FAILURE"}
        assert len(found) >= 2, "the first attempt came too early for the file being prepared"
        assert [run["attempt"] for run in found] == [str(n + 1) for n in range(len(found))]
        assert {run["key"] for run in found} == {f"{YESTERDAY}:{n + 1}" for n in range(len(found))}


def runs(dev: DagsterDev) -> list[dict[str, str]]:
    """The day's runs, oldest first."""
    tag = {"key": "dagster/partition", "value": str(YESTERDAY)}
    results = dev.graphql(_RUNS, {"tag": tag})["runsOrError"]["results"]
    found = []
    for run in reversed(results):
        tags = {entry["key"]: entry["value"] for entry in run["tags"]}
        found.append(
            {"status": run["status"], "attempt": tags["media_pipeline/attempt"], "key": tags["dagster/run_key"]}
        )
    return found


def _all_over(dev: DagsterDev) -> bool:
    return all(run["status"] in ("SUCCESS", "FAILURE") for run in runs(dev))
