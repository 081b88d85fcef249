"""The event stream: what comes, in which order, from where on, and every way in which it may come."""

from __future__ import annotations

import json
import threading
import time

import httpx
import pytest

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline_tests.sandbox.conftest import logged_in
from media_pipeline_tests.sandbox.messaging.conftest import heard, moved, planted

PATH = "/api/v2/conversations/events"


def raw(api: httpx.Client, **headers: str) -> bytes:
    """The whole stream, of one that ends."""
    with api.stream("GET", PATH, headers=headers) as answer:
        return b"".join(answer.iter_raw())


def test_the_stream_tells_what_guests_sent_in_the_last_day_and_the_same_after_a_restart(sandbox, api, admin):
    kept = admin.get("/messaging/events").json()
    documents = [each["document"] for each in kept]
    files = [each["data"]["file"] for each in documents if "file" in each["data"]]
    assert len(files) > 12
    assert len(documents) > len(files)
    assert {each["type"] for each in documents} == {"conversation"}
    sent = {
        file["file_id"]: file
        for each in admin.get("/messaging/conversations").json()
        for m in each["messages"]
        for file in m["files"]
    }
    for file in files:
        true = sent[file["id"]]
        assert (file["name"], file["contentType"], file["size"]) == (true["name"], true["content_type"], true["size"])
    assert heard(api, len(kept)) == [(each["id"], each["document"]) for each in kept]
    offset = sandbox.state.clock.offset_seconds
    sandbox.restore()
    sandbox.state.clock.offset_seconds = offset
    assert admin.get("/messaging/events").json()[: len(kept)] == kept


def test_a_file_that_is_sent_now_is_heard_at_once_by_a_stream_that_is_open(api, admin, silent):
    found: list = []
    listener = threading.Thread(target=lambda: found.extend(heard(api, 1)))
    listener.start()
    time.sleep(0.3)
    assert not found
    made = planted(admin, name="photo.png")
    listener.join(5)
    ((_, document),) = found
    assert document["id"] == made["conversation_id"]
    assert document["data"]["file"]["id"] == made["file_id"]


def test_a_stream_resumes_behind_the_last_event_and_at_the_oldest_when_that_is_forgotten(api, admin, silent):
    made = planted(admin, count=10)["files"]
    first = heard(api, 4)
    rest = heard(api, 6, first[-1][0])
    assert [each["data"]["file"]["id"] for _, each in first + rest] == [each["file_id"] for each in made]
    admin.post("/messaging/events/keep", json={"newest": 3})
    assert heard(api, 3, first[-1][0]) == rest[3:]


def test_the_history_is_bounded(sandbox, admin, silent):
    sandbox.state.settings.event_history = 5
    made = planted(admin, count=9)["files"]
    kept = admin.get("/messaging/events").json()
    assert [each["document"]["data"]["file"]["id"] for each in kept] == [each["file_id"] for each in made[4:]]


def test_an_event_that_is_redelivered_has_a_new_id(sandbox, admin, silent):
    sandbox.break_with({"fault": "redelivery", "copies": 2})
    made = planted(admin)
    kept = admin.get("/messaging/events").json()
    assert len({each["id"] for each in kept}) == 3
    assert [each["document"]["data"]["file"]["id"] for each in kept] == [made["file_id"]] * 3
    assert len(admin.post("/messaging/events/redeliver").json()["ids"]) == 3
    assert len(admin.get("/messaging/events").json()) == 6


@pytest.mark.parametrize(("name", "newline"), [("lf", b"\n"), ("crlf", b"\r\n"), ("cr", b"\r")])
def test_a_stream_is_written_in_every_way_the_standard_allows(sandbox, api, admin, silent, name, newline):
    planted(admin, name="grüße \u202e😀.png")
    style = {"newline": name, "bom": True, "comments": True, "multiline": True, "nul_ids": True, "others": True}
    sandbox.break_with({"fault": "stream_style", **style, "split": 3}, {"fault": "stream_cut", "after_events": 1})
    found = raw(api)
    assert found.startswith(b"\xef\xbb\xbfretry: 3000" + newline * 2)
    lines = found.removeprefix(b"\xef\xbb\xbf").split(newline)
    assert b"id: not\0an id" in lines
    assert b"event: presence" in lines
    assert sum(line.startswith(b"data: ") for line in lines) > 8
    assert "grüße \u202e😀.png".encode() in found
    assert any(line.startswith(b":") for line in lines)


def test_what_is_split_arrives_in_pieces_of_characters(sandbox, api, admin, silent):
    planted(admin, name="😀😀😀😀")
    sandbox.break_with({"fault": "stream_style", "split": 3}, {"fault": "stream_cut", "after_events": 1})
    with api.stream("GET", PATH) as answer:
        pieces = list(answer.iter_raw())
    assert max(len(each) for each in pieces) <= 64
    assert any(broken(each) for each in pieces)


