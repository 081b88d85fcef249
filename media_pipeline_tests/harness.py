"""What tests share: the org's truth, the export of a day, and the comparison of every row and byte with that truth."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import hashlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
from pydantic import SecretStr

from media_pipeline.build import build_definitions, default_resources
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.sandbox.running import RunningSandbox
from media_pipeline.settings import Settings
from media_pipeline.tables.completeness import Verdict, judge_day
from media_pipeline.tables.partition import Tables

DAY = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
"""The newest finished day, as for a real user."""
NO_RETRY = dg.RetryPolicy(max_retries=0)
FINAL_STATUS = {
    "processing": ("pending", "not_ready"),
    "empty": ("empty", "zero_bytes"),
    "no_file": ("unavailable", "no_file"),
    "missing": ("unavailable", "no_file"),
    **dict.fromkeys(("opus", "screen", "chat", "email", "message", "no_format"), ("unsupported", "codec")),
}
"""What CONTRACT's table says of the sandbox's special recordings; all others are stored."""

Truth = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Org:
    """A running sandbox and what it really holds."""

    sandbox: RunningSandbox

    @property
    def url(self) -> str:
        return self.sandbox.url

    def break_with(self, *rules: dict[str, object]) -> None:
        self.sandbox.break_with(*rules)

    def truth(self, day: dt.date = DAY) -> dict[str, Truth]:
        reply = httpx.get(f"{self.url}/_sandbox/truth", params={"date": str(day)}, timeout=60)
        return {record["id"]: record for record in reply.json()}

    def ordinary(self, count: int, day: dt.date = DAY) -> list[str]:
        """Ids of recordings that are stored unless a fault strikes."""
        ids = [i for i, record in self.truth(day).items() if expected_of(record)[0] == "stored"]
        return sorted(ids)[:count]

    def stats(self) -> dict[str, Any]:
        return httpx.get(f"{self.url}/_sandbox/stats", params={"recordings": "1"}).json()

    def forget_stats(self) -> None:
        httpx.post(f"{self.url}/_sandbox/stats/reset").raise_for_status()

    def media_requests(self) -> int:
        """Calls for links and bytes."""
        requests = self.stats()["requests"]
        return sum(sum(requests.get(operation, {}).values()) for operation in ("media", "link", "file"))


def expected_of(record: Truth) -> tuple[str, str | None]:
    return FINAL_STATUS.get(record["kind"], ("stored", None))


def settings_for(org_url: str, folder: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "client_id": "sandbox-client",
        "client_secret": SecretStr("sandbox-secret"),
        "base_url": org_url,
        "dialect": "guide",
        "requests_per_minute": 0,
        "root": str(folder / "media"),
        "spool": folder / "spool",
        "start_date": DAY - dt.timedelta(days=30),
    }
    return Settings(**values | changes)


def variables_for(org_url: str, folder: Path) -> dict[str, str]:
    """The contract's variables for a child process, and nothing of this process but PATH."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GENESYS_DIALECT": "guide",
        "GENESYS_BASE_URL": org_url,
        "GENESYS_CLIENT_ID": "sandbox-client",
        "GENESYS_CLIENT_SECRET": "sandbox-secret",
        "GENESYS_REQUESTS_PER_MINUTE": "0",
        "MEDIA_ROOT": str(folder / "media"),
        "MEDIA_SPOOL": str(folder / "spool"),
    }


def resources_for(settings: Settings, **patience: float) -> dict[str, object]:
    """The settings' resources, with short waits between retries."""
    resources = default_resources(settings)
    genesys = resources["genesys"]
    assert isinstance(genesys, GenesysResource)
    fields = {name: getattr(genesys, name) for name in type(genesys).model_fields}
    resources["genesys"] = GenesysResource(**fields | {"first_wait_seconds": 0.01} | patience)
    return resources


