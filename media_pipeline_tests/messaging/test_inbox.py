"""The inbox: a pair is seen when it is complete, never before, and whatever else lies there is told apart."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from media_pipeline.messaging.inbox import DEFAULT_TRANSCRIPT, SETTLE_SECONDS, Inbox, NotReady, Pair, VoiceMessage
from media_pipeline.messaging.receipts import OtherContent, receipt
from media_pipeline_tests.voices import wav

KEY = "0123456789abcdef" * 2
FOR_GUEST = {"conversation_id": "c-1", "sender_id": "agent@example.org"}


@pytest.fixture
def inbox(tmp_path) -> Inbox:
    return Inbox(tmp_path / "inbox")


def put(inbox: Inbox, key: str = KEY, data: bytes = b"audio", **more: object) -> None:
    with inbox.incoming() as incoming:
        incoming.write(data)
        facts = {"size_bytes": incoming.size, "sha256": incoming.sha256, "message_key": key}
        inbox.publish(incoming, VoiceMessage.model_validate(FOR_GUEST | facts | more), "wav")


def drop(inbox: Inbox, name: str, message: object, audio: bytes | None = b"audio", age: float = 60.0) -> None:
    """What another program puts there."""
    inbox.folder.mkdir(exist_ok=True)
    files = {f"{name}.json": json.dumps(message).encode(), f"{name}.wav": audio}
    for file, data in files.items():
        if data is not None:
            path = inbox.folder / file
            path.write_bytes(data)
            os.utime(path, (time.time() - age,) * 2)


def test_a_published_pair_is_complete_at_once(inbox):
    put(inbox, data=wav())
    (pair,) = inbox.scan()
    assert isinstance(pair, Pair)
    assert (pair.name, pair.message.transcript, pair.size_bytes) == (KEY, DEFAULT_TRANSCRIPT, len(wav()))
    assert pair.message_key("whatever") == KEY
    with pair.open() as audio:
        assert audio.read() == wav()
    assert inbox.depth() == 1
    pair.metadata.unlink()
    pair.audio.unlink()
    assert list(inbox.scan()) == []
    assert inbox.depth() == 0


def test_what_is_being_received_is_not_seen_and_leaves_nothing_when_given_up(inbox):
    with inbox.incoming() as incoming:
        incoming.write(b"half")
        assert list(inbox.scan()) == []
        (partial,) = (inbox.folder / ".incoming").iterdir()
    assert not partial.exists()


def test_publishing_the_same_key_again_replaces_the_pair(inbox):
    put(inbox)
    put(inbox)
    assert [pair.name for pair in inbox.scan()] == [KEY]


def test_a_pair_of_another_program_is_complete_when_it_has_settled(inbox):
    drop(inbox, "from-ivr 7", FOR_GUEST, age=SETTLE_SECONDS - 5)
    (early,) = inbox.scan()
    assert isinstance(early, NotReady)
    assert (early.reason, early.waiting) == ("settling", True)
    (pair,) = inbox.scan(now=time.time() + SETTLE_SECONDS)
    assert isinstance(pair, Pair)
    assert pair.message.sender_id == "agent@example.org"


def test_the_same_pair_has_the_same_key_and_a_changed_one_another(inbox):
    drop(inbox, "a", FOR_GUEST)
    drop(inbox, "b", FOR_GUEST)
    one, other = inbox.scan()
    assert one.message_key("11") == one.message_key("11") != one.message_key("22")
    assert one.message_key("11") != other.message_key("11")


@pytest.mark.parametrize(
    ("message", "audio", "reason"),
    [
        (FOR_GUEST, None, "no_audio"),
        (FOR_GUEST | {"size_bytes": 6}, b"audio", "size_differs"),
        ({"conversation_id": "c"}, b"audio", "bad_metadata"),
        (FOR_GUEST | {"transcripts": "typo"}, b"audio", "bad_metadata"),
        (FOR_GUEST | {"transcript": "\u202eevil"}, b"audio", "bad_metadata"),
        (FOR_GUEST | {"conversation_id": "../../users"}, b"audio", "bad_metadata"),
        (FOR_GUEST | {"transcript": "x" * 2001}, b"audio", "bad_metadata"),
        ("x" * 70_000, b"audio", "bad_metadata"),
    ],
)
def test_what_is_no_complete_pair_says_why_and_repeats_no_value(inbox, message, audio, reason):
    drop(inbox, "a", message, audio)
    (found,) = inbox.scan()
    assert isinstance(found, NotReady)
    assert found.reason == reason
    assert "evil" not in found.sentence
    assert "users" not in found.sentence


def test_audio_alone_and_two_of_one_name_are_told(inbox):
    drop(inbox, "a", FOR_GUEST)
    (inbox.folder / "a.mp3").write_bytes(b"")
    (inbox.folder / "b.ogg").write_bytes(b"")
    assert [found.reason for found in inbox.scan()] == ["several_files", "no_metadata"]


def test_a_blank_transcript_is_the_default_one(inbox):
    drop(inbox, "a", FOR_GUEST | {"transcript": " \n"})
    (pair,) = inbox.scan()
    assert pair.message.transcript == DEFAULT_TRANSCRIPT


def test_links_folders_and_hidden_files_are_left_alone(inbox, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    drop(inbox, "a", FOR_GUEST, audio=None)
    (inbox.folder / "a.wav").symlink_to(secret)
    (inbox.folder / "b.json").symlink_to(secret)
    (inbox.folder / "c.json").mkdir()
    (inbox.folder / ".d.json").write_text("{}")
    (found,) = inbox.scan()
    assert (found.name, found.reason) == ("a", "no_audio")


KILLED = """
import os, sys
from pathlib import Path
from media_pipeline.messaging.inbox import Inbox, VoiceMessage
step = int(sys.argv[2])
real, count = Path.rename, 0
def rename(self, target):
    global count
    if count == step:
        os.kill(os.getpid(), 9)
    count += 1
    return real(self, target)
