"""Runs that listen to, or look into, what guests of a sandbox do."""

import pytest

from media_pipeline.genesys import guide_events
from media_pipeline_tests.messaging_org import Listener

DIALECTS = ["guide", "platform"]


@pytest.fixture(autouse=True)
def _short_silences(monkeypatch):
    monkeypatch.setattr(guide_events, "QUIET_SECONDS", 1.0)
    monkeypatch.setattr(guide_events, "PROBE_QUIET_SECONDS", 0.5)


@pytest.fixture
def listener(guests, tmp_path, instance):
    """Of the guide dialect."""
    return Listener.of(guests.sandbox.url, tmp_path, instance, "guide")


@pytest.fixture
def poller(guests, tmp_path, instance):
    """Of the platform dialect."""
    return Listener.of(guests.sandbox.url, tmp_path, instance, "platform")


def gapless(result):
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "events_gapless"]
    return check


def files(rows):
    return [row["file_id"] for row in rows]
