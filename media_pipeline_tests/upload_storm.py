"""kill -9 of who fetches guests' files and tells their conversations: one object, one row and one context each.

Part of `event_storm`, which sends the files and brings their events.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

from media_pipeline.assets import guest_uploads
from media_pipeline.build import build_definitions
from media_pipeline.messaging.events import TABLE as EVENTS
from media_pipeline.messaging.pending import UPLOADS
from media_pipeline.sandbox.running import RunningSandbox
from media_pipeline.settings import Settings
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.harness import variables_for

START_SECONDS = 120.0
RUN_SECONDS = 1.5
"""Kills come within so long after the first request for a file or a context."""
CHUNK_FILES = 25
"""Of the processes that are killed: rows and contexts are written many times a run, so that kills strike there, too."""
LOOK_SECONDS = 0.02


class Fetching:
    """Runs of the job messaging against one org, killed or not."""

    def __init__(self, sandbox: RunningSandbox, folder: Path) -> None:
        self._sandbox, self._folder = sandbox, folder
        self.kills = 0

    def run_and_kill(self, chance: random.Random) -> bool:
        """One run, killed a random moment after it began to work; False when it ended before, or had nothing to do."""
        before = self._asked()
        run = self._started()
        deadline = time.monotonic() + START_SECONDS
        while self._asked() == before and run.poll() is None and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(chance.uniform(0, RUN_SECONDS))
            return False
        run.kill()
        run.wait()
        self.kills += 1
        print(f"{self.kills} kills of who fetches", flush=True)
        return True

    def let_run(self) -> None:
        """One run to its end."""
        assert self._started().wait(1_800) == 0, (self._folder / "fetch.txt").read_text()[-2_000:]

    def prove(self, file_ids: list[str]) -> str:
        """Every file is one row, one object with the right bytes, and told to its conversation; says so in a line."""
        tables = Tables(open_store(str(self._folder / "media"), self._folder / "spool", 4))
        rows = [row for day in _days(tables) for row in tables.rows(UPLOADS, day)]
        times = Counter(row["file_id"] for row in rows)
        assert times == Counter(file_ids), f"{(times - Counter(file_ids)).total()} rows too many, or too few"
        assert {(row["status"], row["context"]) for row in rows} == {("stored", "sent")}
        truth = {f["file_id"]: (c, f) for c in self._get("conversations") for m in c["messages"] for f in m["files"]}
        for row in rows:
            conversation, file = truth[row["file_id"]]
            found = tables.store.open(row["object_key"])
            assert found is not None, row["object_key"]
            with found:
                assert hashlib.sha256(found.read()).hexdigest() == file["sha256"] == row["sha256"]
            assert conversation["context"] == {
                "media_processed": True,
                "original_filename": row["file_name"],
                "content_type": row["detected_type"],
                "file_size": row["size_bytes"],
                "sha256_checksum": row["sha256"],
                "object_key": row["object_key"],
            }
        assert set(tables.store.sizes("uploads/")) == {row["object_key"] for row in rows}
        left = list((self._folder / "spool" / "uploads").glob("*"))
        assert left == []
        requests = self._requests()
        fetched, told = (sum(requests.get(operation, {}).values()) for operation in ("guest_file", "context"))
        again = f"{fetched - len(rows)} fetched and {told - len(rows)} told more than once"
        return f"{len(rows)} files, {self.kills} kills of who fetches: each one object, one row, one context ({again})."

    def _asked(self) -> int:
        requests = self._requests()
        return sum(sum(requests.get(operation, {}).values()) for operation in ("guest_file", "context"))

    def _requests(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = httpx.get(f"{self._sandbox.url}/_sandbox/stats", timeout=60).json()[
            "requests"
        ]
        return found

    def _get(self, path: str) -> Any:
        return httpx.get(f"{self._sandbox.url}/_sandbox/messaging/{path}", timeout=120).json()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "media_pipeline_tests.event_storm", "--fetch"]
        environment = variables_for(self._sandbox.url, self._folder) | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "MEDIA_ALLOW_WRITE_BACK": "1",
        }
        with (self._folder / "fetch.txt").open("wb") as log:
            return subprocess.Popen(command, env=environment, cwd=self._folder, stdout=log, stderr=log)


def fetch() -> int:
    """The killed process: the job for each day that has events, as the sensor would ask for it."""
    guest_uploads.CHUNK_FILES = CHUNK_FILES
    settings = Settings.load()
    tables = Tables(open_store(settings.root, settings.spool, 4))
    job = build_definitions(settings).resolve_job_def("messaging")
    with dg.DagsterInstance.ephemeral() as instance:
        results = [
            job.execute_in_process(partition_key=str(day), instance=instance, raise_on_error=False).success
            for day in _days(tables)
        ]
    return 0 if all(results) else 1


def _days(tables: Tables) -> list[dt.date]:
    keys = tables.store.sizes(f"tables/{EVENTS}/", ".parquet")
    return sorted({dt.date.fromisoformat(key.split("date=")[1].split("/")[0]) for key in keys})
