"""What the operators' page says about the service runs as printed and holds."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from media_pipeline.messaging.inbox import Inbox, Pair
from media_pipeline.service.limits import Limits
from media_pipeline.service.tokens import SCOPES
from media_pipeline_tests.programs import program
from media_pipeline_tests.service.running import environment
from media_pipeline_tests.test_docs import ROOT
from media_pipeline_tests.voices import wav

SECTION = (ROOT / "docs/operators.md").read_text().split("\n## Service\n")[1].split("\n## ")[0]


def test_the_commands_take_a_message_into_the_inbox(tmp_path):
    program("curl")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    (tmp_path / "voice.wav").write_bytes(wav())
    variables = environment(
        {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PORT": port,
            "CONVERSATION_ID": "c-1",
            "MEDIA_ROOT": str(tmp_path / "root"),
            "MEDIA_SPOOL": str(tmp_path / "spool"),
            "MEDIA_MIN_AVAILABLE_MB": "1",
        }
    )
    for command in re.findall(r"^```(?:sh|console)\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE):
        done = subprocess.run(
            ["bash", "-euc", command], env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":"accepted"' in done.stdout
    (pair,) = Inbox(tmp_path / "inbox").scan()
    assert isinstance(pair, Pair)


def test_the_example_of_a_pair_is_one(tmp_path):
    (example,) = re.findall(r"^```json\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
    (tmp_path / "a.json").write_text(example.replace("0b3c...", "0b3c"))
    (tmp_path / "a.wav").write_bytes(bytes(48_044))
    (pair,) = Inbox(tmp_path).scan()
    assert isinstance(pair, Pair)


def test_routes_scopes_and_limits_stand_as_they_are(service):
    for route in service.app.routes:
        (method,) = route.methods
        assert f"`{method} {route.path.replace(':path', '')}`" in SECTION
    for scope in SCOPES:
        assert f"| `{scope}` |" in SECTION
        assert scope in (ROOT / ".env.example").read_text()
    limits = Limits()
    assert (limits.file_bytes, limits.form_bytes) == (12_000_000, 64 * 1024)
    for figure in (
        f"A head has {limits.head_seconds:.0f} s",
        f"a body {limits.body_seconds:.0f} s",
        f"{limits.requests} requests and {limits.connections:,} connections",
    ):
        assert figure in SECTION
