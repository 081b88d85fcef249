"""Runs that listen for guests and then fetch what they sent, against a sandbox, in both dialects."""

import dataclasses
import datetime as dt
from pathlib import Path

import dagster as dg
import httpx
import pytest

from media_pipeline.genesys import guide_events
from media_pipeline.messaging.pending import UPLOADS
from media_pipeline_tests.messaging_org import QUIET, Listener, today

DIALECTS = ["guide", "platform"]


@pytest.fixture(autouse=True)
def _short_silences(monkeypatch):
    monkeypatch.setattr(guide_events, "QUIET_SECONDS", 0.5)
    monkeypatch.setattr(guide_events, "PROBE_QUIET_SECONDS", 0.3)


@dataclasses.dataclass(frozen=True)
class Keeper(Listener):
    """A deployment that also fetches what guests send."""

    def keep(self, day: dt.date | None = None) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def("messaging")
        return job.execute_in_process(
            partition_key=str(day or today()), instance=self.instance, raise_on_error=False, run_config=QUIET
        )

    def kept(self, day: dt.date | None = None) -> dict[str, dict]:
        """Rows by file after a run that succeeded, by everything that was noticed."""
        self.heard()
        return self.kept_again(day)

    def kept_again(self, day: dt.date | None = None) -> dict[str, dict]:
        result = self.keep(day)
        assert result.success, [e.message for e in result.all_events if e.is_failure]
        rows = list(self.tables.rows(UPLOADS, day or today()))
        assert [row["file_id"] for row in rows] == sorted({row["file_id"] for row in rows})
        return {row["file_id"]: row for row in rows}

    def with_settings(self, **changes):
        return dataclasses.replace(self, settings=self.settings.model_copy(update=changes))

    @property
    def objects(self) -> set[str]:
        return set(self.tables.store.sizes("uploads/"))

    def bytes_of(self, key: str) -> bytes:
        with self.tables.store.open(key) as file:
            return file.read()

    @property
    def all_text(self) -> str:
        files = [p.read_text(errors="replace") for p in Path(self.settings.root).rglob("*.json*")]
        tables = [str(list(self.tables.rows(t, today()))) for t in (UPLOADS, "conversation_events", "export_runs")]
        events = [dg.serialize_value(e) for r in self.instance.get_runs() for e in self.instance.all_logs(r.run_id)]
        return "\n".join([*files, *tables, *events])


@pytest.fixture(params=DIALECTS)
def keeper(guests, tmp_path, instance, request):
    return Keeper.of(guests.sandbox.url, tmp_path, instance, request.param)


@pytest.fixture
def guide(guests, tmp_path, instance):
    return Keeper.of(guests.sandbox.url, tmp_path, instance, "guide")


@pytest.fixture
def platform(guests, tmp_path, instance):
    return Keeper.of(guests.sandbox.url, tmp_path, instance, "platform")


def requests(guests, operation):
    found = httpx.get(f"{guests.sandbox.url}/_sandbox/stats").json()["requests"].get(operation, {})
    return sum(found.values())


def operation_of(keeper):
    """What brings the bytes."""
    return "guest_file" if keeper.settings.dialect == "guide" else "attachment_file"
