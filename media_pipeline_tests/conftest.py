"""An org to export from and a way to export a day of it: real HTTP, real files, the real job."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Browser

from media_pipeline import exporter
from media_pipeline.assets import inventory
from media_pipeline.doctor import examine
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running

pytest.register_assert_rewrite("media_pipeline_tests.harness")

from media_pipeline_tests.harness import DAY, Export, Org  # noqa: E402  after its asserts are told to explain themselves
from media_pipeline_tests.messaging_org import Guests  # noqa: E402
from media_pipeline_tests.pages import browser  # noqa: E402
from media_pipeline_tests.programs import program, without  # noqa: E402
from media_pipeline_tests.receiver import Receiver, receiving  # noqa: E402
from media_pipeline_tests.s3_server import BUCKET, MISSING_GATEWAY, Gateway, S3Server, s3_server  # noqa: E402


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the developer's variables, .env, Dagster instance or spool."""
    for name in list(os.environ):
        if name.startswith(("GENESYS_", "MEDIA_", "DAGSTER_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def _no_other_day_ends() -> Iterator[None]:
    """The orgs end with DAY, and it stays this process' newest finished day when midnight passes."""
    with pytest.MonkeyPatch.context() as patch:
        for asking in (inventory, examine, exporter):
            patch.setattr(asking, "newest_finished_day", lambda: DAY)
        yield


@pytest.fixture(scope="session")
def _tiny() -> Iterator[RunningSandbox]:
    with running(SandboxOptions(port=0, bodies="tiny", per_day=40, days=4, end=DAY)) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def _speaking() -> Iterator[RunningSandbox]:
    with running(SandboxOptions(port=0, per_day=30, days=2, end=DAY)) as sandbox:
        yield sandbox


def _at_peace(sandbox: RunningSandbox) -> Iterator[Org]:
    sandbox.restore()
    yield Org(sandbox)
    sandbox.restore()  # fixtures of a module's own see the same peace


@pytest.fixture
def org(_tiny: RunningSandbox) -> Iterator[Org]:
    """40 recordings a day of a hundred bytes each."""
    yield from _at_peace(_tiny)


@pytest.fixture
def speaking_org(_speaking: RunningSandbox) -> Iterator[Org]:
    """30 real calls a day of about a megabyte each."""
    yield from _at_peace(_speaking)


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Export]:
    """Run daily_export for one day of an org into tmp_path/media; waits between retries are cut short."""
    return lambda org, **options: Export.run(org, tmp_path, **options)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory; it has no switches of sensors."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook receiver over real HTTP."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def _s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The session's S3 server, with the variables that lead boto3 there and nowhere else."""
    for name, value in _s3.variables().items():
        monkeypatch.setenv(name, value)
    return _s3


@pytest.fixture
def s3_root(s3: S3Server) -> str:
    """A MEDIA_ROOT of the test's own in the server's bucket."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex[:12]}/archive"


@pytest.fixture
def gateway(s3: S3Server, request: pytest.FixtureRequest) -> Gateway:
    """The administration of the RADOS gateway, for what moto would let pass."""
    if s3.gateway is None:
        without(f"{request.node.name}: {MISSING_GATEWAY}")
    return s3.gateway


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's chromium, for what people look at."""
    with browser(program("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def _guests() -> Iterator[RunningSandbox]:
    with running(SandboxOptions(port=0, bodies="tiny", per_day=3, days=2, messages_per_day=0, end=DAY)) as sandbox:
        yield sandbox


@pytest.fixture
def guests(_guests: RunningSandbox) -> Iterator[Guests]:
    """An org in which nobody has sent anything yet."""
    _guests.restore()
    yield Guests(_guests)
    _guests.restore()
