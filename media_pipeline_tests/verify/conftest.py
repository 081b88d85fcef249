"""Two exported days, to be damaged, and what `verify` finds of them."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from media_pipeline.tables.verification import Verification, verify_days
from media_pipeline_tests.harness import DAY, Export, Org, settings_for

PROGRAM = str(Path(sys.executable).with_name("media-pipeline"))
BEFORE = DAY.fromordinal(DAY.toordinal() - 1)


def run(*arguments: str, root: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The program with nothing but MEDIA_ROOT and MEDIA_SPOOL: no credentials, no dialect."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MEDIA_ROOT": root,
        "MEDIA_SPOOL": str(folder / "spool"),
        "COLUMNS": "80",
    }
    return subprocess.run(
        [PROGRAM, *arguments], env=environment | variables, cwd=folder, capture_output=True, text=True, timeout=60
    )


def stored(done: Export) -> list[dict]:
    return [row for row in done.rows("recording_audio") if row["status"] == "stored"]


def path_of(done: Export, key: str) -> Path:
    return Path(done.settings.root) / key


def verified(done: Export, **options) -> Verification:
    return verify_days(done.tables, [done.day], **options)


def flip(path: Path, at: int | None = None) -> None:
    """Another byte under the old size and time."""
    facts, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 0xFF
    path.write_bytes(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.fixture(scope="session")
def exported(_tiny, tmp_path_factory) -> list[Export]:
    """Two days, exported once; tests damage copies."""
    folder = tmp_path_factory.mktemp("exported")
    _tiny.break_with()
    return [Export.run(Org(_tiny), folder, day=day) for day in (BEFORE, DAY)]


@pytest.fixture
def two_days(exported, tmp_path) -> list[Export]:
    settings = settings_for("", tmp_path)
    shutil.copytree(exported[0].settings.root, settings.root)
    return [dataclasses.replace(one, settings=settings) for one in exported]


@pytest.fixture
def done(two_days) -> Export:
    """One day only."""
    for folder in Path(two_days[0].settings.root).glob(f"**/date={BEFORE}"):
        shutil.rmtree(folder)
    return two_days[1]


def edit_table(done: Export, change, table: str = "recording_audio") -> None:
    rows = list(change(done.rows(table)))
    done.tables.write(table, done.day, rows)


def settings_store(root: str, folder: Path):
    from media_pipeline.storage.opening import open_store

    return open_store(root, folder / "spool", 2)