Path.rename = rename
inbox = Inbox(Path(sys.argv[1]))
with inbox.incoming() as incoming:
    incoming.write(b"audio")
    message = VoiceMessage(conversation_id="c", sender_id="s", message_key="0" * 32, size_bytes=5)
    inbox.publish(incoming, message, "wav")
"""


@pytest.mark.parametrize(("step", "seen"), [(0, []), (1, ["no_metadata"]), (2, [None])])
def test_a_kill_while_publishing_leaves_a_whole_pair_or_none(inbox, step, seen):
    done = subprocess.run([sys.executable, "-c", KILLED, str(inbox.folder), str(step)])
    assert done.returncode == (-9 if step < 2 else 0)
    assert [getattr(found, "reason", None) for found in inbox.scan()] == seen


def test_a_receipt_tells_a_repetition_from_another_message(inbox):
    with receipt(inbox, KEY, "one") as known:
        assert not known.is_published
        known.note(published=False)
    with receipt(inbox, KEY, "one") as known:
        assert not known.is_published  # a kill before publishing: publish again
        known.note(published=True)
    with receipt(inbox, KEY, "one") as known:
        assert known.is_published
    with pytest.raises(OtherContent), receipt(inbox, KEY, "two"):
        pass


def test_a_torn_receipt_is_as_none(inbox):
    with receipt(inbox, KEY, "one") as known:
        known.note(published=True)
        known.path.write_text('{"content": "o')
    with receipt(inbox, KEY, "one") as known:
        assert not known.is_published
    assert Path(known.path).parent.name == ".receipts"


def test_a_file_that_may_not_be_read_is_told_and_holds_up_no_other(inbox, monkeypatch):
    put(inbox)
    drop(inbox, "secret", FOR_GUEST)
    opened = os.open

    def refusing(path, *arguments, **more):
        if Path(path).name == "secret.json":  # as for a file of another user; root may read everything
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", refusing)
    pair, other = inbox.scan()
    assert isinstance(pair, Pair)
    assert isinstance(other, NotReady)
    assert (other.reason, other.waiting) == ("unreadable", True)
    assert "correct its permissions" in other.sentence


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("2026-11-22T10:00:00", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22T10:00:00+02:00", "2026-11-22T08:00:00+00:00"),
        ("9999-12-31T23:59:59", "9999-12-31T23:59:59+00:00"),
    ],
)
def test_moments_of_other_programs_are_in_utc(inbox, told, moment):
    drop(inbox, "from-ivr", FOR_GUEST | {"received_at": told})
    (pair,) = inbox.scan()
    assert isinstance(pair, Pair)
    assert pair.received_at.isoformat() == moment


@pytest.mark.parametrize("told", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_utc_does_not_have_is_bad_metadata(inbox, told):
    drop(inbox, "from-ivr", FOR_GUEST | {"received_at": told})
    (pair,) = inbox.scan()
    assert isinstance(pair, NotReady)
    assert (pair.reason, pair.waiting) == ("bad_metadata", False)
