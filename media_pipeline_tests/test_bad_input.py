"""Bad input gets one clear sentence that says what, which and what to do; nothing is lost, nothing is downloaded."""

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from media_pipeline.exporter import ExportFailed, RecordingExporter
from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.settings import Settings
from media_pipeline_tests.harness import DAY, assert_is_truth, settings_for, variables_for


def test_missing_credentials_are_named_and_no_request_is_made(org, export):
    failure = export(org, client_id="", client_secret="").failure
    assert "GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET are not set" in failure
    assert "GENESYS_CLIENT_SECRET is not set" in export(org, client_secret="").failure
    assert org.stats()["requests"] == {}


def test_a_wrong_secret_stops_the_run_at_once(org, export):
    done = export(org, client_secret="not-the-secret")
    assert "refused the client credentials" in done.failure
    assert "Check GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET" in done.failure
    assert "not-the-secret" not in done.all_text
    assert max(org.stats()["requests"]["token"].values()) <= 2, "one try per step that could still run"


def test_an_unknown_region_names_the_known_ones(export):
    failure = export("", region="mypurecloud.example", base_url="").failure
    assert "GENESYS_REGION='mypurecloud.example' is not a Genesys Cloud region" in failure
    assert "mypurecloud.de" in failure


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"base_url": "http://api.mypurecloud.com"}, "GENESYS_BASE_URL uses http to api.mypurecloud.com"),
        ({"login_url": "http://login.mypurecloud.com"}, "GENESYS_LOGIN_URL uses http to login.mypurecloud.com"),
        ({"base_url": "api.mypurecloud.com"}, "GENESYS_BASE_URL is not a URL"),
        ({"base_url": "https://user:pw@api.mypurecloud.com"}, "must not carry credentials"),
        ({"root": "gs://bucket"}, "is neither a path nor s3://"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(org, export, changes, sentence):
    done = export(org, **changes)
    assert sentence in done.failure
    assert "pw@" not in done.failure
    assert org.stats()["requests"] == {}


def test_an_unreachable_host_is_named(export):
    failure = export("http://127.0.0.1:9").all_text
    assert "No answer from 127.0.0.1 to 'token'" in failure
    assert "Check the network" in failure


def test_a_media_root_that_cannot_be_written_is_named(org, export, tmp_path):
    (tmp_path / "media").write_text("a file, not a folder")
    assert "cannot be written" in export(org).failure
    assert f"MEDIA_ROOT={tmp_path / 'media'}" in export(org).failure


def test_a_spool_that_cannot_be_written_is_named(org, export, tmp_path):
    (tmp_path / "spool").write_text("a file, not a folder")
    assert f"MEDIA_SPOOL={tmp_path / 'spool'} cannot be written" in export(org).failure


@pytest.mark.parametrize("place", ["root", "spool"])
def test_the_sentence_is_ours_and_not_the_systems_also_from_the_exporter(org, tmp_path, place):
    (tmp_path / "file").touch()
    exporter = RecordingExporter(settings_for(org.url, tmp_path, **{place: str(tmp_path / "file")}))
    with pytest.raises(ExportFailed, match=f"MEDIA_{place.upper()}=.*cannot be written"):
        exporter.export_range(DAY, DAY)


def test_too_little_space_on_the_disk_stops_before_the_first_download(org, export):
    free_mb = shutil.disk_usage("/").free // 1_000_000
    done = export(org, min_available_mb=free_mb * 10)
    assert "MB left, less than MEDIA_MIN_AVAILABLE_MB" in done.failure
    assert org.media_requests() == 0
    assert done.rows("recording_inventory"), "the inventory is kept"


def test_too_little_storage_at_the_source_stops_before_the_first_download(org, export):
    import httpx

    before = org.sandbox.state.settings.storage_limit_mb
    httpx.put(f"{org.url}/_sandbox/options", json={"storage_limit_mb": 500}).raise_for_status()
    try:
        done = export(org)
    finally:
        org.sandbox.state.settings.storage_limit_mb = before
    assert "Genesys Cloud has" in done.failure
    assert "raise the quota or lower the limit" in done.failure
    assert org.media_requests() == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB; needs root, which CI is."""
    place = tmp_path / "media"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must be able to mount a small file system.")
        pytest.skip("mount: needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up_stops_the_run_and_loses_nothing(speaking_org, export, small_disk):
    done = export(speaking_org, min_available_mb=0)
    assert "No space is left at MEDIA_ROOT" in done.failure
    for path in small_disk.rglob("*.gz"):
        subprocess.run(["gunzip", "-t", str(path)], check=True)
    assert not list((small_disk / ".staging").iterdir())
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    assert_is_truth(export(speaking_org, min_available_mb=0), speaking_org.truth())


def test_a_day_in_the_future_is_refused_by_dagster_and_by_the_exporter(org, tmp_path):
    tomorrow = DAY + dt.timedelta(days=2)
    with pytest.raises(ValueError, match=f"{tomorrow} is not finished: the newest day that can be exported is {DAY}"):
        RecordingExporter(settings_for(org.url, tmp_path)).export_range(tomorrow, tomorrow)
    run = materialize(org.url, tmp_path, str(tomorrow), SEVEN)
    assert run.returncode != 0
    assert f"partition key `{tomorrow}`" in run.stderr
    assert org.stats()["requests"] == {}


def test_ranges_that_make_no_sense_are_refused(org, tmp_path):
    exporter = RecordingExporter(settings_for(org.url, tmp_path))
    with pytest.raises(ValueError, match="swap the two days"):
        exporter.export_range(DAY, DAY - dt.timedelta(days=1))
    with pytest.raises(ValueError, match="before MEDIA_START_DATE"):
        exporter.export_range("2020-01-01", "2020-01-01")
    with pytest.raises(ValueError, match="is not a day such as"):
        exporter.export_range("yesterday", "today")
    with pytest.raises(ValueError, match="neither a date nor a text"):
        exporter.export_range(20261120, None)
    compact = f"{DAY + dt.timedelta(days=2):%Y%m%d}"  # also a day, whole
    with pytest.raises(ValueError, match=f"{DAY + dt.timedelta(days=2)} is not finished"):
        exporter.export_range(compact, compact)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEDIA_CONCURRENCY", "many"),
        ("MEDIA_CONCURRENCY", "0"),
        ("MEDIA_START_DATE", "01.01.2026"),
        ("GENESYS_REQUESTS_PER_MINUTE", "-1"),
        ("GENESYS_DIALECT", "klingon"),
        ("MEDIA_CODECS", "wav;mp3"),
        ("MEDIA_CODECS", ","),
        ("MEDIA_DOWNLOAD_HOSTS", "https://media.example.com/x"),
        ("MEDIA_DOWNLOAD_HOSTS", "media.example.com:8443"),
        ("MEDIA_DOWNLOAD_HOSTS", "*"),
        ("MEDIA_ROOT", "s3:bucket"),
    ],
)
def test_a_variable_that_does_not_parse_is_named_with_its_value(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=re.escape(f"{variable}='{value}' is not valid")):
        Settings.load()


def test_empty_variables_count_as_unset(monkeypatch):
    monkeypatch.setenv("MEDIA_CONCURRENCY", "")
    monkeypatch.setenv("MEDIA_CODECS", "WAV, .mp3")
    settings = Settings.load()
    assert settings.concurrency == 8
    assert settings.codecs == ("wav", "mp3")


def test_a_dotenv_file_is_read_and_the_environment_goes_before_it(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("GENESYS_CLIENT_ID=from-file\nMEDIA_CONCURRENCY=3\n")
    monkeypatch.setenv("MEDIA_CONCURRENCY", "5")
    monkeypatch.setenv("GENESYS_CLIENT_ID", "")  # so that monkeypatch takes away what the file sets
    settings = Settings.load()
    assert settings.concurrency == 5


def materialize(
    url: str, folder: Path, partition: str, select: str = "*", **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command of the contract, with nothing but its variables and those given."""
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    environment = variables_for(url, folder) | {"DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [dagster, "asset", "materialize", "-m", "media_pipeline.definitions"]
    return subprocess.run(
        [*command, "--select", select, "--partition", partition],
        env=environment | variables,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
    )


SEVEN = (
    "recording_inventory,storage_quota,recording_audio,diarized_transcripts,transcript_status,"
    "availability_report,storage_utilization"
)


def test_the_contracts_command_works_with_only_its_variables(org, tmp_path):
    import json

    run = materialize(org.url, tmp_path, str(DAY), SEVEN)
    assert run.returncode != 0, "a recording is still being prepared: the day is not complete"
    assert "DagsterAssetCheckFailedError" in run.stderr
    assert "sandbox-secret" not in run.stdout + run.stderr
    report = json.loads((tmp_path / f"media/reports/date={DAY}/availability.json").read_text())
    assert [entry["id"] for entry in report["files"]] == sorted(org.truth())
