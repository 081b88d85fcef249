"""One tiny sandbox for the whole suite, set back to peace before each test; speaking ones start where needed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import httpx
import pytest

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running

END = dt.date(2026, 11, 20)


@pytest.fixture(scope="session")
def _tiny() -> Iterator[RunningSandbox]:
    with running(SandboxOptions(port=0, bodies="tiny", per_day=40, days=3, end=END, messages_per_day=0)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_tiny: RunningSandbox) -> Iterator[RunningSandbox]:
    """A sandbox without faults, at the real time, with nothing counted."""
    _tiny.restore()
    yield _tiny
    _tiny.restore()


@pytest.fixture
def api(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    """A client that is logged in."""
    with logged_in(sandbox.url) as client:
        yield client


@pytest.fixture
def files() -> Iterator[httpx.Client]:
    """A client without credentials, for links."""
    with httpx.Client(timeout=60) as client:
        yield client


def logged_in(url: str) -> httpx.Client:
    form = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    token = httpx.post(f"{url}/oauth/token", data=form).json()["access_token"]
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
