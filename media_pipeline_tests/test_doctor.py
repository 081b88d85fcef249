"""media-pipeline doctor against a real server: what it says when all is well, and of each thing that is not."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from media_pipeline.doctor.examine import examine
from media_pipeline.doctor.findings import Report
from media_pipeline.doctor.screen import plain_lines, report_facts
from media_pipeline.doctor.together import Overdue, together
from media_pipeline.genesys.platform_account import Grants
from media_pipeline_tests.harness import DAY, settings_for, variables_for

PROGRAM = str(Path(sys.executable).with_name("media-pipeline"))
MOST_CALLS = 15
MOST_SECONDS = 20.0
SECRET = "sandbox-secret"


def run(folder: Path, url: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = variables_for(url, folder) | {"COLUMNS": "80", "GENESYS_DIALECT": "platform"} | variables
    return subprocess.run(
        [PROGRAM, "doctor", *arguments], env=environment, cwd=folder, capture_output=True, text=True, timeout=60
    )


def look(org, folder: Path, **changes: object) -> Report:
    return examine(settings_for(org.url, folder, **{"dialect": "platform", "requests_per_minute": 300} | changes))


def levels(report: Report) -> dict[str, str]:
    return {finding.name: finding.level for finding in report.findings}


def line(report: Report, name: str) -> str:
    (found,) = [f"{finding.seen} {finding.todo}" for finding in report.findings if finding.name == name]
    return found


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def hold() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=hold, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for each in held:
            each.close()


def test_all_is_well_in_few_calls(org, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    org.forget_stats()
    report = look(org, tmp_path)
    assert [finding for finding in report.findings if finding.level != "ok"] == []
    assert report.exit_code == 0
    requests = org.stats()["requests"]
    assert report.api_calls == sum(sum(statuses.values()) for statuses in requests.values()) <= MOST_CALLS
    assert "recording:recording:viewSensitiveData" in line(report, "sensitive data")
    assert "conversations of" in line(report, "organization")
    assert "60 min" in line(report, "links live")
    assert "has a transcript" in line(report, "speech analytics")


def test_the_subset_that_the_guides_have(org, tmp_path):
    report = look(org, tmp_path, dialect="guide")
    assert {name: levels(report)[name] for name in ("listing", "media batches", "transcripts")} == dict.fromkeys(
        ("listing", "media batches", "transcripts"), "ok"
    )
    assert "of 500,000 left" in line(report, "storage at Genesys")
    assert report.exit_code == 0
    assert report.api_calls <= MOST_CALLS


@pytest.mark.parametrize(
    ("lacks", "name", "level"),
    [
        (("recording:recording:viewSensitiveData",), "sensitive data", "warn"),
        (("speechAndTextAnalytics:data:view",), "transcripts", "warn"),
        (("analytics:conversationDetail:view", "analytics:agentConversationDetail:view"), "listing", "fail"),
        (("recording:recording:view",), "media batches", "fail"),
    ],
)
def test_a_missing_permission_is_named(org, tmp_path, lacks, name, level):
    httpx.put(f"{org.url}/_sandbox/permissions", json={"lacks": list(lacks)}).raise_for_status()
    report = look(org, tmp_path)
    assert levels(report)[name] == level
    assert f"{lacks[0]} is missing" in line(report, name)
    assert report.exit_code == (1 if level == "fail" else 0)
    assert report.api_calls <= MOST_CALLS


def test_roles_are_read_where_grants_are_not(org, tmp_path):
    org.break_with({"fault": "server_error", "on": ["client"], "times": 1})
    report = look(org, tmp_path)
    assert levels(report)["sensitive data"] == "ok"
    assert report.api_calls <= MOST_CALLS


def test_calls_tell_of_permissions_where_neither_can_be_read(org, tmp_path):
    org.break_with({"fault": "forbidden", "on": ["client"]})
    report = look(org, tmp_path)
    assert "roles cannot be read" in line(report, "client")
    assert levels(report) | {"listing": "ok", "media batches": "warn", "retention sweep": "ok"} == levels(report)
    assert "unknown" in line(report, "sensitive data")
    assert report.exit_code == 0
    assert report.api_calls <= MOST_CALLS


def test_grants_may_have_wildcards():
    grants = Grants(frozenset({"recording:*:view", "analytics:conversationDetail:*"}), ("Home",), ("r",))
    assert grants.has("recording:recording:view")
    assert grants.has("analytics:conversationDetail:view")
    assert not grants.has("recording:recording:viewSensitiveData")


def test_a_wrong_secret_is_a_failure_and_is_not_shown(org, tmp_path):
    report = look(org, tmp_path, client_secret=SecretStr("wrong-and-secret"))
    assert levels(report)["credentials"] == "fail"
    assert "GENESYS_CLIENT_SECRET" in line(report, "credentials")
    assert report.exit_code == 1
    assert report.api_calls == 1
    assert "wrong-and-secret" not in "\n".join(plain_lines(report))


def test_a_host_that_refuses(org, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    report = look(org, tmp_path, base_url=f"http://127.0.0.1:{port}")
    assert levels(report)["API host"] == levels(report)["login host"] == levels(report)["credentials"] == "fail"
    assert "the connection is refused" in line(report, "API host")
    assert levels(report)["clock"] == "warn"
    assert report.exit_code == 1


def test_a_host_without_a_name(org, tmp_path):
    report = look(org, tmp_path, base_url="https://api.no-such-host.invalid")
    assert "its name is not known (DNS)" in line(report, "API host")
    assert "login.no-such-host.invalid" in line(report, "login host")
    assert report.seconds < MOST_SECONDS


def test_hosts_that_hang_do_not_hang_the_doctor(org, silent, tmp_path):
    began = time.monotonic()
    done = run(tmp_path, silent)
    assert time.monotonic() - began < MOST_SECONDS
    assert done.returncode == 1
    assert "no answer within" in " ".join(done.stdout.split())


def test_an_api_that_hangs_behind_a_login_that_works(org, silent, tmp_path):
    report = look(org, tmp_path, base_url=silent, login_url=org.url)
    assert levels(report)["login host"] == levels(report)["credentials"] == "ok"
    assert levels(report)["API host"] == levels(report)["listing"] == "fail"
    assert report.exit_code == 1
    assert report.seconds < MOST_SECONDS


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """An API that answers every call in one way."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("dialect", ["platform", "guide"])
@pytest.mark.parametrize(("status", "body"), [(503, b"<html>gateway"), (200, b"<html>Sign in"), (200, b"[1]")])
def test_an_api_that_answers_nothing_useful_behind_a_login_that_works(org, tmp_path, dialect, status, body):
    with answering(status, body) as url:
        report = look(org, tmp_path, base_url=url, login_url=org.url, dialect=dialect)
    assert (levels(report)["credentials"], levels(report)["listing"], report.exit_code) == ("ok", "fail", 1)
    assert "no day can be exported" in line(report, "listing")
    assert not any("Grant" in line(report, name) for name in ("listing", "media batches", "transcripts"))


