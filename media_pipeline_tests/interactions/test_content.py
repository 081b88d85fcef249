"""What a file is by its first bytes: real encoders' output, torn and disguised, and noise."""

import json
import random
import zipfile
from io import BytesIO

import pytest

from media_pipeline.interactions.containers import Content
from media_pipeline.interactions.content import HEAD_BYTES, content_of
from media_pipeline.interactions.matrix import judged
from media_pipeline.sandbox import audio, video


def noise():
    import numpy as np

    return np.random.default_rng(1).normal(0, 3_000, (16_000, 2)).astype(np.int16)


SPEECH = noise()
MAIL = b"Received: from a by b\r\nFrom: a@example.com\r\nSubject: x\r\n\r\nHello\r\n"


def zipped() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", "b")
    return buffer.getvalue()


CASES = {
    "wav": (audio.encode(SPEECH, "wav"), Content("wav", "pcm")),
    "mp3": (audio.encode(SPEECH, "mp3"), Content("mp3", "mp3")),
    "mp3 with a tag": (b"ID3\x04\0\0\0\0\0\x05abcde" + audio.encode(SPEECH, "mp3"), Content("mp3", "mp3")),
    "ogg": (audio.encode(SPEECH, "ogg"), Content("ogg", "vorbis")),
    "opus": (audio.encode(SPEECH, "opus"), Content("ogg", "opus")),
    "mp4": (video.screen("mp4", 0), Content("mp4", "avc1")),
    "mp4 of sound": (video.screen("mp4", 0, "audio_only"), Content("mp4", "mp4a")),
    "webm": (video.screen("webm", 0), Content("webm", "v_vp8")),
    "torn mp4": (video.screen("mp4", 0, "truncated"), Content("mp4", None, intact=False)),
    "mu-law": (
        audio.encode(SPEECH, "wav").replace(b"fmt \x10\0\0\0\x01", b"fmt \x10\0\0\0\x07"),
        Content("wav", "mulaw"),
    ),
    "json": (json.dumps({"messages": [{"text": "ü"}]}).encode(), Content("json")),
    "torn json": (b'{"messages": [{"text": "a', Content("json", intact=False)),
    "mail": (MAIL, Content("eml")),
    "html": (b"\xef\xbb\xbf <!DOCTYPE html><html><body>x</body></html>", Content("html")),
    "xml": (b"<?xml version='1.0'?><Error/>", Content("xml")),
    "zip": (zipped(), Content("zip")),
    "a wav without a format": (b"RIFF\x04\0\0\0WAVE", Content("wav", intact=False)),
    "an id3 tag and noise": (b"ID3\x04\0\0\0\0\0\0" + bytes(range(200)), Content("mp3", "mp3", intact=False)),
    "an ogg page and noise": (b"OggS\0\x02" + bytes(range(200)), Content("ogg", intact=False)),
    "text": (b"call me", Content(None)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_known_by_its_content(name):
    data, expected = CASES[name]
    assert content_of(data[:HEAD_BYTES], whole=len(data) <= HEAD_BYTES) == expected


def test_the_first_bytes_of_a_long_file_are_enough():
    long_json = json.dumps([{"text": "äöü" * 9, "n": n} for n in range(9_000)], ensure_ascii=False).encode()
    for data, name in ((long_json, "json"), (MAIL + b"x" * 100_000, "eml"), (audio.encode(SPEECH, "wav"), "wav")):
        for length in range(1_000, HEAD_BYTES, 7_001):
            found = content_of(data[:length], whole=False)
            assert (found.format, found.intact) == (name, True)


def test_boxes_in_boxes_in_boxes_do_not_break_the_sniffers():
    nested = b"".join((HEAD_BYTES - 8 * number).to_bytes(4) + b"moov" for number in range(8_000))
    head = (b"\0\0\0\x10ftypmp42\0\0\0\0" + nested)[:HEAD_BYTES]
    assert content_of(head, whole=False).format == "mp4"


def test_no_bytes_whatever_break_the_sniffers():
    chance = random.Random(4)
    starts = [data[:80] for data, _ in CASES.values()]
    for number in range(20_000):
        data = bytearray(starts[number % len(starts)] + chance.randbytes(chance.randrange(60)))
        for _ in range(3):
            data[chance.randrange(len(data))] = chance.randrange(256)
        content_of(bytes(data[: chance.randrange(len(data) + 1)]), whole=bool(number % 2))


@pytest.mark.parametrize(
    ("media_type", "declared", "content", "verdict"),
    [
        ("voice", "wav", Content("wav", "pcm"), ("matches", None)),
        ("voice", None, Content("mp3", "mp3"), ("matches", None)),
        ("voice", "mp3", Content("wav", "pcm"), ("differs", "not_declared")),
        ("voice", "opus", Content("ogg", "opus"), ("differs", "not_expected")),
        ("screen", "mp4", Content("webm"), ("differs", "not_declared")),
        ("screen", "mp4", Content("mp4", intact=False), ("unreadable", "broken_container")),
        ("email", None, Content("html"), ("matches", None)),
        ("message", "json", Content("json"), ("matches", None)),
        ("message", None, Content("json"), ("unknown", "nothing_expected")),
        ("hologram", "opus", Content("ogg", "opus"), ("matches", None)),
        ("voice", "wav", Content(None), ("unknown", "unrecognized")),
    ],
)
def test_the_verdict_compares_content_with_the_matrix_and_the_declaration(media_type, declared, content, verdict):
    assert judged(media_type, declared, content) == verdict
