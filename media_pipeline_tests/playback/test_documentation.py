"""What the operators' page says about playback runs as printed and holds."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from media_pipeline.playback.app import OPEN_SECONDS, SOURCE_THREADS
from media_pipeline.playback.links import MAX_SECONDS
from media_pipeline.playback.ranges import MAX_RANGES, MAX_UNORDERED_RANGES
from media_pipeline.playback.refusals import REASONS
from media_pipeline_tests.harness import variables_for
from media_pipeline_tests.playback.conftest import Call
from media_pipeline_tests.playback.test_clients import program
from media_pipeline_tests.test_docs import ROOT

SECTION = (ROOT / "docs/operators.md").read_text().split("\n## Playback\n")[1].split("\n## ")[0]


def test_the_commands_fetch_a_recording_in_two_parts(exported, archived: Call, tmp_path: Path):
    program("curl")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    (commands,) = re.findall(r"^```console\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
    variables = variables_for("http://127.0.0.1:1", tmp_path) | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MEDIA_ROOT": exported.settings.root,
        "PORT": port,
        "RECORDING_ID": archived.recording_id,
    }
    done = subprocess.run(
        ["bash", "-euc", commands], env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "call.wav").read_bytes() == archived.content


def test_every_word_of_a_refusal_is_explained():
    assert {word for word in REASONS if word != "bad_request" and f"`{word}`" not in SECTION} == set()


def test_the_figures_are_those_of_the_code():
    for figure in (
        f"more than {MAX_RANGES} ranges",
        f"more than {MAX_UNORDERED_RANGES} that jump",
        f"At most {SOURCE_THREADS} recordings",
        f"no answer within {OPEN_SECONDS:g} s",
    ):
        assert figure in SECTION
    assert MAX_SECONDS == 7 * 24 * 3600
    assert "a week at most" in SECTION
