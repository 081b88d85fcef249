"""conversation_events: each event that guests cause is one row, whatever the stream does."""

import base64
import datetime as dt
import json

import pytest

from media_pipeline.genesys import guide_events
from media_pipeline.genesys.event_decoder import ServerEvent
from media_pipeline.genesys.messaging_source import EventTally
from media_pipeline.messaging import events as draining
from media_pipeline.messaging.cursor import EventCursor
from media_pipeline.messaging.events import TABLE
from media_pipeline.tables.paths import cursor_key
from media_pipeline_tests.conversation_events.conftest import DIALECTS, files, gapless
from media_pipeline_tests.genesys.raw_server import RawServer, status, stream
from media_pipeline_tests.harness import settings_for
from media_pipeline_tests.messaging_org import Listener, today


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_guests_send_is_a_row_each_and_heard_once(guests, tmp_path, instance, dialect):
    listener = Listener.of(guests.sandbox.url, tmp_path, instance, dialect)
    sent = guests.send(30) + guests.send(1, name="ünï.pdf", sample="pdf", declared_size=77)
    first = listener.heard()
    assert (first["rows_added"], first["caught_up"], first["received_again"]) == (31, True, 0)
    rows = {row["file_id"]: row for row in listener.rows()}
    assert rows.keys() == {each["file_id"] for each in sent}
    for each in sent:
        row = rows[each["file_id"]]
        assert row["conversation_id"] == each["conversation_id"]
        assert row["message_id"] == (each["message_id"] if dialect == "platform" else None)
    odd = rows[sent[-1]["file_id"]]
    assert (odd["file_name"], odd["declared_type"], odd["size_bytes"]) == ("ünï.pdf", "application/pdf", 77)
    again = listener.heard()
    assert again["rows_added"] == 0
    assert len(listener.rows()) == 31
    assert guests.send(2)
    assert listener.heard()["rows_added"] == 2


def test_a_file_that_comes_again_under_a_new_event_id_is_two_events_of_one_file(guests, listener):
    sent = guests.send(5)
    guests.post("events/redeliver")
    listener.heard()
    rows = listener.rows()
    assert len(rows) == len({row["event_id"] for row in rows}) == 10
    assert sorted(set(files(rows))) == sorted(each["file_id"] for each in sent)


def test_the_same_event_again_is_no_row_and_one_with_another_content_is_said(guests, listener):
    guests.send(2)
    event, _ = guests.stream
    listener.heard()
    guests.post("events", events=[{"id": event["id"], "document": event["document"]}])
    heard = listener.heard()
    assert (heard["received"], heard["rows_added"], heard["same_id_other_content"]) == (1, 0, 0)
    guests.send(1)
    listener.heard()
    file = {**event["document"]["data"]["file"], "name": "x"}
    guests.post("events", events=[{"id": event["id"], "document": {**event["document"], "data": {"file": file}}}])
    heard = listener.heard()
    assert (heard["received"], heard["rows_added"], heard["same_id_other_content"]) == (1, 0, 1)


def test_a_server_that_counts_its_events_anew_costs_no_file(guests, listener):
    guests.send(2)
    listener.heard()
    yesterday = today() - dt.timedelta(days=1)
    listener.tables.write(TABLE, yesterday, listener.rows(today()))
    listener.tables.write(TABLE, today(), [])
    before = guests.stream
    names = {}
    for event in before:
        names[event["id"]] = f"other-{event['id']}"
        document = {
            **event["document"],
            "data": {"file": {**event["document"]["data"]["file"], "id": names[event["id"]]}},
        }
        guests.post("events", events=[{"id": event["id"], "document": document}])
    listener.tables.store.remove(cursor_key(f"{TABLE}.guide"))
    heard = listener.heard()
    assert (heard["received"], heard["rows_added"], heard["same_id_other_file"]) == (4, 2, 2)
    assert set(files(listener.rows(today()))) == set(names.values())
    assert all(row["event_id"].partition("#")[0] in names for row in listener.rows(today()))
    listener.tables.store.remove(cursor_key(f"{TABLE}.guide"))
    assert listener.heard()["rows_added"] == 0, "delivered once more, both are known"


def test_events_without_ids_are_kept_although_they_move_no_position(guests, listener):
    def say(name):
        document = {"id": "c", "type": "conversation", "data": {"file": {"id": name, "name": "n", "size": 5}}}
        raw = base64.b64encode(f"data: {json.dumps(document)}\n\n".encode()).decode()
        guests.post("events", events=[{"raw_base64": raw}])

    guests.send(1)
    listener.heard()
    for name in ("f-1", "f-2"):
        say(name)
        assert listener.heard()["rows_added"] == 1
    assert {"f-1", "f-2"} < set(files(listener.rows()))


def test_what_could_not_be_read_is_said_although_the_stream_fails_later(tmp_path, instance):
    event = b"id: 1\ndata: {\n\n"
    with RawServer([stream(event), status(403)]) as server:
        listener = Listener.of(server.url, tmp_path, instance, "guide")
        assert not listener.drain().success
    assert json.loads(listener.cursor.position) == ["", "1"], "it is not read again"
    (gap,) = listener.cursor.gaps
    assert "1 events could not be read" in gap.what


