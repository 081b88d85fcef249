"""What tests of messaging share: an org with guests, and the job that listens to them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

from media_pipeline.build import build_definitions
from media_pipeline.messaging.cursor import EventCursor
from media_pipeline.messaging.events import TABLE
from media_pipeline.sandbox.running import RunningSandbox
from media_pipeline.settings import Settings
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.harness import NO_RETRY, resources_for, settings_for

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
JOB = "drain_conversation_events"


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


@dataclasses.dataclass(frozen=True)
class Guests:
    """The admin side of a sandbox's messaging."""

    sandbox: RunningSandbox

    def post(self, path: str, **body: Any) -> Any:
        answer = httpx.post(f"{self.sandbox.url}/_sandbox/messaging/{path}", json=body, timeout=120)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.sandbox.url}/_sandbox/messaging/{path}", timeout=60).json()

    def send(self, count: int, **file: Any) -> list[dict[str, Any]]:
        """Guests send so many small files, each in a conversation of its own unless one is named."""
        return self.post("files", count=count, **file)["files"]

    def forget_events(self, newest: int = 0) -> None:
        self.post("events/keep", newest=newest)

    @property
    def stream(self) -> list[dict[str, Any]]:
        """Events of conversations that the stream still has."""
        kept = self.get("events")
        return [each for each in kept if (each["document"] or {}).get("type") == "conversation"]


@dataclasses.dataclass(frozen=True)
class Listener:
    """A deployment that drains the events of an org."""

    settings: Settings
    instance: dg.DagsterInstance

    @classmethod
    def of(cls, url: str, folder: Path, instance: dg.DagsterInstance, dialect: str) -> Listener:
        return cls(settings_for(url, folder, dialect=dialect), instance)

    @property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.settings, resources=resources_for(self.settings), retry=NO_RETRY)

    @property
    def tables(self) -> Tables:
        return Tables(open_store(self.settings.root, self.settings.spool, 4))

    @property
    def cursor(self) -> EventCursor:
        return EventCursor.read(self.tables.store, f"{TABLE}.{self.settings.dialect}")

    def drain(self, **config: Any) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(JOB).execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_config=QUIET | {"ops": {TABLE: {"config": config}}},
        )

    def heard(self, **config: Any) -> dict[str, Any]:
        """Metadata of a run that succeeded."""
        result = self.drain(**config)
        assert result.success, [e.message for e in result.all_events if e.is_failure]
        (event,) = result.get_asset_materialization_events()
        return {k: v.value for k, v in event.step_materialization_data.materialization.metadata.items()}

    def rows(self, *days: dt.date) -> list[dict[str, Any]]:
        wanted = days or [today() - dt.timedelta(days=n) for n in range(3, -1, -1)]
        return [row for day in wanted for row in self.tables.rows(TABLE, day)]