def broken(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return True
    return False


def test_a_stream_ends_after_so_many_events_or_bytes_or_is_broken_there(sandbox, api, admin, silent):
    planted(admin, count=5)
    sandbox.break_with(
        {"fault": "stream_cut", "after_events": 2, "times": 1}, {"fault": "stream_cut", "after_bytes": 100}
    )
    assert raw(api).count(b"data: ") == 2
    assert len(raw(api)) == 100
    sandbox.break_with({"fault": "stream_cut", "after_bytes": 100, "with_reset": True})
    with pytest.raises(httpx.HTTPError):
        raw(api)
    sandbox.break_with({"fault": "stream_cut", "after_events": 5, "drawn": True})
    assert len({raw(api).count(b"data: ") for _ in range(20)}) > 1


def test_a_stream_may_be_refused_sent_elsewhere_or_told_to_stop(sandbox, api, admin, silent):
    planted(admin)
    sandbox.break_with({"fault": "server_error", "on": "events", "times": 2})
    assert [api.get(PATH).status_code for _ in range(2)] == [503, 503]
    assert len(heard(api, 1)) == 1
    sandbox.break_with({"fault": "no_content"})
    assert api.get(PATH).status_code == 204
    sandbox.break_with({"fault": "redirect", "on": "events", "code": 307, "times": 1})
    answer = api.get(PATH)
    assert (answer.status_code, answer.headers["location"]) == (307, PATH)
    sandbox.break_with({"fault": "rate_limit", "on": "events", "wait": 7})
    assert api.get(PATH).headers["retry-after"] == "7"
    assert httpx.get(f"{sandbox.url}{PATH}").status_code == 401


def test_a_quiet_stream_has_heartbeats_and_events_of_other_kinds_come_as_they_are(sandbox, api, admin, silent):
    sandbox.state.settings.heartbeat_seconds = 1
    events = [{"document": {"type": "routing"}, "event": "other", "id": "a-1"}, {"raw_base64": "OiBoaQoK"}]
    admin.post("/messaging/events", json={"events": events})
    sandbox.break_with({"fault": "stream_cut", "after_bytes": 95})
    found = raw(api)
    assert b'event: other\nid: a-1\ndata: {"type": "routing"}\n\n: hi\n\n' in found
    assert b": heartbeat\n\n" in found


def test_what_is_to_come_is_heard_when_its_time_has_come(sandbox, api, admin):
    before = len(admin.get("/messaging/events").json())
    moved(sandbox, hours=6)
    after = admin.get("/messaging/events").json()
    assert len(after) > before
    assert len({each["id"] for each in after}) == len(after)


def test_an_open_stream_ends_with_the_sandbox_and_when_it_is_set_back(sandbox, api, admin, silent):
    planted(admin)
    with api.stream("GET", PATH) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        sandbox.restore()
        assert b"".join(pieces).endswith(b"\n\n")
    with running(SandboxOptions(port=0, bodies="tiny", per_day=1, days=1)) as other:
        client = logged_in(other.url)
        answer = client.send(client.build_request("GET", PATH), stream=True)
        pieces = answer.iter_raw()
        next(pieces)
    list(pieces)
    client.close()


def test_a_stream_may_break_before_it_begins_and_may_drip(sandbox, api, admin, silent):
    planted(admin)
    sandbox.break_with({"fault": "reset", "on": "events", "headers": False, "times": 1})
    with pytest.raises(httpx.TransportError):
        raw(api)
    sandbox.break_with(
        {"fault": "slow_drip", "on": "events", "bytes_per_second": 200}, {"fault": "stream_cut", "after_bytes": 60}
    )
    with api.stream("GET", PATH) as answer:
        pieces = [len(each) for each in answer.iter_raw()]
    assert (sum(pieces), max(pieces)) == (60, 20)


def test_fifty_broken_connections_lose_and_repeat_nothing_for_who_resumes(sandbox, api, admin, silent):
    made = planted(admin, count=2_000)["files"]  # 510 kB, more than fifty pieces of 8 kB
    cut = {"fault": "stream_cut", "after_bytes": 8_000, "drawn": True, "with_reset": True, "times": 50}
    sandbox.break_with(cut)
    found: list[str] = []
    last, broken_off = None, 0
    while len(found) < len(made):
        headers, rest = ({} if last is None else {"Last-Event-ID": last}), b""
        try:
            with api.stream("GET", PATH, headers=headers) as answer:
                for piece in answer.iter_raw():
                    *events, rest = (rest + piece).split(b"\n\n")
                    for lines in (event.decode().split("\n") for event in events if b"data: " in event):
                        last = lines[0].removeprefix("id: ")
                        found.append(json.loads(lines[1].removeprefix("data: "))["data"]["file"]["id"])
                    if len(found) >= len(made):
                        break
        except httpx.HTTPError:
            broken_off += 1
    assert found == [each["file_id"] for each in made]
    assert broken_off == 50
