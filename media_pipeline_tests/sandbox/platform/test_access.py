"""Tokens, permissions, the rate limit and the clock: what every published operation has in common."""

from __future__ import annotations

import datetime as dt
import time
from email.utils import parsedate_to_datetime

import httpx
import pytest

from media_pipeline_tests.sandbox.platform.conftest import DAY, DETAILS


@pytest.mark.parametrize(
    ("method", "path", "lacks", "code"),
    [
        ("POST", f"{DETAILS}/jobs", "analytics:conversationDetail:view analytics:agentConversationDetail:view",
         "missing.any.permissions"),
        ("GET", f"{DETAILS}/jobs/availability", "analytics:conversationDetail:view", "missing.any.permissions"),
        ("GET", "/api/v2/recordings/retention/query", "recording:recording:view", "missing.any.permissions"),
        ("GET", "/api/v2/oauth/clients/sandbox-client", "oauth:client:view", "missing.any.permissions"),
        ("PUT", "/api/v2/recording/settings", "recording:settings:editUrlExpiration", "missing.permissions"),
    ],
)  # fmt: skip
def test_a_missing_permission_is_a_403_that_names_it(api, method, path, lacks, code):
    held = api.put("/_sandbox/permissions", json={"lacks": lacks.split()}).json()
    assert held["lacks"] == sorted(lacks.split())
    answer = api.request(method, path, json={} if method != "GET" else None)
    assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert all(name in answer.json()["message"] for name in lacks.split())
    assert answer.json()["messageParams"]["permissions"].split(", ") == lacks.split()


def test_one_of_several_permissions_is_enough(api):
    api.put("/_sandbox/permissions", json={"lacks": ["analytics:conversationDetail:view"]})
    assert api.post(f"{DETAILS}/jobs", json={"interval": DAY}).status_code == 202
    assert api.put("/_sandbox/permissions", json={"lacks": ["recording:nothing:view"]}).status_code == 400


def test_a_token_may_be_revoked_in_the_middle(sandbox, api):
    sandbox.break_with({"fault": "revoke_token", "after_calls": 2, "times": 1})
    statuses = [api.get("/api/v2/tokens/me").status_code for _ in range(4)]
    assert statuses == [200, 200, 401, 401]


def test_over_the_rate_the_answer_is_429_in_the_published_words(sandbox, api):
    sandbox.state.settings.rate_limit, sandbox.state.settings.rate_window_seconds = 3, 2
    for count in (1, 2, 3):
        answer = api.get("/api/v2/tokens/me")
        assert answer.status_code == 200
        assert (answer.headers["inin-ratelimit-count"], answer.headers["inin-ratelimit-allowed"]) == (str(count), "3")
        assert 0 < int(answer.headers["inin-ratelimit-reset"]) <= 2
        assert answer.headers["inin-correlation-id"]
    limited = api.get("/api/v2/recordings/quota")  # both dialects share the window
    wait = limited.headers["retry-after"]
    assert limited.status_code == 429
    assert limited.json() == {
        "message": f"Rate limit exceeded the maximum. Retry the request in [{wait}] seconds",
        "code": "too.many.requests.retry.after",
        "status": 429,
        "contextId": limited.headers["inin-correlation-id"],
        "details": [],
        "errors": [],
    }
    assert httpx.get(f"{sandbox.url}/_sandbox/stats").json()["requests"]["quota"] == {"429": 1}
    time.sleep(int(wait))
    assert api.get("/api/v2/tokens/me").status_code == 200


def test_a_skewed_clock_shows_in_the_date_and_in_every_time(sandbox, api):
    api.put("/_sandbox/clock", json={"offset_seconds": 300})
    answer = api.get(f"{DETAILS}/jobs/availability")
    skew = parsedate_to_datetime(answer.headers["date"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(seconds=295) < skew <= dt.timedelta(seconds=301)


def test_a_body_over_the_published_maximum_is_413(api):
    answer = api.post(f"{DETAILS}/jobs", content=b" " * 512_001)
    assert (answer.status_code, answer.json()["status"]) == (413, 413)


def test_what_one_recording_was_asked_for_is_counted(api, of):
    record = of(transcript="available", kind="ordinary")
    ids = (record["platform"]["conversation_id"], record["id"])
    api.get("/api/v2/conversations/{}/recordingmetadata/{}".format(*ids))
    api.get("/api/v2/conversations/{}/recordingmetadata/stranger".format(*ids))
    counted = api.get("/_sandbox/stats", params={"recordings": 1}).json()["recordings"]
    assert list(counted) == [record["id"]]
    assert (counted[record["id"]]["metadata"], counted[record["id"]]["media"]) == (1, 0)


def test_what_is_not_published_is_404_and_other_methods_too(api):
    assert api.get("/api/v2/conversations/x/recordings/y/z").status_code == 404
    assert api.delete("/api/v2/recording/settings").status_code == 404


@pytest.mark.parametrize("minutes", [1, 61, "5", True, None])
def test_links_live_two_to_sixty_minutes(api, minutes):
    assert api.put("/api/v2/recording/settings", json={"recordingPlaybackUrlTtl": minutes}).status_code == 400


def test_unknown_roles_clients_and_namespaces_are_404(api):
    for path in ("oauth/clients/x", "authorization/roles/x", "organizations/limits/namespaces/x"):
        assert api.get(f"/api/v2/{path}").status_code == 404
    limits = api.get("/api/v2/organizations/limits/namespaces/recording").json()["entities"]
    assert limits == [{"key": "batch.download.request.max", "namespace": "recording", "value": 100}]
