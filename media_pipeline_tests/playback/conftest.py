"""One exported day and one that is not, both of calls that speak, and a player for them."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from media_pipeline.build import build_definitions
from media_pipeline.playback.redacted import joined
from media_pipeline.privacy.silence import Span, silenced
from media_pipeline.sandbox.running import RunningSandbox
from media_pipeline_tests.harness import DAY, Export, Org, expected_of
from media_pipeline_tests.playback.serving import Served, served

BEFORE = DAY - dt.timedelta(days=1)


@dataclass(frozen=True)
class Call:
    """A recording and all of its bytes."""

    recording_id: str
    content: bytes


@pytest.fixture(scope="session")
def exported(_speaking: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """DAY of the speaking org, archived."""
    _speaking.restore()
    return Export.run(Org(_speaking), tmp_path_factory.mktemp("playback"))


@pytest.fixture(scope="session")
def archived(exported: Export) -> Call:
    """A WAV of some blocks."""
    row = next(
        row
        for row in exported.rows("recording_audio")
        if (row["object_key"] or "").endswith(".wav.gz") and row["source_size_bytes"] > 500_000
    )
    return Call(row["recording_id"], gzip.decompress(exported.bytes_of(row["object_key"])))


@pytest.fixture(scope="session")
def elsewhere(_speaking: RunningSandbox) -> Call:
    """A WAV of a day that was never exported."""
    org = Org(_speaking)
    listed = httpx.get(f"{org.url}/_sandbox/truth", params={"date": str(BEFORE), "body": "0"}, timeout=60).json()
    wavs = sorted(each["id"] for each in listed if each["format"] == "wav" and expected_of(each)[0] == "stored")
    calls = (Call(each, body_of(org, each)) for each in wavs)
    return next(call for call in calls if len(call.content) > 500_000)


@pytest.fixture(scope="session")
def _player(exported: Export) -> Iterator[Served]:
    with served(exported.settings) as player:
        yield player


@pytest.fixture
def player(_player: Served, speaking_org: Org) -> Served:
    """The player of both days, with an org at peace."""
    return _player


def body_of(org: Org, recording_id: str) -> bytes:
    """A recording's bytes as the org gives them."""
    token = httpx.post(
        f"{org.url}/oauth/token",
        data={"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"},
    ).json()["access_token"]
    media = httpx.get(f"{org.url}/api/v2/media/{recording_id}", headers={"Authorization": f"Bearer {token}"}).json()
    return httpx.get(media["download_url"]).content


def heard_of(exported: Export, call: Call) -> bytes:
    """A WAV with silence where its transcript is redacted, made at once from the whole of it."""
    rows = [row for row in exported.rows("diarized_transcripts") if row["recording_id"] == call.recording_id]
    spans = [Span(*span) for span in joined((row["start_ms"], row["end_ms"]) for row in rows if row["pii_redacted"])]
    return b"".join(now for _, now in silenced([call.content], spans))


@pytest.fixture(scope="session")
def drawn(exported: Export) -> Export:
    """The exported day, drawn and indexed for its pages."""
    job = build_definitions(exported.settings).resolve_job_def("playback_daily")
    config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    assert job.execute_in_process(partition_key=str(DAY), run_config=config).success
    return exported