@pytest.mark.parametrize(
    "style",
    [
        {"newline": "cr"},
        {"newline": "crlf", "bom": True},
        {"comments": True, "multiline": True},
        {"split": 1},
        {"nul_ids": True},
        {"others": True},
    ],
    ids=str,
)
def test_however_the_stream_is_written_the_rows_are_the_same(guests, listener, style):
    guests.sandbox.break_with({"fault": "stream_style", "times": 0, **style})
    sent = guests.send(3, name="Grüße 😀.png")
    listener.heard()
    assert files(listener.rows()) == files(sorted(listener.rows(), key=lambda row: row["event_id"]))
    assert sorted(files(listener.rows())) == sorted(each["file_id"] for each in sent)
    assert {row["file_name"] for row in listener.rows()} == {"Grüße 😀.png"}


@pytest.mark.parametrize("data", ["", " ", "\n"])
def test_an_event_without_data_keeps_the_connection_and_is_no_gap(data):
    tally = EventTally()
    assert guide_events._read(ServerEvent("message", data, "7", has_id=True), tally) is None
    assert (tally.other_types, tally.malformed) == (1, 0)


def test_events_that_cannot_be_read_have_no_row_and_are_said(guests, listener, tmp_path):
    file = {"id": "f", "name": "n", "contentType": "c", "size": 5}
    odd = [
        {"document": {"id": "c", "type": "routing", "data": {"file": file}}},
        {"document": {"id": "c", "type": "conversation", "data": {}}},
        {"document": {"id": "c", "type": "conversation", "data": {"file": {**file, "size": 1 << 70}}}},
        {"document": {"id": "c", "type": "conversation", "data": {"file": {**file, "id": None}}}},
        {"document": {"type": "conversation", "data": {"file": file}}},
        {"document": {"id": "c" * 501, "type": "conversation", "data": {"file": file}}},
        {"document": {"id": "c", "type": "conversation", "data": {"file": {**file, "name": "n" * 5_000}}}},
    ]
    guests.post("events", events=odd)
    heard = listener.heard()
    assert (heard["rows_added"], heard["of_other_types"], heard["malformed"]) == (3, 1, 3)
    assert {row["size_bytes"] for row in listener.rows()} == {None, 5}
    assert max(len(row["file_name"] or "") for row in listener.rows()) == 1_000
    result = listener.drain()
    check = gapless(result)
    assert not check.passed
    assert "3 events could not be read" in check.description, "still told a minute later"
    logs = "".join(path.read_text() for path in (tmp_path / "media/audit").rglob("*.jsonl"))
    assert '"event": "events_unread"' in logs


def test_rows_are_durable_before_the_position_behind_them(guests, listener, monkeypatch):
    guests.send(10)

    def die(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(EventCursor, "publish", die)
        assert not listener.drain().success
    assert len(listener.rows()) == 10
    assert listener.cursor.position == ""
    heard = listener.heard()
    assert (heard["rows_added"], heard["received_again"]) == (0, 10)
    assert len(listener.rows()) == 10


def test_an_event_received_before_midnight_is_not_added_to_the_next_day(guests, listener, monkeypatch):
    guests.send(4)
    yesterday = today() - dt.timedelta(days=1)
    listener.heard()
    rows = listener.rows(today())
    listener.tables.write(TABLE, yesterday, rows)
    listener.tables.write(TABLE, today(), [])
    listener.tables.store.remove(cursor_key(f"{TABLE}.guide"))
    assert listener.heard()["rows_added"] == 0
    assert (len(listener.rows(yesterday)), len(listener.rows(today()))) == (4, 0)


def test_many_events_are_kept_a_thousand_at_a_time(guests, listener, monkeypatch):
    monkeypatch.setattr(draining, "FLUSH_EVENTS", 100)
    guests.send(1_050)
    positions = []
    publish = EventCursor.publish

    def noted(cursor, *where):
        positions.append(cursor.position)
        publish(cursor, *where)

    monkeypatch.setattr(EventCursor, "publish", noted)
    listener.heard()
    assert len(set(positions)) >= 11
    rows = listener.rows()
    assert [row["event_id"] for row in rows] == sorted({row["event_id"] for row in rows})


def test_breaks_of_the_stream_cost_no_event(guests, listener):
    guests.sandbox.break_with(
        {"fault": "stream_cut", "after_events": 40, "drawn": True, "times": 5},
        {"fault": "stream_cut", "after_bytes": 3_000, "drawn": True, "with_reset": True, "times": 5},
    )
    guests.sandbox.state.settings.event_retry_ms = 20
    sent = guests.send(400)
    heard = listener.heard()
    assert heard["connections"] > 10
    assert sorted(files(listener.rows())) == sorted(each["file_id"] for each in sent)


def test_no_link_no_token_and_no_text_is_kept(guests, poller, listener, tmp_path):
    (made,) = guests.send(1)
    guests.post("texts", conversation_id=made["conversation_id"], text="my card is 4111")
    for each in (poller, listener):
        each.heard()
        kept = json.dumps([{k: str(v) for k, v in row.items()} for row in each.rows()])
        kept += "".join(path.read_text() for path in tmp_path.rglob("*.json*"))
        assert "http" not in kept
        assert "4111" not in kept
        assert "Signature" not in kept


def test_the_archive_may_be_a_bucket(guests, s3_root, tmp_path, instance):
    settings = settings_for(guests.sandbox.url, tmp_path, root=s3_root)
    listener = Listener(settings, instance)
    sent = guests.send(5)
    assert listener.heard()["rows_added"] == 5
    sent += guests.send(5)
    assert listener.heard()["rows_added"] == 5
    assert listener.heard()["rows_added"] == 0
    assert sorted(files(listener.rows())) == sorted(each["file_id"] for each in sent)
