"""One tiny sandbox for the whole suite, set back to peace before each test; speaking ones start where needed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from types import ModuleType

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


@pytest.fixture(scope="session")
def sdk(tmp_path_factory) -> Iterator[ModuleType]:
    """The SDK, imported once (2 s and 250 MB); it watches its configuration in the home directory."""
    home = tmp_path_factory.mktemp("home")
    configuration = home / ".genesyscloudpython"
    configuration.mkdir()
    (configuration / "config").write_text("[general]\nlive_reload_config = false\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        import PureCloudPlatformClientV2

        yield PureCloudPlatformClientV2


@pytest.fixture
def client(sdk, sandbox: RunningSandbox):
    """The SDK's client, logged in by HTTP Basic."""
    sdk.configuration.host = sandbox.url
    return sdk.api_client.ApiClient().get_client_credentials_token("sandbox-client", "sandbox-secret")


def logged_in(url: str) -> httpx.Client:
    form = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    token = httpx.post(f"{url}/oauth/token", data=form).json()["access_token"]
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
