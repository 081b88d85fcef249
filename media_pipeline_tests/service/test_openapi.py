"""The service under schemathesis, with its own OpenAPI document: no 5xx, and nothing but what is documented."""

import subprocess
import sys
from pathlib import Path

import pytest

from media_pipeline.service.tokens import SCOPES, new_token
from media_pipeline_tests.service.running import environment, process

SECONDS = 45
CHECKS = """
[checks]
# 415 for what is no audio, or is declared to be another kind: no schema can say so
positive_data_acceptance.expected-statuses = ["2xx", "409", "415"]

[[operations]]
include-path = "/api/stream/{recording_id}"
# no schema can say which recordings there are, and which links were signed
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "403", "404", "416"]
"""
PHASES = "examples,coverage,fuzzing,stateful"


@pytest.mark.parametrize("seed", [1])
def test_schemathesis_finds_nothing(tmp_path, seed):
    token, entry = new_token("all", SCOPES)
    (tmp_path / "schemathesis.toml").write_text(CHECKS)
    with process(tmp_path, MEDIA_SERVICE_TOKENS=entry) as service:
        url = service.running.url
        done = subprocess.run(
            [
                *(Path(sys.executable).with_name("st"), "run", f"{url}/openapi.json"),
                *("--header", f"Authorization: Bearer {token}", "--phases", PHASES, "--max-time", str(SECONDS)),
                *("--seed", str(seed), "--continue-on-failure", "--generation-database", "none", "--no-color"),
            ],
            cwd=tmp_path,
            env=environment({"SCHEMATHESIS_HOOKS": "media_pipeline_tests.service.audio_hooks"})
            | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=SECONDS * 4,
        )
        assert done.returncode == 0, done.stdout + service.log.read_text()
        headers = {"Authorization": f"Bearer {token}"}
        figures = service.running.call("GET", "/metrics", headers=headers).text
        for status in ("202", "415", "422"):  # it came past the door, too
            assert f'route="/voice-messages",status="{status}"' in figures
        assert 'status="5' not in figures
        assert service.end() == 0
