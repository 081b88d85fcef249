"""POST /voice-messages: what is accepted lies in the inbox as one complete pair; what is not leaves nothing."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from media_pipeline.messaging.inbox import DEFAULT_TRANSCRIPT
from media_pipeline.service.limits import Limits
from media_pipeline_tests.service.running import FIELDS, serving
from media_pipeline_tests.voices import mp3, ogg, wav


@pytest.mark.parametrize(
    ("make", "declared", "kind", "suffix"),
    [
        (wav, "audio/wav", "audio/x-wav", "wav"),
        (mp3, "audio/mp3", "audio/mpeg", "mp3"),
        (ogg, "application/ogg", "audio/ogg", "ogg"),
        (mp3, "application/octet-stream", "audio/mpeg", "mp3"),
    ],
)
def test_an_accepted_message_is_one_complete_pair(service, make, declared, kind, suffix):
    answer = service.post(make(), declared=declared, transcript="Hallo,\nwir rufen zurück. שלום")
    assert answer.status_code == 202
    said = answer.json()
    (pair,) = service.inbox.scan()
    assert (said["status"], said["content_type"], said["message_key"]) == ("accepted", kind, pair.name)
    assert pair.audio.read_bytes() == make()
    assert pair.audio.suffix == f".{suffix}"
    assert pair.message.model_dump(exclude={"received_at"}) == FIELDS | {
        "transcript": "Hallo,\nwir rufen zurück. שלום",
        "message_key": said["message_key"],
        "content_type": kind,
        "size_bytes": len(make()),
        "sha256": said["sha256"],
    }


def test_without_a_transcript_the_default_is_handed_on(service):
    service.post(wav())
    service.post(wav(), transcript="  ")
    assert [pair.message.transcript for pair in service.inbox.scan()] == [DEFAULT_TRANSCRIPT] * 2


def test_a_key_that_comes_again_with_the_same_message_is_one_message(service):
    first, again = (service.post(wav(), key="k-1") for _ in range(2))
    assert first.json() == again.json()
    assert (first.status_code, again.status_code) == (202, 202)
    assert service.inbox.depth() == 1


def test_a_key_that_comes_again_after_the_message_was_dealt_with_stays_one_message(service):
    first = service.post(wav(), key="k-1")
    (pair,) = service.inbox.scan()
    pair.metadata.unlink()
    pair.audio.unlink()
    assert service.post(wav(), key="k-1").json() == first.json()
    assert service.inbox.depth() == 0


@pytest.mark.parametrize("change", [{"audio": b"other"}, {"conversation_id": "c-2"}, {"transcript": "x"}])
def test_a_key_that_comes_again_with_another_message_is_refused(service, change):
    service.post(wav(), key="k-1")
    audio = wav(0.25) if change.pop("audio", None) else wav()
    answer = service.post(audio, key="k-1", **change)
    assert (answer.status_code, answer.json()["reason"]) == (409, "other_content")
    assert service.inbox.depth() == 1


def test_without_a_key_two_requests_are_two_messages(service):
    assert service.post(wav()).json()["message_key"] != service.post(wav()).json()["message_key"]
    assert service.inbox.depth() == 2


def test_forty_requests_with_one_key_at_once_are_one_message(service):
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: service.post(wav(), key="k-1"), range(40)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["message_key"] for answer in answers}) == 1
    assert service.inbox.depth() == 1


@pytest.mark.parametrize(
    ("audio", "declared", "fields", "status", "reason"),
    [
        (b"", "", {}, 422, "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "audio/mpeg", {}, 415, "not_audio"),
        (wav(), "audio/mpeg", {}, 415, "type_differs"),
        (wav()[:-9], "audio/wav", {}, 415, "torn"),
        (wav() + b"PK\x05\x06" + bytes(18), "", {}, 415, "polyglot"),
        (wav(), "", {"conversation_id": "../../etc"}, 422, "field"),
        (wav(), "", {"conversation_id": ""}, 422, "field"),
        (wav(), "", {"sender_id": "x" * 129}, 422, "too_long"),
        (wav(), "", {"transcript": "\0"}, 422, "field"),
        (wav(), "", {"transcript": "\u202egnp.exe"}, 422, "field"),
        (wav(), "", {"transcript": "ä" * 2001}, 422, "field"),
        (wav(), "", {"transcript": "ä" * 5000}, 422, "too_long"),
        (wav(), "", {"message_key": "0" * 32}, 422, "unknown"),
    ],
)
def test_what_is_refused_says_why_and_leaves_nothing(service, audio, declared, fields, status, reason):
    answer = service.post(audio, declared=declared, **fields)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.headers["content-type"] == "application/problem+json"
    assert service.files() == set()


@pytest.mark.parametrize("missing", ["conversation_id", "sender_id", "file"])
def test_a_missing_field_is_named(service, missing):
    fields = {name: (None, value) for name, value in FIELDS.items()} | {"file": ("a.wav", wav(), "audio/wav")}
    fields.pop(missing)
    answer = service.call("POST", "/voice-messages", "voice-messages", files=fields)
    assert answer.status_code == 422
    assert missing in answer.json()["detail"]
    assert service.files() == set()


def test_fields_may_come_before_and_after_the_file(service):
    ordered = [("sender_id", (None, "s")), ("file", ("a", wav(), "audio/wav")), ("conversation_id", (None, "c"))]
    assert service.call("POST", "/voice-messages", "voice-messages", files=ordered).status_code == 202


def test_a_file_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(tmp_path):
    with serving(tmp_path, Limits(file_bytes=len(wav()))) as service:
        assert service.post(wav()).status_code == 202
        answer = service.post(wav() + b"\0")
        assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
        assert service.inbox.depth() == 1


def test_without_an_inbox_it_says_so(tmp_path):
    with serving(tmp_path, MEDIA_INBOX="") as service:
        answer = service.post(wav())
    assert answer.status_code == 503
    assert "MEDIA_INBOX" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0


def test_without_space_nothing_is_accepted(tmp_path):
    with serving(tmp_path, MEDIA_MIN_AVAILABLE_MB=str(10**9)) as service:
        answer = service.post(wav())
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_space")


def test_an_inbox_that_cannot_be_written_is_a_503_without_its_path(tmp_path):
    (tmp_path / "inbox").write_text("a file where the folder should be")
    with serving(tmp_path) as service:
        answer = service.post(wav())
    assert (answer.status_code, answer.json()["reason"]) == (503, "inbox")
    assert str(tmp_path) not in answer.text


def test_without_a_place_for_the_audit_log_nothing_is_accepted(tmp_path):
    (tmp_path / "spool").write_text("a file where the folder should be")
    with serving(tmp_path) as service:
        answer = service.post(wav())
        assert answer.status_code == 503
        assert str(tmp_path) not in answer.text
        assert service.inbox.depth() == 0


def test_each_write_has_its_audit_line_with_the_callers_name_and_nothing_that_was_said(tmp_path):
    with serving(tmp_path) as service:
        accepted = service.post(wav(), key="k", transcript="my number is 415 555 0100").json()
        service.post(wav(), key="k", transcript="my number is 415 555 0100")
        service.post(b"no audio")
        service.call("DELETE", "/cleanup", "cleanup")
    (log,) = (tmp_path / "root/audit").rglob("*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["event"], line["caller"]) for line in lines] == [
        ("voice_message_accepted", "only-voice-messages"),
        ("voice_message_repeated", "only-voice-messages"),
        ("voice_message_refused", "only-voice-messages"),
        ("leftovers_purged", "only-cleanup"),
    ]
    assert lines[0]["message_key"] == lines[1]["message_key"] == accepted["message_key"]
    assert lines[2]["reason"] == "not_audio"
    assert "415 555" not in log.read_text()
    assert not any(token in log.read_text() for token in service.tokens.values())
