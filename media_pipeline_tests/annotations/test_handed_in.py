"""What is handed in for metadata_annotations: every line taken or refused with its place, personal data never told."""

import json
from typing import Any

import pytest

from media_pipeline.interactions.inbox import MAX_LINE_BYTES, Inbox, shown_name
from media_pipeline.storage.local import LocalStore
from media_pipeline_tests.annotations.conftest import effective, line, metadata_of, rows_of, seen_of, table_says, voice


def test_every_line_is_taken_or_refused_with_its_place(org, export, annotate, hand_in):
    export(org)
    first, second, third = voice(annotate(org))[:3]
    lines = [
        line(first, "ok"),
        line(first, "bad key", "v"),
        line(first, "long", "ü" * 2_001),
        line(first, "as_long_as_may_be", "ü" * 2_000),
        line(first, "format", format="mp4"),
        line(first, "format.any", mediaType="message", format="heic"),
        line(first, "format.written_otherwise", format="audio/x-wav"),
        line(first, "format.none", format=""),
        line(first, "number", 7),
        line(first, "unknown", colour="red"),
        line(first, "archive.sha256", "forged"),
        line(first, "token", "Authorization: Bearer abcdefghijk"),
        line(first, "torn", "\ud800"),
        line(second, "twice", "old"),
        line(second, "twice", "new"),
        line("nobody", "lost", "?"),
        "",
        "{not json",
        "[1]",
        '{"key": "k", "value": "v"}',
        "[" * 60_000,
        '{"interaction_id": "' + "x" * 70_000,
    ]
    hand_in(*lines)
    hand_in(line(third, "crm.case", "from the second file"), name="later.jsonl")
    hand_in("", name="notes.txt")
    done = annotate(org)
    assert done.result.success
    rows = rows_of(done)
    outcome = {key: (row["outcome"], row["reason"]) for (i, key), row in rows.items() if i == first}
    assert outcome["calls.jsonl:2"] == ("rejected", "bad_key")
    for key, reason in {
        "long": "too_long",
        "format": "format_mismatch",
        "format.none": "format_mismatch",
        "number": "bad_field",
        "unknown": "bad_field",
        "calls.jsonl:11": "reserved_key",
        "token": "secret",
        "torn": "bad_text",
    }.items():
        assert outcome[key] == ("rejected", reason), key
        assert rows[first, key]["detail"].startswith("calls.jsonl:")
        assert rows[first, key]["value"] is None
    for key in ("ok", "as_long_as_may_be", "format.any", "format.written_otherwise"):
        assert outcome[key] == ("sent", None), key
    assert rows[first, "archive.sha256"]["value"] != "forged"
    assert rows[second, "twice"]["value"] == "new"
    assert rows[third, "crm.case"]["value"] == "from the second file"
    metadata = metadata_of(done)
    assert metadata["inbox_lines"].value == 22
    assert metadata["inbox_lines_superseded"].value == 1
    assert metadata["inbox_lines_of_other_interactions"].value == 1
    assert metadata["inbox_refused"].value == 6
    problems = str(metadata["inbox_problems"].value)
    for place in ("line 18", "line 19", "line 20", "line 21", "line 22", "notes.txt"):
        assert place in problems
    assert effective(org) == table_says(done)
    assert "Bearer abc" not in seen_of(done, org)


def test_one_personal_detail_rejects_all_that_was_handed_in_for_its_interaction(org, export, annotate, hand_in):
    export(org)
    first, second = voice(annotate(org))[:2]
    planted = {
        "crm.phone": "415-555-0132",
        "crm.mail": "ann.lee@example.com",
        "crm.ssn": "536-22-8145",
        "crm.card": "4111 1111 1111 1111",
    }
    hand_in(*(line(first, key, value) for key, value in planted.items()), line(first, "crm.case"), line(second))
    done = annotate(org)
    rows = rows_of(done)
    for key in (*planted, "crm.case"):
        assert (rows[first, key]["outcome"], rows[first, key]["reason"]) == ("rejected", "pii")
        assert rows[first, key]["value"] is None
    assert rows[second, "crm.case"]["outcome"] == "sent"
    assert all(key.startswith("archive.") for key in effective(org)[first])
    for value in planted.values():
        assert value not in seen_of(done, org)
    hand_in(*(line(first, key, "known") for key in planted), name="mended.jsonl")
    mended = annotate(org)
    assert {rows_of(mended)[first, key]["outcome"] for key in planted} == {"sent"}


def test_a_key_with_personal_data_is_not_told_either(org, export, annotate, hand_in):
    export(org)
    target = voice(annotate(org))[0]
    hand_in(line(target, "phone.415-555-0132", "x"))
    done = annotate(org)
    assert rows_of(done)[target, "calls.jsonl:1"]["reason"] == "pii"
    assert "415-555-0132" not in seen_of(done, org)


@pytest.mark.parametrize("name", ["calls_415-555-0132.jsonl", "ann.lee@example.com.jsonl", "x_4111111111111111.jsonl"])
def test_a_files_name_with_personal_data_is_not_told(name):
    assert shown_name(name) == "(a file whose name holds personal data)"
    assert shown_name("calls_2026-11-20_part-0001.jsonl") == "calls_2026-11-20_part-0001.jsonl"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_may_have_all_its_bytes_and_not_one_more(tmp_path, end):
    store = LocalStore(tmp_path)
    empty = json.dumps(line("c", value="")).encode()
    whole = empty.replace(b'"value": ""', b'"value": "' + b"x" * (MAX_LINE_BYTES - len(empty)) + b'"')
    assert len(whole) == MAX_LINE_BYTES
    refused: list[tuple[Any, ...]] = []
    for content, reasons in ((whole, ["too_long"]), (whole + b" ", [])):
        store.put("a/calls.jsonl", content + end)
        inbox = Inbox(store, "a/", lambda *what: refused.append(what))
        assert [row["reason"] for row in inbox.rows({"c"})] == reasons
    ((name, number, why),) = refused
    assert (name, number) == ("calls.jsonl", 1)
    assert "more than 65,536 bytes" in why


def test_the_inbox_may_lie_elsewhere(org, export, annotate, hand_in, tmp_path):
    export(org)
    target = voice(annotate(org))[0]
    hand_in(line(target), folder=tmp_path / "elsewhere")
    done = annotate(org, inbox=str(tmp_path / "elsewhere"))
    assert rows_of(done)[target, "crm.case"]["outcome"] == "sent"
