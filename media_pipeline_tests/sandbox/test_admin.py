"""`/_sandbox`: counters, clock, options, truth and the page for people."""

from __future__ import annotations

import threading
import time

import httpx
import pytest


def test_requests_and_bytes_are_counted_by_operation_and_by_recording(sandbox, api, files):
    records = api.get("/_sandbox/truth", params={"date": "2026-11-20"}).json()
    record = next(each for each in records if each["kind"] == "ordinary" and each["transcript"] == "available")
    media = api.get(f"/api/v2/media/{record['id']}").json()
    files.get(media["download_url"])
    files.get(media["download_url"], headers={"Range": "bytes=0-9"})
    files.get(api.get(f"/api/v2/recordings/{record['id']}/download").json()["download_url"] + "0")
    api.get(f"/api/v2/recordings/{record['id']}/transcript")
    api.get("/api/v2/media/stranger")
    counted = api.get("/_sandbox/stats", params={"recordings": 1}).json()
    assert counted["requests"]["media"] == {"200": 1, "404": 1}
    assert counted["requests"]["file"] == {"200": 1, "206": 1, "403": 1}
    ours = counted["recordings"][record["id"]]
    assert (ours["media"], ours["link"], ours["transcript"], ours["file"]) == (1, 1, 1, 3)
    assert ours["bytes"] == counted["bytes"]["file"] > record["size"] + 10
    assert list(counted["recordings"]) == [record["id"]]
    assert "recordings" not in api.get("/_sandbox/stats").json()
    assert api.post("/_sandbox/stats/reset").status_code == 200
    assert api.get("/_sandbox/stats").json() == {"requests": {}, "bytes": {}, "in_flight_max": 0}


def test_the_most_requests_at_once_are_known(sandbox, api):
    assert api.put("/_sandbox/options", json={"latency_ms": 200}).json()["latency_ms"] == 200
    threads = [threading.Thread(target=httpx.get, args=(f"{sandbox.url}/api/v2/recordings",)) for _ in range(4)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started >= 0.2
    assert api.get("/_sandbox/stats").json()["in_flight_max"] == 4


def test_the_truth_can_leave_out_bodies_and_is_empty_outside_the_org(api):
    quick = api.get("/_sandbox/truth", params={"date": "2026-11-20", "body": 0}).json()
    full = api.get("/_sandbox/truth", params={"date": "2026-11-20"}).json()
    assert [each["id"] for each in quick] == [each["id"] for each in full]
    assert not any("md5" in each for each in quick)
    assert api.get("/_sandbox/truth", params={"date": "2026-11-25"}).json() == []


def test_the_page_says_what_this_is_and_what_is_broken_on_purpose(sandbox, api):
    sandbox.break_with({"fault": "not_found", "match": "<script>*"})
    page = api.get("/_sandbox")
    assert page.headers["content-type"].startswith("text/html")
    for said in ("Genesys Cloud sandbox", "2026-11-18 to 2026-11-20", "not_found", "PUT /_sandbox/clock"):
        assert said in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", b'{"offset_seconds": "soon"}'),
        ("clock", b"[]"),
        ("options", b'{"colour": 3}'),
        ("options", b'{"link_seconds": -1}'),
        ("rules", b"not json"),
        ("rules", b'{"rule": []}'),
    ],
)
def test_a_change_that_makes_no_sense_is_a_400_with_a_reason(api, path, body):
    answer = api.put(f"/_sandbox/{path}", content=body)
    assert answer.status_code == 400
    assert len(answer.json()["message"]) > 20


@pytest.mark.parametrize(("method", "path"), [("GET", "nothing"), ("POST", "rules"), ("GET", "stats/reset")])
def test_other_operations_are_404(api, method, path):
    answer = api.request(method, f"/_sandbox/{path}")
    assert answer.status_code == 404
    assert answer.json()["status"] == 404
