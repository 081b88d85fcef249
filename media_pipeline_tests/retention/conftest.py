"""A ledger on disk or in S3, a sandbox with media to delete in both dialects, and a clock that the test moves."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from media_pipeline.connection import opened_source
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.messaging.deleting import Tally, work_ledger
from media_pipeline.messaging.holds import Hold, Holds
from media_pipeline.messaging.retention import Copy, Ledger, Policy, Subject
from media_pipeline.messaging.retention_days import SCHEMA, TABLE
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running
from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.harness import DAY, Org, settings_for

NO_COPY = Policy(name="voice_message", why="Voice messages live 15 minutes at Genesys Cloud.", keeps_copy=False)
WITH_COPY = Policy(name="archived", why="What is archived here is not kept there.")
FIFTEEN = {"minutes": 15, "seconds": 1}
WAV = b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\x08\0\0" + bytes(2048)


@pytest.fixture(scope="session")
def _media() -> Iterator[RunningSandbox]:
    with running(SandboxOptions(port=0, bodies="tiny", per_day=40, days=4, end=DAY)) as sandbox:
        yield sandbox


@pytest.fixture
def org(_media: RunningSandbox) -> Iterator[Org]:
    """An org with a day of recordings, and with room for attachments."""
    _media.restore()
    yield Org(_media)
    _media.restore()


IN_BOTH = pytest.mark.parametrize("root", ["local", "s3"], indirect=True)


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A MEDIA_ROOT on disk, or in S3 where a test asks for both."""
    in_s3 = getattr(request, "param", "local") == "s3"
    return str(request.getfixturevalue("s3_root")) if in_s3 else str(tmp_path / "media")


@pytest.fixture
def store(root: str, tmp_path: Path) -> ObjectStore:
    return open_store(root, tmp_path / "spool", 8)


@pytest.fixture
def bench(org: Org, store: ObjectStore, tmp_path: Path) -> Iterator[Bench]:
    """The guide dialect."""
    with _bench(org, store, tmp_path, "guide") as found:
        yield found


@pytest.fixture
def published(org: Org, store: ObjectStore, tmp_path: Path) -> Iterator[Bench]:
    """The published API."""
    with _bench(org, store, tmp_path, "platform") as found:
        yield found


@dataclasses.dataclass
class Bench:
    """A ledger, the org it deletes in, and the moment that both believe it is."""

    org: Org
    store: ObjectStore
    target: Any
    events: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    moved: dt.timedelta = dt.timedelta()

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self.moved

    def move(self, **by: float) -> None:
        """Let this much time go by, here and at the source."""
        self.moved += dt.timedelta(**by)
        self.org.sandbox.state.clock.offset_seconds = self.moved.total_seconds()

    def uploaded(self, count: int = 1) -> list[str]:
        """Ids of attachments that are at the source now."""
        state = self.org.sandbox.state
        found = []
        for number in range(count):
            medium = state.messaging.sending.new(f"{number}.wav", len(WAV))
            medium.data, medium.content_type, medium.state = WAV, "audio/x-wav", "valid"
            found.append(medium.id)
        return found

    def there(self, media_id: str) -> bool:
        """Whether the source has an attachment still."""
        medium = self.org.sandbox.state.messaging.sending.find(media_id)
        return medium is not None and not medium.is_gone(self.org.sandbox.state.clock.now())

    def writes(self, operation: str) -> list[dict[str, Any]]:
        """What the source was asked to change, in order."""
        found = httpx.get(f"{self.org.url}/_sandbox/messaging/writes").json()
        return [each for each in found if each["operation"] == operation]

    def schedule(self, media_id: str, policy: Policy = NO_COPY, **more: Any) -> dt.datetime:
        subject = {name: more.pop(name) for name in ("kind", "conversation_id", "day", "sha256") if name in more}
        made = Subject(**{"kind": "attachment", "conversation_id": "c-1"} | subject, id=media_id)
        return Ledger(self.store).schedule(made, policy, **{"now": self.now()} | more)

    def copied(self, data: bytes, key: str, *, packed: bool = False) -> Copy:
        """A copy of ours."""
        self.store.put(key, gzip.compress(data) if packed else data)
        return Copy(key=key, sha256=hashlib.sha256(data).hexdigest(), gzip=packed)

    def work(self, *, allowed: bool = True, **options: Any) -> Tally:
        """One run of the worker."""
        return work_ledger(
            self.store,
            self.target,
            run_id=f"run-{len(self.events)}",
            allowed=allowed,
            **{"now": self.now, "emit": self.emit} | options,
        )

    def emit(self, event: str, recording_id: str | None = None, **facts: object) -> None:
        self.events.append({"event": event, "recording_id": recording_id, **facts})

    def hold(self, kind: str, value: str, **more: Any) -> Hold:
        given = {"who": "Legal", "why": "case 7", "now": self.now()} | more
        return Holds(self.store).add(kind, value, **given)  # type: ignore[arg-type]

    def release(self, hold: Hold) -> None:
        assert Holds(self.store).release(hold.hold_id, who="Legal", why="case closed", now=self.now())

    def rows(self) -> dict[str, dict[str, Any]]:
        """The table, by subject."""
        tables, found = Tables(self.store), {}
        for day in days_below(self.store, f"tables/{TABLE}/"):
            rows = list(tables.rows(TABLE, day))
            assert [row["entry_id"] for row in rows] == sorted({row["entry_id"] for row in rows})
            assert all(list(row) == SCHEMA.names for row in rows)
            found |= {row["subject_id"]: row for row in rows}
        return found

    def row(self, subject_id: str) -> dict[str, Any]:
        return self.rows()[subject_id]


@contextmanager
def _bench(org: Org, store: ObjectStore, folder: Path, dialect: str) -> Iterator[Bench]:
    settings = settings_for(org.url, folder, dialect=dialect)
    with opened_source(settings, CallStats(), Patience(first_wait_seconds=0.01)) as target:
        yield Bench(org, store, target)
