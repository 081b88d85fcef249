"""The command line as a person uses it: real processes, real output."""

import datetime as dt
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from media_pipeline.exporter import RecordingExporter
from media_pipeline_tests.harness import DAY, Export, settings_for, variables_for
from media_pipeline_tests.programs import program

ROOT = Path(__file__).parents[1]
PROGRAM = str(Path(sys.executable).with_name("media-pipeline"))


def run(*arguments: str, folder: Path, url: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = variables_for(url, folder) | {"COLUMNS": "200"}
    return subprocess.run(
        [PROGRAM, *arguments], env=environment | variables, cwd=folder, capture_output=True, text=True, timeout=120
    )


def test_a_range_of_days_is_exported_with_one_line_of_result(org, tmp_path):
    done = run("export", "--from", str(DAY - dt.timedelta(days=1)), "--to", str(DAY), folder=tmp_path, url=org.url)
    assert "2 day(s): " in done.stdout
    assert "stored" in done.stdout
    assert done.returncode == 2
    assert "Not complete: see status, reason and detail in recording_audio" in done.stderr


def test_an_empty_day_is_a_success(org, tmp_path):
    done = run("export", "--date", str(DAY - dt.timedelta(days=20)), folder=tmp_path, url=org.url)
    assert done.returncode == 0, done.stderr
    assert "1 day(s): no recordings" in done.stdout


def test_single_recordings_are_exported_again_into_their_own_day(org, tmp_path):
    one = org.ordinary(1)[0]
    other = org.ordinary(1, DAY - dt.timedelta(days=1))[0]
    done = run("export", "--recording", one, "--recording", other, folder=tmp_path, url=org.url)
    assert "2 day(s): " in done.stdout
    assert "2 stored" in done.stdout
    assert org.stats()["recordings"][one]["file"] == 1


def test_a_recording_that_the_source_has_no_more_stays_stored_and_the_command_says_so(org, tmp_path):
    one = org.ordinary(1)[0]
    first = Export.run(org, tmp_path)
    org.break_with({"fault": "not_found", "on": "media", "ids": [one]})
    done = run("export", "--recording", one, folder=tmp_path, url=org.url)
    assert "What is stored of 1 of them stayed" in done.stdout
    assert Export(first.settings, DAY, first.result).audio == first.audio


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Say what to export in one way"),
        (("--from", "2026-11-01"), "Say what to export in one way"),
        (("--date", "2026-11-01", "--recording", "x"), "Say what to export in one way"),
        (("--date", "tomorrow"), "'tomorrow' is not a day such as 2026-11-20"),
        (("--date", "2099-01-01"), "2099-01-01 is not finished"),
        (("--recording", "no-such-recording"), "Genesys Cloud does not know"),
        (("--recording", ""), "The recording's id is empty"),
    ],
)
def test_what_cannot_be_exported_gets_a_sentence_and_no_traceback(org, tmp_path, arguments, sentence):
    done = run("export", *arguments, folder=tmp_path, url=org.url)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_of_export_names_ids_and_exit_codes(tmp_path):
    text = run("export", "--help", folder=tmp_path).stdout
    assert re.search(r"--recording +ID +One recording again", text)
    assert "Exit code 0: every day is complete." in text


def test_missing_credentials_get_a_sentence_and_no_traceback(org, tmp_path):
    done = run("export", "--date", str(DAY), folder=tmp_path, url=org.url, GENESYS_CLIENT_SECRET="")
    assert done.returncode == 2
    assert "GENESYS_CLIENT_SECRET is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_first_cause_of_a_failed_day_is_told(org, export):
    from media_pipeline.exporter import _why

    assert _why(export("http://127.0.0.1:9").result).startswith("No answer from 127.0.0.1 to 'token'")
    assert _why(export(org, client_id="").result).startswith("GENESYS_CLIENT_ID is not set")


