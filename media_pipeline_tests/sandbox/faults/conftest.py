"""Recordings of a sandbox and how they are fetched, whatever fault hits them."""

from __future__ import annotations

import httpx
import pytest

DAY = "start_time:2026-11-20T00:00:00Z end_time:2026-11-21T00:00:00Z"


@pytest.fixture
def ids(sandbox, api) -> list[str]:
    """Ordinary recordings of the last day, with transcripts."""
    records = api.get("/_sandbox/truth", params={"date": "2026-11-20", "body": 0}).json()
    return [each["id"] for each in records if (each["kind"], each["transcript"]) == ("ordinary", "available")]


@pytest.fixture
def fetch(api, files, ids):
    """Fetch the first ordinary recording by a fresh link."""

    def fetch(**headers: str) -> httpx.Response:
        return files.get(fresh(api, ids[0]), headers={name.replace("_", "-"): text for name, text in headers.items()})

    return fetch


def fresh(api: httpx.Client, recording_id: str) -> str:
    return api.get(f"/api/v2/recordings/{recording_id}/download").json()["download_url"]


def listing(api: httpx.Client, **arguments) -> list[dict]:
    return api.get("/api/v2/recordings", params={"query": DAY, "pageSize": 200, **arguments}).json()["entities"]
