"""The sandbox as a process: what it prints, what it refuses, and that two of them serve the same bytes."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import media_pipeline.sandbox as package

ROOM = Path(package.__file__).parent
COMMAND = (sys.executable, "-W", "error", "-m", "media_pipeline.sandbox")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOM.parent.parent), "TZ": "Asia/Tokyo"}
START_SECONDS = 3.0


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [*COMMAND, "--port", "0", "--end", "2026-11-20", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            match = re.fullmatch(r"sandbox listening on (http://\S+:\d+)\n", line)
            assert match, line or running.stderr.read()
            yield match[1], running
        finally:
            running.terminate()
            running.wait(timeout=10)


def refusal(*arguments: str) -> tuple[int, str]:
    ended = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=ENVIRONMENT, timeout=20, check=False
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def truth(url: str) -> list[dict]:
    return httpx.get(f"{url}/_sandbox/truth", params={"date": "2026-11-20"}, timeout=60).json()


def test_it_is_ready_soon_prints_one_line_and_nothing_after():
    started = time.monotonic()
    with process("--per-day", "30") as (url, running):
        assert time.monotonic() - started < START_SECONDS
        assert httpx.get(f"{url}/_sandbox").status_code == 200
        assert httpx.get(f"{url}/nothing").status_code == 404
        running.terminate()
        assert running.communicate(timeout=10) == ("", "")


def test_two_processes_serve_the_same_org_to_the_byte():
    arguments = ("--per-day", "32", "--days", "1", "--huge-mb", "3")
    with process(*arguments) as (one, _):
        first = truth(one)
        time.sleep(1.1)  # what is seeded with the time of day would differ in the second process
        with process(*arguments) as (two, _):
            assert truth(two) == first
    assert {"mp3", "ogg", "opus", "huge"} <= {each["kind"] for each in first}
    assert len({each["md5"] for each in first if each["size"]}) > 25


def test_a_huge_recording_is_served_whole_and_in_parts(files):
    with process("--bodies", "tiny", "--huge-mb", "20", "--per-day", "2") as (url, _):
        form = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
        token = httpx.post(f"{url}/oauth/token", data=form).json()["access_token"]
        record = truth(url)[0]
        media = httpx.get(f"{url}/api/v2/media/{record['id']}", headers={"Authorization": f"Bearer {token}"}).json()
        assert media["file_size"] == record["size"] == 20_000_000
        whole = files.get(media["download_url"]).content
        part = files.get(media["download_url"], headers={"Range": "bytes=15000000-15999999"})
        assert len(whole) == 20_000_000
        assert part.content == whole[15_000_000:16_000_000]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "192.0.2.1"), "listens on loopback only"),
        (("--host", "example.com"), "listens on loopback only"),
        (("--days", "0"), "days must be between 1 and"),
        (("--rules", "no-such-file.toml"), "no-such-file.toml"),
    ],
)
def test_it_refuses_what_cannot_work_in_one_sentence(arguments, said):
    code, stderr = refusal(*arguments)
    assert code == 2
    assert said in stderr
    assert "Traceback" not in stderr


def test_a_taken_port_is_named():
    with process("--bodies", "tiny") as (url, _):
        code, stderr = refusal("--port", url.rpartition(":")[2])
    assert code == 2
    assert "use --port 0" in stderr


def test_the_room_imports_no_other_room_and_no_dagster():
    for file in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not name.startswith("dagster"), file
                assert not name.startswith("media_pipeline") or name.startswith("media_pipeline.sandbox"), file
