"""A sandbox and a real `dagster dev` beside it, for tests of the pages and the daemon and for the README's pictures.

Everything lies below one folder and listens on loopback; every process that was started is ended again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

REPO = Path(__file__).resolve().parent.parent
YESTERDAY = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
"""The newest finished day."""
LOCATION, REPOSITORY, JOB = "media_pipeline", "__repository__", "daily_export"
LOCATIONS = {LOCATION, "reports"}
"""All of workspace.yaml."""
SECRET = "sandbox-secret"
START_SECONDS = 60.0
RUN_SECONDS = 180.0
END_SECONDS = 10.0

_OVER = ("SUCCESS", "FAILURE", "CANCELED")
_FOREIGN = ("GENESYS_", "MEDIA_", "DAGSTER_", "AWS_")
_ANNOUNCEMENT = "sandbox listening on "
_LOADED = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
_LAUNCH = """
mutation Launch($execution: ExecutionParams!) {
  launchRun(executionParams: $execution) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
  }
}"""
_RUN = "query Run($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } ... on Error { message } } }"
_NO_WELCOME = "mutation { setNuxSeen }"
_START_SENSOR = """
mutation Start($sensor: SensorSelector!) {
  startSensor(sensorSelector: $sensor) { __typename ... on Error { message } }
}"""

T = TypeVar("T")


class DevError(RuntimeError):
    """What did not start, or what GraphQL refused, with the reason it gave."""


@dataclass(frozen=True)
class DagsterDev:
    """A running UI with its daemon, over an org that holds recordings of the last days."""

    url: str
    folder: Path
    sandbox_url: str

    def graphql(self, query: str, variables: Mapping[str, object] | None = None) -> dict[str, Any]:
        """The data of the answer. Raises DevError with what GraphQL says against the query."""
        body = {"query": query, "variables": dict(variables or {})}
        reply = httpx.post(f"{self.url}/graphql", json=body, timeout=30).json()
        if reply.get("errors"):
            raise DevError(str(reply["errors"]))
        data: dict[str, Any] = reply["data"]
        return data

    def launch_day(self, day: dt.date) -> str:
        """Start daily_export for one partition, as the button Materialize does; the id of the run."""
        return self.launch(JOB, tags={"dagster/partition": str(day)})

    def launch(self, job: str, location: str = LOCATION, tags: Mapping[str, str] | None = None) -> str:
        """Start a job; the id of the run."""
        execution = {
            "selector": {"repositoryLocationName": location, "repositoryName": REPOSITORY, "jobName": job},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
        }
        answer = self.graphql(_LAUNCH, {"execution": execution})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise DevError(f"{job} was not launched: {answer}")
        return str(answer["run"]["runId"])

    def wait_run(self, run_id: str, seconds: float = RUN_SECONDS) -> str:
        """The status that the run ends with."""

        def over() -> str | None:
            run = self.graphql(_RUN, {"id": run_id})["runOrError"]
            if run["__typename"] != "Run":
                raise DevError(f"There is no run {run_id}: {run}")
            return str(run["status"]) if run["status"] in _OVER else None

        return until(over, seconds, lambda: f"Run {run_id} did not end. {tail(self.folder / 'dagster.log')}")

    def start_sensor(self, name: str, location: str = LOCATION) -> None:
        """Switch a sensor on; the daemon does the rest."""
        sensor = {"repositoryLocationName": location, "repositoryName": REPOSITORY, "sensorName": name}
        answer = self.graphql(_START_SENSOR, {"sensor": sensor})["startSensor"]
        if answer["__typename"] != "Sensor":
            raise DevError(f"{name} was not started: {answer}")


@contextlib.contextmanager
def dagster_dev(
    folder: Path,
    *,
    per_day: int,
    days: int = 3,
    last_day: dt.date = YESTERDAY,
    first_day: dt.date | None = None,
    transcode_seconds: int = 0,
    latency_ms: int = 0,
    dialect: str = "platform",
    variables: Mapping[str, str] | None = None,
) -> Iterator[DagsterDev]:
    """Serve an org of `days` days up to `last_day` and Dagster's UI for the length of a `with` block.

    Files go below `folder`. Partitions start at `first_day`, by default with the org's first one. `variables` go to
    Dagster besides its own.
    """
    start = first_day or last_day - dt.timedelta(days=days - 1)
    options: dict[str, object] = {"per-day": per_day, "days": days, "end": last_day}
    options |= {"transcode-seconds": transcode_seconds, "latency-ms": latency_ms}
    with _sandbox(folder, options) as sandbox_url:
        port = _free_port()
        command = ["-m", "dagster", "dev", "--workspace", str(REPO / "workspace.yaml")]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        environment = _environment(folder, sandbox_url, start, dialect) | dict(variables or {})
        with _process(command, folder / "dagster.log", folder, environment) as process:
            dev = DagsterDev(f"http://127.0.0.1:{port}", folder, sandbox_url)
            until(lambda: _loaded(dev, process), START_SECONDS, lambda: f"No UI. {tail(folder / 'dagster.log')}")
            dev.graphql(_NO_WELCOME)
            yield dev


def tail(log: Path, characters: int = 3_000) -> str:
    """The end of a log, for the sentence of a failure."""
    return f"{log.name} ends with:\n{log.read_text(errors='replace')[-characters:]}"


@contextlib.contextmanager
def _sandbox(folder: Path, options: Mapping[str, object]) -> Iterator[str]:
    log = folder / "sandbox.log"
    command = ["-m", "media_pipeline.sandbox", "--port", "0"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]

    def announced() -> str | None:
        lines = [line for line in log.read_text().splitlines() if line.startswith(_ANNOUNCEMENT)]
        if not lines and process.poll() is not None:
            raise DevError(f"The sandbox ended. {tail(log)}")
        return lines[0].removeprefix(_ANNOUNCEMENT).strip() if lines else None

    with _process(command, log, folder, _clean_environment()) as process:
        yield until(announced, START_SECONDS, lambda: f"The sandbox did not start. {tail(log)}")


def _loaded(dev: DagsterDev, process: subprocess.Popen[bytes]) -> bool | None:
    """True once all code locations are there; nothing answers before."""
    if process.poll() is not None:
        raise DevError(f"dagster dev ended with {process.returncode}. {tail(dev.folder / 'dagster.log')}")
    with contextlib.suppress(httpx.TransportError):
        nodes = dev.graphql(_LOADED)["repositoriesOrError"].get("nodes", [])
        return {node["location"]["name"] for node in nodes} == LOCATIONS or None
    return None


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def _environment(folder: Path, sandbox_url: str, first_day: dt.date, dialect: str) -> dict[str, str]:
    home = folder / "dagster_home"
    home.mkdir(parents=True)
    shutil.copyfile(REPO / "dagster.yaml.example", home / "dagster.yaml")
    return _clean_environment() | {
        "DAGSTER_HOME": str(home),
        "MEDIA_ROOT": str(folder / "media"),
        "MEDIA_SPOOL": str(folder / "spool"),
        "MEDIA_START_DATE": str(first_day),
        "GENESYS_DIALECT": dialect,
        "GENESYS_BASE_URL": sandbox_url,
        "GENESYS_CLIENT_ID": "sandbox-client",
        "GENESYS_CLIENT_SECRET": SECRET,
        "GENESYS_REQUESTS_PER_MINUTE": "0",
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def _process(
    arguments: list[str], log: Path, folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """This Python with these arguments, in a process group of its own that is ended as a whole."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,  # no .env of a developer is found from here
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            until(lambda: _is_gone(process), END_SECONDS, lambda: "still there")
        except DevError:
            os.killpg(process.pid, signal.SIGKILL)


def _is_gone(process: subprocess.Popen[bytes]) -> bool | None:
    """True once the leader and all its children have ended."""
    if process.poll() is None:
        return None
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return None


def until(found: Callable[[], T | None], seconds: float, complaint: Callable[[], str]) -> T:
    """What `found` gives once it gives something. Raises DevError when that takes too long."""
    deadline = time.monotonic() + seconds
    while (value := found()) is None:
        if time.monotonic() > deadline:
            raise DevError(complaint())
        time.sleep(0.1)
    return value
