"""A root with twelve days, one of them written before a column came, marts of both kinds, and an audit log."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from media_pipeline.sql.asking import Asker, asker
from media_pipeline.sql.views import Views
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables

PROGRAM = str(Path(sys.executable).with_name("media-pipeline"))
DAYS = [dt.date(2026, 11, day) for day in range(1, 13)]
EARLY = DAYS[0]
"""Its quota was written without the column `basis`."""


@dataclasses.dataclass(frozen=True)
class Archive:
    """A MEDIA_ROOT and ways to ask it."""

    path: Path

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.path)

    @contextmanager
    def asked(self, question: str) -> Iterator[Asker]:
        with asker(self.store, Views(self.store), question) as asking:
            yield asking

    def answer(self, question: str) -> list[tuple[Any, ...]]:
        with self.asked(question) as asking, asking.ask(question) as reader:
            table = reader.read_all()
            return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def plan(self, question: str) -> str:
        with self.asked(question) as asking:
            return asking.plan(question)

    def torn_mart(self) -> str:
        """The key of a mart's only file, which is of one byte."""
        key = "marts/foreign/x.parquet"
        self.store.put(key, b"x")
        return key

    def file(self, table: str, day: dt.date) -> Path:
        return self.path / f"tables/{table}/date={day}/part-0.parquet"

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.path.rglob("*") if path.is_file()}

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[Any]:
        """The command as a person runs it."""
        return subprocess.run([PROGRAM, "sql", *arguments], **self.options() | options)

    def options(self) -> dict[str, Any]:
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.path.parent), "MEDIA_ROOT": str(self.path)}
        return {"capture_output": True, "text": True, "timeout": 120, "cwd": self.path.parent, "env": variables}


def quota(used: float) -> dict[str, Any]:
    return {"used_mb": used, "limit_mb": None, "available_mb": None, "basis": "usage"}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    found = Archive(tmp_path / "it's [a] root*")
    tables = Tables(found.store)
    for number, day in enumerate(DAYS):
        tables.write("storage_quota", day, [quota(float(number))])
    early = pq.read_table(found.file("storage_quota", EARLY)).drop_columns(["basis"])
    pq.write_table(early, found.file("storage_quota", EARLY))
    run = {"run_id": "r", "step": "recording_audio"}
    for part in ("run-1", "run-2"):
        tables.write("export_runs", DAYS[0], [run | {"recording_id": part, "attempts": 1}], part=part)
    for day in DAYS[:3]:
        _mart(found, f"daily_mart/date={day}", {"date": [day], "files": [day.day]})
    _mart(found, "daily_mart", {"date": [DAYS[0]], "files": [999]})  # of an older version
    _mart(found, "whole_mart", {"date": DAYS, "files": [day.day for day in DAYS]})
    log = found.path / f"audit/date={DAYS[0]}/run.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(
        '{"timestamp": "2026-11-02T00:00:01.500Z", "event": "recording_settled", "run_id": "r", "recording_id": "x", '
        '"status": "stored"}\n{"timestamp": "2026-11-02T00:00'
    )
    return found


def _mart(archive: Archive, folder: str, columns: dict[str, list[Any]]) -> None:
    file = archive.path / "marts" / folder / "part-0.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)
