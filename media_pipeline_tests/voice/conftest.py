"""A guest's conversation, an inbox, and a deployment that sends what waits there, in both dialects."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from media_pipeline.build import build_definitions
from media_pipeline.messaging import voice_way
from media_pipeline.messaging.inbox import Inbox, VoiceMessage
from media_pipeline.messaging.voice_state import TABLE
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running
from media_pipeline.settings import Settings
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.partition import Tables
from media_pipeline_tests import voices
from media_pipeline_tests.harness import DAY, NO_RETRY, resources_for, settings_for
from media_pipeline_tests.messaging_org import QUIET, Guests, today


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running(SandboxOptions(port=0, bodies="tiny", per_day=1, days=1, messages_per_day=0, end=DAY)) as found:
        found.state.settings.outbound_audio = 1
        yield found


@pytest.fixture
def guide(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Desk]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Desk.of(sandbox, tmp_path, "guide", instance)


@pytest.fixture
def platform(sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(voice_way, "SETTLED", dt.timedelta())
    with dg.DagsterInstance.ephemeral() as instance:
        yield Desk.of(sandbox, tmp_path, "platform", instance)


@pytest.fixture(params=["guide", "platform"])
def desk(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@dataclasses.dataclass
class Desk:
    """A deployment beside its org."""

    sandbox: RunningSandbox
    settings: Settings
    instance: dg.DagsterInstance
    conversation: str

    @classmethod
    def of(cls, sandbox: RunningSandbox, folder: Path, dialect: str, instance: dg.DagsterInstance) -> Desk:
        settings = settings_for(
            sandbox.url, folder, dialect=dialect, inbox=str(folder / "inbox"), allow_write_back=True,
            start_date=today() - dt.timedelta(days=5),
        )  # fmt: skip
        return cls(sandbox, settings, instance, Guests(sandbox).post("conversations")["conversation_id"])

    @property
    def inbox(self) -> Inbox:
        return Inbox(Path(self.settings.inbox))

    @property
    def tables(self) -> Tables:
        return Tables(open_store(self.settings.root, self.settings.spool, 8))

    def put(self, audio: bytes | None = None, suffix: str = "wav", **message: Any) -> str:
        """One pair; its key."""
        audio = voices.wav(0.2) if audio is None else audio
        key = message.pop("message_key", uuid.uuid4().hex)
        facts = {
            "conversation_id": self.conversation,
            "sender_id": "agent-7",
            "transcript": "It is me",
            "size_bytes": len(audio),
            "received_at": dt.datetime.now(dt.UTC),
        }
        with self.inbox.incoming() as incoming:
            incoming.write(audio)
            self.inbox.publish(incoming, VoiceMessage(**facts | message, message_key=key), suffix)
        return key

    def run(self, **changes: Any) -> dg.ExecuteInProcessResult:
        settings = self.settings.model_copy(update=changes)
        resources = resources_for(settings, deadline_seconds=3.0)
        definitions = build_definitions(settings, resources=resources, retry=NO_RETRY)
        return definitions.resolve_job_def("messaging").execute_in_process(
            instance=self.instance, partition_key=str(today()), run_config=QUIET, raise_on_error=False,
            asset_selection=[dg.AssetKey(TABLE)],
        )  # fmt: skip

    def sent(self, **changes: Any) -> dict[str, dict[str, Any]]:
        """The day's rows after a run that succeeded."""
        result = self.run(**changes)
        assert result.success, [event.message for event in result.all_events if event.is_failure]
        return self.rows

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["message_key"]: row for row in self.tables.rows(TABLE, today())}

    @property
    def heard(self) -> list[str]:
        """What guests got, in order: SHA-256 of audio, or a text."""
        said = Guests(self.sandbox).get("guest")
        return [each["text"] or each["media"][0]["sha256"] for each in said]

    @property
    def writes(self) -> list[str]:
        """What the org was asked to change, in order."""
        return [each["operation"] for each in Guests(self.sandbox).get("writes")]

    @property
    def send(self) -> str:
        return "message_send" if self.settings.dialect == "guide" else "message_create"

    def aside(self, status: str) -> set[str]:
        return {path.stem for path in (self.inbox.folder / f".{status}").glob("*.json")}

    def check(self, result: dg.ExecuteInProcessResult) -> Any:
        (found,) = result.get_asset_check_evaluations()
        return found
