"""Days of the platform dialect in a sandbox of their own, with one fault each."""

import copy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from media_pipeline.build import build_definitions
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running
from media_pipeline_tests.harness import DAY, NO_RETRY, Export, Org, resources_for, settings_for


@pytest.fixture(scope="module")
def _sandbox() -> Iterator[RunningSandbox]:
    with running(SandboxOptions(port=0, bodies="tiny", per_day=60, days=3, end=DAY)) as sandbox:
        yield sandbox


@pytest.fixture
def org(_sandbox: RunningSandbox) -> Iterator[Org]:
    """60 recordings a day; settings, permissions and clock are as they were afterwards."""
    state = _sandbox.state
    settings, permissions = copy.copy(state.settings), state.permissions
    _sandbox.break_with()
    org = Org(_sandbox)
    org.forget_stats()
    yield org
    _sandbox.break_with()
    state.settings, state.permissions, state.clock.offset_seconds = settings, permissions, 0.0


@pytest.fixture
def export(tmp_path: Path):
    return lambda org, **options: Export.run(org, tmp_path, **{"dialect": "platform"} | options)


def outcomes(done: Export) -> Counter:
    return Counter((row["status"], row["reason"]) for row in done.rows("recording_audio"))


def calls(org: Org) -> dict[str, int]:
    return {name: sum(counts.values()) for name, counts in org.stats()["requests"].items()}


def plain(org: Org, count: int | None) -> list[str]:
    """Ordinary calls, each alone in its conversation and of one file."""
    truth = org.truth()
    owners = Counter(record["conversation_id"] for record in truth.values())
    chosen = []
    for i in org.ordinary(len(truth)):
        found = org.sandbox.state.listing.find(i)
        if truth[i]["conversation_id"] and owners[truth[i]["conversation_id"]] == 1 and found.slot not in (22, 24):
            first = org.sandbox.state.conversations.of_recording(found)
            if first.start.date() == DAY and len(first.recordings) == 1:
                chosen.append(i)
    assert len(chosen) >= (count or 1)
    return chosen[:count]


def good_day() -> Counter:
    """What a day without faults comes to: its first conversation began the day before, one recording has two files."""
    return Counter(
        {
            ("stored", None): 50,
            ("unsupported", "codec"): 6,
            ("unavailable", "archived"): 1,
            ("unavailable", "deleted"): 1,
            ("pending", "not_ready"): 1,
            ("empty", "zero_bytes"): 1,
        }
    )


def metadata(done: Export, asset: str) -> dict[str, object]:
    for event in done.result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey(asset):
            found = event.step_materialization_data.materialization.metadata
            return {name: value.value for name, value in found.items()}
    raise AssertionError(f"{asset} was not materialized")


def export_folder(export) -> Path:
    return Path(export.__closure__[0].cell_contents)


def materialize(org: Org, folder: Path, assets: list[str], **changes) -> dg.ExecuteInProcessResult:
    """These assets alone in a run, and so in a session, of their own."""
    settings = settings_for(org.url, folder, dialect="platform", **changes)
    definitions = build_definitions(settings, resources=resources_for(settings), retry=NO_RETRY)
    return definitions.resolve_job_def("daily_export").execute_in_process(
        partition_key=str(DAY),
        asset_selection=[dg.AssetKey(asset) for asset in assets],
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
