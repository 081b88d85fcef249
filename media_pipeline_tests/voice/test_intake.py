"""Which audio is sent: judged by its bytes and by how long it really plays, whatever a header says."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path

import pytest

from media_pipeline.messaging import audio_length
from media_pipeline.messaging.audio_length import Limits, MissingDecoder, duration_ms
from media_pipeline.messaging.audio_types import NotAudio
from media_pipeline.messaging.voice_intake import MAX_BYTES
from media_pipeline_tests import voices


def _reason(audio: bytes, kind: str, folder: Path, **limits: int) -> str:
    with pytest.raises(NotAudio) as refused:
        duration_ms(audio, kind, folder, Limits(**limits) if limits else audio_length.LIMITS)
    return refused.value.reason


def _without_xing(audio: bytes) -> bytes:
    """An MP3 whose first frame, which says how many follow, is gone."""
    start = audio.find(b"\xff\xfb") if b"\xff\xfb" in audio[:64] else audio.find(b"\xff\xf3")
    second = audio.find(audio[start : start + 2], start + 4)
    return audio[second:]


@pytest.mark.parametrize(("kind", "tone"), [("wav", voices.wav), ("mp3", voices.mp3), ("ogg", voices.ogg)])
def test_audio_is_as_long_as_it_plays(kind, tone, tmp_path):
    assert abs(duration_ms(tone(1.5), kind, tmp_path) - 1_500) <= 80
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "tone"), [("wav", voices.wav), ("mp3", voices.mp3), ("ogg", voices.ogg)])
def test_a_minute_is_sent_and_more_is_not(kind, tone, tmp_path):
    assert duration_ms(tone(60.0), kind, tmp_path) >= 59_900
    assert _reason(tone(62.0), kind, tmp_path) == "too_long"


def test_a_header_of_five_seconds_hides_no_ten_minutes(tmp_path):
    audio = bytearray(voices.mp3(120.0))
    place = max(audio.find(b"Xing"), audio.find(b"Info"))
    assert place > 0
    frames = int.from_bytes(audio[place + 8 : place + 12])
    audio[place + 8 : place + 12] = (frames // 24).to_bytes(4)
    assert _reason(bytes(audio), "mp3", tmp_path) == "too_long"


def test_a_streamed_wav_is_measured_by_what_is_in_it(tmp_path):
    audio = bytearray(voices.wav(2.0))
    audio[4:8] = audio[40:44] = struct.pack("<I", 0xFFFFFFFF)
    assert abs(duration_ms(bytes(audio), "wav", tmp_path) - 2_000) <= 50
    audio = bytearray(voices.wav(90.0))
    audio[4:8] = audio[40:44] = struct.pack("<I", 0xFFFFFFFF)
    assert _reason(bytes(audio), "wav", tmp_path) == "too_long"


def test_an_mp3_without_a_header_of_its_own_is_decoded(tmp_path):
    assert abs(duration_ms(_without_xing(voices.mp3(3.0)), "mp3", tmp_path) - 3_000) <= 150


def test_a_file_that_was_cut_is_told_by_its_header(tmp_path):
    audio = voices.mp3(20.0)
    assert _reason(audio[: len(audio) // 3], "mp3", tmp_path) == "truncated"


def test_an_ogg_without_end_is_left_after_a_minute(tmp_path):
    audio = voices.ogg(55.0)
    assert _reason(audio + audio + audio, "ogg", tmp_path) == "too_long"


def test_noise_with_a_good_beginning_is_no_audio(tmp_path):
    assert _reason(voices.ogg(0.5)[:300] + bytes(5_000), "ogg", tmp_path) in ("broken", "no_audio")


def test_a_tag_that_unpacks_to_gigabytes_ends_its_own_process_only(tmp_path):
    bomb = zlib.compress(bytes(64 << 20), 9)
    frame = b"TXXX" + struct.pack(">I", len(bomb) + 4) + b"\x00\x80" + struct.pack(">I", 64 << 20) + bomb
    size = len(frame)
    head = b"ID3\x03\x00\x00" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    audio, found = head + frame + voices.mp3(1.0), None
    with contextlib.suppress(NotAudio):  # or the tag is passed over
        found = duration_ms(audio, "mp3", tmp_path, Limits(address_bytes=400 << 20))
    assert found is None or abs(found - 1_000) <= 100


def test_a_file_that_takes_too_long_is_given_up(tmp_path):
    assert _reason(voices.mp3(59.0), "mp3", tmp_path, seconds=0) == "timeout"


def test_a_decoder_that_does_not_work_rejects_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_length, "CHILD", tmp_path / "missing.py")
    with pytest.raises(MissingDecoder, match="extra messaging"):
        duration_ms(voices.mp3(0.5), "mp3", tmp_path)


def test_measuring_leaves_the_installed_packages_whole(tmp_path):
    import mutagen

    duration_ms(voices.mp3(0.5), "mp3", tmp_path)
    compiled = list(Path(mutagen.__file__).parent.rglob("*.pyc"))
    assert all(int.from_bytes(path.read_bytes()[12:16], "little") > 0 for path in compiled)
    assert [path for path in compiled if path.stat().st_size == 65_536] == []


def test_hostile_pairs_have_their_rows_and_lie_aside(guide):
    kinds = {
        guide.put(b"%PDF-1.7 hello", "mp3"): "not_audio",
        guide.put(voices.wav(61.0)): "too_long",
        guide.put(voices.wav(0.2) + b"PK\x05\x06" + bytes(18)): "polyglot",
        guide.put(voices.wav(0.2), sha256="0" * 64): "sha256_differs",
        guide.put(voices.wav(0.2), content_type="image/png"): "type_differs",
        guide.put(voices.wav(0.2)[:-100]): "torn",
        guide.put(b"RIFF" + bytes(MAX_BYTES)): "too_large",
    }
    torn = guide.inbox.folder / "note.json"
    torn.write_text("{}")
    (guide.inbox.folder / "note.mp3").write_bytes(voices.mp3(0.2))
    for path in (torn, guide.inbox.folder / "note.mp3"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    rows = guide.sent()
    assert {key: rows[key]["reason"] for key in kinds} == kinds
    (other,) = [row for key, row in rows.items() if key not in kinds]
    assert (other["status"], other["reason"], other["conversation_id"]) == ("rejected", "bad_metadata", None)
    assert "note" not in other["detail"]
    assert guide.writes == []
    assert guide.aside("rejected") == {*kinds, other["message_key"]}
    assert guide.inbox.depth() == 0
    assert rows == guide.sent()


def test_audio_that_is_measured_has_no_name_that_a_kill_could_leave(tmp_path, monkeypatch):
    seen = []
    measured = audio_length._measured

    def looking(*arguments):
        seen.append(list(tmp_path.iterdir()))
        return measured(*arguments)

    monkeypatch.setattr(audio_length, "_measured", looking)
    assert duration_ms(voices.mp3(0.5), "mp3", tmp_path) > 0
    assert seen == [[]]