def test_the_exporter_returns_the_guides_figures(org, tmp_path):
    result = RecordingExporter(settings_for(org.url, tmp_path)).export_range(DAY, DAY)
    assert result["total_bytes"] == org.stats()["bytes"]["file"]
    assert result["throughput_mbps"] == pytest.approx(result["total_bytes"] / 1e6 / result["elapsed_seconds"])
    assert result["recordings"]["stored"] > 0
    assert result["complete"] is False


def test_the_exporter_takes_moments_by_their_utc_day(org, tmp_path):
    midnight = dt.datetime.combine(DAY + dt.timedelta(days=1), dt.time(), dt.UTC)
    result = RecordingExporter(settings_for(org.url, tmp_path)).export_range(midnight - dt.timedelta(days=1), midnight)
    assert result["days"] == 1


def test_the_demo_shows_an_analysts_answers_and_fetches_nothing_twice(tmp_path):
    first = run("demo", "--root", "demo", "--per-day", "40", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    for answer in (
        "How much of the day do we have?",
        "What is available, and why not?",
        "What does it take to keep it?",
        "Who speaks how much?",
        "equals its SHA-256",
        "demo/tables/",
    ):
        assert answer in first.stdout
    second = run("demo", "--root", "demo", "--per-day", "40", folder=tmp_path)
    assert "0 MB in" in second.stdout


def test_a_demo_that_cannot_be_played_gets_a_sentence_and_no_traceback(tmp_path):
    data = tmp_path / "data"
    data.touch()
    for arguments, sentence in (
        (("--root", "data"), f"MEDIA_ROOT={data} cannot be written"),
        (("--dialect", "platform"), f"MEDIA_ROOT={data / 'demo'} cannot be written"),
        (("--dialect", "guide"), f"MEDIA_ROOT={data / 'demo-guide'} cannot be written"),
        (("--per-day", "99999999"), "The sandbox did not start"),
        (("--per-day", "0"), "Invalid value for '--per-day'"),
    ):
        done = run("demo", *arguments, folder=tmp_path)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_make_dev_starts_dagster_only_beside_its_own_sandbox(tmp_path):
    for name in ("requirements.lock", "pyproject.toml", "dagster.yaml.example"):
        (tmp_path / name).touch()
    programs = tmp_path / "venv/bin"
    programs.mkdir(parents=True)
    (programs / "media-pipeline").symlink_to(PROGRAM)
    for name in ("python", "dagster"):
        (programs / name).write_text("#!/bin/sh\necho dagster started\n")
        (programs / name).chmod(0o755)
    (tmp_path / "venv/.installed").touch()

    def make_dev(port: int) -> subprocess.CompletedProcess[str]:
        command = [program("make"), "-f", str(ROOT / "Makefile"), "dev", "VENV=venv", f"SANDBOX_PORT={port}"]
        environment = variables_for("", tmp_path)
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        taken = make_dev(port)
    assert taken.returncode != 0
    assert "The sandbox did not start. Another port: make dev SANDBOX_PORT=" in taken.stderr
    assert "dagster started" not in taken.stdout
    own = make_dev(port)
    assert own.returncode == 0, own.stderr
    assert own.stdout.splitlines() == [f"sandbox listening on http://127.0.0.1:{port}", "dagster started"]


def test_the_sandbox_takes_permissions_and_a_rate_as_its_module_does(tmp_path):
    refused = run("sandbox", "--port", "0", "--lacks", "no:such:permission", folder=tmp_path)
    assert refused.returncode == 2
    assert "Unknown permission 'no:such:permission'" in refused.stderr
    assert refused.stderr.count("conversation:communication:view") == 1
    for option, value, sentence in (
        ("--rate-limit", "-1", "rate_limit must be between"),
        ("--end", "foo", "'foo' is not a day such as 2026-11-20."),
        ("--rules", "nosuch.toml", "nosuch.toml cannot be read (No such file or directory)."),
    ):
        refused = run("sandbox", "--port", "0", option, value, folder=tmp_path)
        assert refused.returncode == 2
        assert refused.stderr.strip().startswith(sentence)
