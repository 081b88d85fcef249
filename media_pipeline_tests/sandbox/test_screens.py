"""Screen recordings are real films, and an interaction's media are its conversation's recordings."""

import datetime as dt
import io

import av
import httpx
import pytest

from media_pipeline.sandbox import video
from media_pipeline_tests.sandbox.conftest import END


@pytest.fixture
def api(org):
    form = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    token = httpx.post(f"{org.url}/oauth/token", data=form).json()["access_token"]
    with httpx.Client(base_url=org.url, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def brightness(data: bytes) -> list[float]:
    """Mean grey of each frame, 0 to 255."""
    with av.open(io.BytesIO(data)) as file:
        return [float(frame.to_ndarray(format="gray").mean()) for frame in file.decode(video=0)]


@pytest.mark.parametrize("container", ["mp4", "webm"])
@pytest.mark.parametrize("look", range(video.LOOKS))
def test_a_screen_recording_begins_black_and_then_shows_a_desktop(container, look):
    levels = brightness(video.screen(container, look))
    assert len(levels) == video.FRAMES_PER_SECOND * video.SECONDS
    assert max(levels[: video.BLANK_FRAMES]) < 20
    assert min(levels[video.BLANK_FRAMES :]) > 60


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_a_film_is_made_of_the_same_bytes_every_time(container):
    first = video.screen(container, 2)
    video.screen.cache_clear()
    assert video.screen(container, 2) == first


def test_the_org_has_screen_recordings_of_both_formats(org):
    kinds = {}
    for day in (END, END - dt.timedelta(days=1)):
        kinds |= {r["format"]: r for r in org.truth(day).values() if r["kind"] == "screen"}
    assert set(kinds) == {"mp4", "webm"}


def test_an_interactions_media_are_the_recordings_that_name_it(org, api):
    truth = org.truth(END)
    seen = set()
    for recording_id, record in truth.items():
        if record["conversation_id"] is None:
            continue
        entities = api.get(f"/api/v2/interactions/{record['conversation_id']}/media").json()["entities"]
        ids = [entity.get("recordingMediaId") for entity in entities]
        assert (recording_id in ids) == (record["status"] == "complete")
        for entity in entities:
            assert set(entity) <= {"mediaType", "storageLocation", "recordingMediaId"}
            seen.add(entity["mediaType"])
    assert seen == {"voice", "screen", "chat", "email", "message"}


def test_an_interactions_link_leads_to_the_recordings_bytes(org, api):
    (screen,) = [record for record in org.truth(END).values() if record["kind"] == "screen"]
    (entity,) = api.get(f"/api/v2/interactions/{screen['conversation_id']}/media").json()["entities"]
    assert len(httpx.get(entity["storageLocation"]["url"]).content) == screen["size"]
    assert api.get("/api/v2/interactions/unknown/media").status_code == 404


def test_a_fault_swaps_the_film_and_its_checksum(org, api):
    ((screen_id, screen),) = [(i, r) for i, r in org.truth(END).items() if r["kind"] == "screen"]
    org.break_with({"fault": "screen_variant", "kind": "audio_only", "ids": [screen_id]})
    entity = api.get(f"/api/v2/media/{screen_id}").json()
    data = httpx.get(entity["download_url"]).content
    assert entity["file_size"] == len(data) != screen["size"]
    with av.open(io.BytesIO(data)) as file:
        assert [stream.type for stream in file.streams] == ["audio"]
