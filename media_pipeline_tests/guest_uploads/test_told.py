"""guest_uploads: conversations are told what was kept of their files, once and completely."""

import datetime as dt

from media_pipeline.messaging.events import add_rows
from media_pipeline.messaging.pending import pending_files
from media_pipeline_tests.guest_uploads.conftest import requests
from media_pipeline_tests.messaging_org import today


def context_of(guests, conversation_id):
    (found,) = [each for each in guests.get("conversations") if each["conversation_id"] == conversation_id]
    return found["context"], found["attributes"].get(found["guest_participant_id"], {})


def test_conversations_are_told_with_the_switch_on_and_once(guests, keeper):
    (sent,) = guests.send(1, name="Scan 1.png")
    rows = keeper.kept()
    row = rows[sent["file_id"]]
    assert row["context"] == "would_send"
    writer = keeper.with_settings(allow_write_back=True)
    (told,) = writer.kept_again().values()
    assert told == row | {"context": "sent"}
    context, attributes = context_of(guests, sent["conversation_id"])
    expected = {
        "media_processed": True,
        "original_filename": "Scan 1.png",
        "content_type": "image/png",
        "file_size": row["size_bytes"],
        "sha256_checksum": row["sha256"],
        "object_key": row["object_key"],
    }
    if keeper.settings.dialect == "guide":
        assert (context, attributes) == (expected, {})
    else:
        texts = {f"guest_upload.{key}": str(value) for key, value in expected.items()}
        assert (context, attributes) == ({}, texts | {"guest_upload.media_processed": "true"})
    writer.kept_again()
    assert requests(guests, "context") + requests(guests, "participant_attributes") == 1


def test_files_of_one_conversation_do_not_take_each_others_facts_away(guests, keeper):
    keeper = keeper.with_settings(allow_write_back=True)
    (first,) = guests.send(1)
    keeper.kept()
    (second,) = guests.send(1, sample="pdf", conversation_id=first["conversation_id"])
    rows = keeper.kept()
    context, attributes = context_of(guests, first["conversation_id"])
    found = context or {key.removeprefix("guest_upload."): value for key, value in attributes.items()}
    for each in (first, second):
        assert found[f"object_key.{each['file_id']}"] == rows[each["file_id"]]["object_key"]
        assert found[f"sha256_checksum.{each['file_id']}"] == rows[each["file_id"]]["sha256"]
    assert found["object_key"] in {row["object_key"] for row in rows.values()}
    assert "http" not in str(found)


def test_a_conversation_that_goes_on_the_next_day_is_told_of_both_days(guests, guide):
    guide = guide.with_settings(allow_write_back=True)
    first = guests.send(1)
    second = guests.send(1, conversation_id=first[0]["conversation_id"])
    guide.heard()
    rows = {row["file_id"]: row for row in guide.rows()}
    day = today() - dt.timedelta(days=1)
    add_rows(guide.tables, day, [rows[first[0]["file_id"]] | {"event_id": "y"}])
    guide.kept_again(day)
    guide.kept_again()
    context, _ = context_of(guests, first[0]["conversation_id"])
    assert f"object_key.{first[0]['file_id']}" in context
    assert f"object_key.{second[0]['file_id']}" in context


def test_a_conversation_that_cannot_be_told_loses_no_file_and_is_told_later(guests, keeper):
    keeper = keeper.with_settings(allow_write_back=True)
    guests.send(1)
    operation = "context" if keeper.settings.dialect == "guide" else "participant_attributes"
    guests.sandbox.break_with({"fault": "server_error", "on": [operation], "times": 0})
    (row,) = keeper.kept().values()
    assert (row["status"], row["context"]) == ("stored", "failed")
    assert "was not told" in row["detail"]
    assert [pending.failed for pending in pending_files(keeper.tables, [today()])] == [1]
    guests.sandbox.break_with()
    (row,) = keeper.kept_again().values()
    assert (row["context"], row["detail"]) == ("sent", None)
    assert pending_files(keeper.tables, [today()]) == []
