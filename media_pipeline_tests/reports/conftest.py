"""Roots as a real org fills them, and dbt by hand over them; each is built once for all tests that look at it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from media_pipeline.genesys.pacing import CallStats
from media_pipeline.reports.manifest import dbt_executable
from media_pipeline.reports.places import PROJECT
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.runs import Costs, record_step
from media_pipeline_tests.harness import DAY, Export, Org

EMPTY_DAY = DAY - dt.timedelta(days=10)
"""Before the org's first day: complete without recordings."""
DAYS = [DAY, DAY - dt.timedelta(days=1), DAY - dt.timedelta(days=2), EMPTY_DAY]
MARTS = [
    "availability_daily",
    "storage_utilization_daily",
    "recording_facts",
    "speaker_talk_time",
    "export_throughput_daily",
    "failure_ageing",
    "freshness_daily",
]
_FOREIGN = ("GENESYS_", "MEDIA_", "DAGSTER_", "AWS_", "DBT_")


@dataclasses.dataclass(frozen=True)
class Root:
    """A MEDIA_ROOT with a folder of its own."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "media"

    @property
    def database(self) -> Path:
        return self.path / "marts/media.duckdb"

    def parts(self, *marts: str) -> list[Path]:
        """The Parquet files of the marts, by mart and day."""
        return [path for mart in marts for path in sorted(self.path.glob(f"marts/{mart}/*/*.parquet"))]

    def table(self, name: str) -> Any:
        """All days of a table, as pandas reads them."""
        import pandas as pd

        frames = [
            pd.read_parquet(file).assign(date=dt.date.fromisoformat(file.parent.name.removeprefix("date=")))
            for file in sorted(self.path.glob(f"tables/{name}/*/*.parquet"))
        ]
        return pd.concat(frames, ignore_index=True)

    def mart(self, name: str) -> Any:
        """A mart's Parquet files as pandas reads them, one after the other, with their day first."""
        import pandas as pd

        return pd.concat([day_of_mart(path) for path in self.parts(name)], ignore_index=True)

    def query(self, sql: str) -> Any:
        """What the DuckDB file answers."""
        import duckdb

        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.sql(sql).to_arrow_table().to_pandas()  # df() warns under pandas 3

    def copy(self, folder: Path) -> Root:
        """Its tables in another folder, without marts."""
        shutil.copytree(self.path / "tables", folder / "media/tables")
        return Root(folder)


def day_of_mart(path: Path, file: Any = None) -> Any:
    """One Parquet file of a mart, with its day from the path first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file or path).read()
    day = dt.date.fromisoformat(path.parent.name.removeprefix("date="))
    return table.add_column(0, "date", pa.array([day] * len(table), pa.date32())).to_pandas()


def dbt(
    root: Path | str, folder: Path, *arguments: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """dbt by hand, with nothing of this process's variables but those of the system."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    cwd = cwd or folder
    where = [] if cwd == PROJECT else ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    return subprocess.run(
        [str(dbt_executable()), "--no-use-colors", *(arguments or ("build",)), *where],
        cwd=cwd,
        env=ours | {"PWD": str(cwd), "MEDIA_ROOT": str(root), "MEDIA_SPOOL": str(folder / "spool")} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


def built(root: Root, *, arguments: tuple[str, ...] = ()) -> Root:
    """The root after a dbt build that passed."""
    done = dbt(root.path, root.folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN=0 ERROR=0 SKIP=0" in done.stdout
    return root


@pytest.fixture(scope="session")
def three_days() -> Iterator[Org]:
    for name in list(os.environ):  # as the autouse fixture does for a single test
        if name.startswith(_FOREIGN):
            del os.environ[name]
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    with running(SandboxOptions(port=0, bodies="tiny", per_day=40, days=3, end=DAY)) as sandbox:
        yield Org(sandbox)


@pytest.fixture(scope="session")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="session")
def days(three_days: Org, new_folder: Callable[[], Path]) -> Root:
    """Three days and one without recordings, built; the newest was exported twice, at first without one recording."""
    folder = new_folder()
    three_days.break_with({"fault": "forbidden", "on": "media", "ids": three_days.ordinary(1), "times": 0})
    assert not Export.run(three_days, folder).check_passed
    three_days.break_with()
    for day in DAYS:
        Export.run(three_days, folder, day=day)
    sweep(folder)
    return built(Root(folder))


def sweep(folder: Path) -> None:
    """What another job did on an exported day and on the one after the last: nothing that the marts may count."""
    stats = CallStats()
    for _ in range(100):
        stats.called("quota", 429, 0.1)
    tables = Tables(LocalStore(folder / "media"))
    for day in (DAY, DAY + dt.timedelta(days=1)):
        record_step(tables, day, "a-sweep", "retention_sweep", Costs(), stats)


@pytest.fixture(scope="session")
def red_day(three_days: Org, new_folder: Callable[[], Path]) -> Root:
    """One day, in which every download failed, built."""
    folder = new_folder()
    three_days.break_with({"fault": "forbidden", "on": "media", "times": 0})
    assert not Export.run(three_days, folder).check_passed
    three_days.break_with()
    return built(Root(folder))


@pytest.fixture(scope="session")
def empty_day(three_days: Org, new_folder: Callable[[], Path]) -> Root:
    """One day without recordings, not built."""
    folder = new_folder()
    assert Export.run(three_days, folder, day=EMPTY_DAY).check_passed
    return Root(folder)
