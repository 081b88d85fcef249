"""What counts as a voice message's audio: by its bytes, whatever it is called."""

import io
import zipfile

import pytest

from media_pipeline.messaging.audio_types import SYNONYMS, NotAudio, audio_format
from media_pipeline_tests.voices import mp3, ogg, wav

KINDS = {"mp3": mp3, "wav": wav, "ogg": ogg}


def judged(data: bytes, declared: str = "") -> str:
    return audio_format(len(data), lambda offset, length: data[offset : offset + length], declared)


def reason_of(data: bytes, declared: str = "") -> str:
    with pytest.raises(NotAudio) as caught:
        judged(data, declared)
    return caught.value.reason


@pytest.mark.parametrize(("declared", "kind"), SYNONYMS.items())
def test_every_synonym_of_a_type_is_taken_for_what_it_means(declared, kind):
    assert judged(KINDS[kind](), f"{declared.upper()}; codecs=1") == kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("declared", ["", "application/octet-stream"])
def test_a_type_that_is_not_declared_is_told_by_the_content(kind, declared):
    assert judged(KINDS[kind](2.0), declared) == kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_declared_type_that_the_content_contradicts_is_refused(kind):
    assert reason_of(KINDS[kind](), "image/png") == "type_differs"
    other = next(declared for declared, of in SYNONYMS.items() if of != kind)
    assert reason_of(KINDS[kind](), other) == "type_differs"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "not_audio"),
        (b"\0" * 4096, "not_audio"),
        (b"%PDF-1.7\n%", "not_audio"),
        (b"PK\x03\x04" + bytes(60), "not_audio"),
        (b"<html><body>", "not_audio"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "not_audio"),
        (b"OggS" + bytes(60), "broken"),
        (b"RIFF\0\0\0\0WAVE", "broken"),
        (b"ID3\x04\0\0\0\0\0\0", "broken"),
        (wav()[:-100], "torn"),
    ],
)
def test_what_is_no_whole_audio_is_refused_with_its_reason(data, reason):
    assert reason_of(data) == reason


def with_id3(content: bytes) -> bytes:
    """An MP3 with a tag that holds these bytes."""
    size = len(content)
    syncsafe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + syncsafe + content + mp3()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "x")
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        with_id3(b"TIT2" + bytes(20) + b"%PDF-1.4 ..."),
        with_id3(b"<ScRiPt>alert(1)</script>"),
        with_id3(b"<?php system($_GET[0]); ?>"),
        with_id3(b"<!doctype html><title>x</title>"),
        mp3() + zipped(),
        ogg() + zipped(),
        wav() + zipped(),
        wav() + b"%PDF-1.4",
    ],
)
def test_a_polyglot_is_refused(data):
    assert reason_of(data) == "polyglot"


def test_tags_that_are_only_tags_are_fine():
    assert judged(with_id3(b"TIT2\0\0\0\x0b\0\0\0A < B & PK")) == "mp3"


def test_a_wav_of_an_encoder_that_could_not_seek_back_is_fine():
    data = bytearray(wav())
    data[4:8] = b"\xff" * 4
    assert judged(bytes(data)) == "wav"