@dataclasses.dataclass
class Export:
    """One run of daily_export (or another job) for one day, and what it left behind."""

    settings: Settings
    day: dt.date
    result: dg.ExecuteInProcessResult

    @classmethod
    def run(
        cls,
        org: Org | str,
        folder: Path,
        *,
        day: dt.date = DAY,
        job: str = "daily_export",
        step: str = "recording_audio",
        config: dict[str, Any] | None = None,
        patience: dict[str, float] | None = None,
        instance: dg.DagsterInstance | None = None,
        retry: dg.RetryPolicy = NO_RETRY,
        callbacks: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Export:
        settings = settings_for(org if isinstance(org, str) else org.url, folder, **changes)
        resources = resources_for(settings, **(patience or {}))
        definitions = build_definitions(settings, resources=resources, callbacks=callbacks, retry=retry)
        result = definitions.resolve_job_def(job).execute_in_process(
            partition_key=str(day),
            instance=instance,
            raise_on_error=False,
            run_config={
                "ops": {step: {"config": config or {}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
        return cls(settings, day, result)

    @cached_property
    def tables(self) -> Tables:
        media = default_resources(self.settings)["media"]
        assert isinstance(media, MediaResource)
        return media.tables

    def bytes_of(self, key: str) -> bytes:
        """An object, wherever the root is."""
        file = self.tables.store.open(key)
        assert file is not None, key
        with file:
            return file.read()

    def rows(self, table: str) -> list[dict[str, Any]]:
        return list(self.tables.rows(table, self.day))

    @property
    def audio(self) -> dict[str, dict[str, Any]]:
        return {row["recording_id"]: row for row in self.rows("recording_audio")}

    @property
    def verdict(self) -> Verdict:
        return judge_day(self.tables, self.day)

    @property
    def check_passed(self) -> bool:
        checks = {check.check_name: check for check in self.result.get_asset_check_evaluations()}
        assert checks["archive_intact"].passed, checks["archive_intact"].description
        return checks["day_complete"].passed

    @property
    def objects(self) -> set[str]:
        return {key for key in self.tables.store.sizes(f"audio/date={self.day}/") if key.endswith(".gz")}

    @property
    def failure(self) -> str:
        """The sentence of the first failed step."""
        for event in self.result.all_events:
            if event.is_step_failure and event.step_failure_data.user_failure_data is not None:
                return str(event.step_failure_data.user_failure_data.description)
        raise AssertionError("no step failed with a sentence of its own")

    @property
    def all_text(self) -> str:
        """Everything a person or a log could show: events, tables, reports, audit, sidecars."""
        root = Path(self.settings.root)
        files = [p.read_text(errors="replace") for p in root.rglob("*") if p.suffix in (".json", ".jsonl")]
        tables = [str(self.rows(p.parent.parent.name)) for p in root.glob("tables/*/*/part-0.parquet")]
        events = [dg.serialize_value(event) for event in self.result.all_events]
        return "\n".join([*files, *tables, *events])


def assert_is_truth(
    export: Export, truth: dict[str, Truth], changed: dict[str, tuple[str, str | None]] | None = None
) -> None:
    """Every listed recording has its one right row, every object its exact bytes, and nothing else lies there."""
    changed = changed or {}
    failed = [event.step_key for event in export.result.all_events if event.is_step_failure]
    assert set(failed) <= {"availability_report"}, failed
    audio = export.rows("recording_audio")
    assert [row["recording_id"] for row in audio] == sorted(truth)
    keys = set()
    for row in audio:
        record = truth[row["recording_id"]]
        expected = changed.get(row["recording_id"], expected_of(record))
        assert (row["status"], row["reason"]) == expected, (row, record["kind"])
        if row["status"] == "stored":
            keys.add(row["object_key"])
            _assert_same_bytes(export, row, record)
        else:
            assert row["object_key"] is None
            assert row["sha256"] is None
            assert row["detail"]
    assert export.objects == keys
    complete = not any(row["status"] in ("failed", "quarantined", "pending") for row in audio)
    assert export.check_passed == complete == export.verdict.complete == export.result.success
    _assert_reports(export, audio)


def _assert_same_bytes(export: Export, row: dict[str, Any], record: Truth) -> None:
    key = row["object_key"]
    stored = export.bytes_of(key)
    source = gzip.decompress(stored)
    assert hashlib.sha256(source).hexdigest() == record["sha256"] == row["sha256"]
    assert hashlib.md5(source, usedforsecurity=False).hexdigest() == record["md5"] == row["md5"] == row["source_md5"]
    assert len(source) == record["size"] == row["source_size_bytes"]
    assert len(stored) == row["stored_size_bytes"]
    assert row["integrity_basis"] == "source_md5"
    sidecar = json.loads(export.bytes_of(key.removesuffix(".gz").rpartition(".")[0] + ".json"))
    assert sidecar["sha256"] == row["sha256"]
    assert len(sidecar["segments"] or []) == record["transcript_segments"]


def _assert_reports(export: Export, audio: list[dict[str, Any]]) -> None:
    report = {row["recording_id"]: row for row in export.rows("availability_report")}
    document = json.loads(export.bytes_of(f"reports/date={export.day}/availability.json"))
    assert [entry["id"] for entry in document["files"]] == sorted(report)
    for row in audio:
        status = "available" if row["status"] == "stored" else row["status"]
        assert report[row["recording_id"]]["status"] == status
    assert document["total_files"] == len(audio)
    assert document["total_size_bytes"] == sum(row["source_size_bytes"] or 0 for row in audio)
    utilization = export.rows("storage_utilization")
    assert sum(row["recordings"] for row in utilization) == len(audio)
    stored = [row for row in audio if row["status"] == "stored"]
    assert sum(row["source_bytes"] for row in utilization) == sum(row["source_size_bytes"] for row in stored)
    assert sum(row["stored_bytes"] for row in utilization) == sum(row["stored_size_bytes"] for row in stored)