def test_a_listing_that_is_limited_for_a_moment_is_no_failure(org, tmp_path):
    org.break_with({"fault": "rate_limit", "on": ["query"]})
    report = look(org, tmp_path)
    assert (levels(report)["listing"], report.exit_code) == ("ok", 0)


@pytest.mark.parametrize(("seconds", "side"), [(300, "behind"), (-300, "ahead of")])
def test_a_skewed_clock(org, tmp_path, seconds, side):
    httpx.put(f"{org.url}/_sandbox/clock", json={"offset_seconds": seconds}).raise_for_status()
    report = look(org, tmp_path)
    assert levels(report)["clock"] == "warn"
    assert f"5.0 minutes {side} Genesys Cloud's" in line(report, "clock")


def test_places_that_cannot_be_written(org, tmp_path):
    (tmp_path / "file").touch()
    report = look(org, tmp_path, root=str(tmp_path / "file" / "root"), spool=tmp_path / "file" / "spool")
    assert levels(report)["MEDIA_ROOT"] == levels(report)["MEDIA_SPOOL"] == "fail"
    assert "cannot be written" in line(report, "MEDIA_ROOT")
    assert report.exit_code == 1


def test_too_little_space(org, tmp_path):
    report = look(org, tmp_path, min_available_mb=shutil.disk_usage(tmp_path).total)
    assert levels(report)["MEDIA_ROOT"] == levels(report)["MEDIA_SPOOL"] == "fail"
    assert "MEDIA_MIN_AVAILABLE_MB" in line(report, "MEDIA_ROOT")


