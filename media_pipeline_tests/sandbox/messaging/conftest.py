"""A sandbox with message conversations of its own, whose clock stands at noon of the day after the org's last one."""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running
from media_pipeline_tests.sandbox.conftest import END
from media_pipeline_tests.sandbox.platform.conftest import Platform

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def _messaging() -> Iterator[RunningSandbox]:
    with running(SandboxOptions(port=0, bodies="tiny", per_day=40, days=3, end=END)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_messaging: RunningSandbox) -> Iterator[RunningSandbox]:
    _messaging.restore()
    _messaging.state.clock.offset_seconds = NOON.timestamp() - time.time()
    yield _messaging
    _messaging.restore()


@pytest.fixture
def admin(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{sandbox.url}/_sandbox", timeout=30) as client:
        yield client


@pytest.fixture
def platform(api: httpx.Client) -> Platform:
    return Platform(api)


@pytest.fixture
def truth(api: httpx.Client) -> list[dict[str, Any]]:
    return api.get("/_sandbox/truth", params={"date": "2026-11-20"}).json()


@pytest.fixture
def silent(sandbox: RunningSandbox, admin: httpx.Client) -> None:
    """The stream has forgotten what was seeded."""
    assert admin.post("/messaging/events/keep", json={"newest": 0}).json() == []


def planted(admin: httpx.Client, **file: Any) -> dict[str, Any]:
    if "data" in file:
        file["base64"] = base64.b64encode(file.pop("data")).decode()
    answer = admin.post("/messaging/files", json=file)
    assert answer.status_code == 201, answer.text
    return answer.json()


def moved(sandbox: RunningSandbox, **by: float) -> None:
    """Let this much time go by."""
    sandbox.state.clock.offset_seconds += dt.timedelta(**by).total_seconds()


def heard(api: httpx.Client, count: int, last_event_id: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """The next events of the plain stream, as pairs of id and document."""
    headers = {"Accept": "text/event-stream"} | ({} if last_event_id is None else {"Last-Event-ID": last_event_id})
    found: list[tuple[str, dict[str, Any]]] = []
    with api.stream("GET", "/api/v2/conversations/events", headers=headers) as answer:
        assert answer.status_code == 200
        id_ = ""
        with closing(answer.iter_lines()) as lines:
            for line in lines:
                name, _, value = line.partition(": ")
                if name == "id":
                    id_ = value
                elif name == "data":
                    found.append((id_, json.loads(value)))
                    if len(found) == count:
                        break
    return found