def test_a_bucket(org, s3_root, tmp_path):
    report = look(org, tmp_path, root=s3_root)
    assert s3_root in line(report, "MEDIA_ROOT")
    assert levels(report)["MEDIA_ROOT"] == "ok"
    gone = look(org, tmp_path, root="s3://no-such-bucket-here/archive")
    assert levels(gone)["MEDIA_ROOT"] == "fail"


def test_links_that_die_soon_and_a_rate_above_the_servers(org, tmp_path):
    options = {"link_seconds": 120, "rate_limit": 100}
    httpx.put(f"{org.url}/_sandbox/options", json=options).raise_for_status()
    report = look(org, tmp_path)
    assert levels(report)["links live"] == levels(report)["rate budget"] == "warn"
    assert "at most 100" in line(report, "rate budget")


def test_calls_are_booked_in_the_shared_budget(org, tmp_path):
    first = look(org, tmp_path)
    assert f"{first.api_calls} used just now" in line(look(org, tmp_path), "rate budget")


def test_transcripts_are_known_from_tables(org, export, tmp_path):
    export(org, dialect="platform")
    assert f"of {DAY} have transcripts" in line(look(org, tmp_path), "speech analytics")


def test_webhooks_are_counted_by_host_only(org, tmp_path):
    report = look(org, tmp_path, webhooks=SecretStr("https://hooks.example.com/services/T0/very-secret"))
    assert line(report, "webhooks").strip() == "1: hooks.example.com; not signed: MEDIA_WEBHOOK_KEY is not set"
    broken = look(org, tmp_path, webhooks=SecretStr("very-secret"))
    assert levels(broken)["webhooks"] == "fail"
    assert "very-secret" not in json.dumps([report_facts(report), report_facts(broken)])


@pytest.mark.parametrize("arguments", [(), ("--plain",), ("--json",)])
def test_the_command_tells_by_its_exit_code_and_shows_no_secret(org, tmp_path, arguments):
    done = run(tmp_path, org.url, *arguments)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "Bearer" not in done.stdout + done.stderr
    if arguments == ("--json",):
        assert json.loads(done.stdout)["ok"] is True
    else:
        assert "Ready to export" in done.stdout
        assert arguments or max(map(len, done.stdout.splitlines())) <= 80
    assert run(tmp_path, org.url, *arguments, MEDIA_MIN_AVAILABLE_MB="900000000").returncode == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"GENESYS_CLIENT_SECRET": ""},
        {"GENESYS_BASE_URL": "", "GENESYS_REGION": "nowhere.example"},
        {"MEDIA_CONCURRENCY": "many"},
        {"GENESYS_BASE_URL": "http://api.example.com"},
    ],
)
def test_variables_that_name_no_org_end_with_2(org, tmp_path, variables):
    done = run(tmp_path, org.url, **variables)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_checks_that_raise_or_hang_leave_the_others_alone():
    stuck = threading.Event()
    found = together({"good": lambda: 1, "bad": lambda: 1 / 0, "stuck": stuck.wait}, 0.2)
    stuck.set()
    assert found["good"] == 1
    assert isinstance(found["bad"], ZeroDivisionError)
    assert isinstance(found["stuck"], Overdue)
