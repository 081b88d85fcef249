"""Calls speak: the transcript is the truth of the audio, and every process gives the same bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import wave
from itertools import pairwise

import numpy as np  # noqa: TID253 - no code server imports a test
import pytest
import soundfile

from media_pipeline.sandbox.audio import with_serial
from media_pipeline.sandbox.bodies import BodyCache, HugeWav, Whole, chunks
from media_pipeline.sandbox.media import Media
from media_pipeline.sandbox.org import Org, Recording
from media_pipeline.sandbox.phrases import phrases
from media_pipeline.sandbox.speech import bank

END = dt.date(2026, 11, 20)
NOISE_PEAK = 8


@pytest.fixture(scope="module")
def media() -> Media:
    return Media("speech", huge_mb=0)


@pytest.fixture(scope="module")
def calls() -> list[Recording]:
    org = Org(seed=7, days=1, per_day=180, end=END)
    return [org.recording(ordinal) for ordinal in org.day(END)]


def of_codec(calls: list[Recording], codec: str) -> Recording:
    return next(each for each in calls if each.kind.codec == codec)


def body_of(media: Media, recording: Recording) -> bytes:
    body = media.body(recording)
    assert body is not None
    return body.read(0, body.size)


def samples_of(media: Media, recording: Recording) -> np.ndarray:
    with wave.open(io.BytesIO(body_of(media, recording))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def test_the_bank_has_about_eighty_phrases_and_no_phrase_is_long():
    assert 80 <= len(phrases("customer")) + len(phrases("agent")) <= 100
    lengths = [len(clip) / 8_000 for clip in bank().values()]
    assert min(lengths) > 0.3
    assert max(lengths) < 9


def test_each_channel_is_loud_within_its_segments_and_silent_outside(media, calls):
    full = [each for each in calls if each.kind.name == "ordinary" and not each.drops_speaker][:20]
    for call in full:
        samples = np.abs(samples_of(media, call).astype(int))
        for channel, speaker in enumerate(("customer", "agent")):
            spoken = np.zeros(len(samples), bool)
            for segment in media.segments(call):
                if segment["speaker"] == speaker:
                    start, end = (segment[f"{edge}OffsetInMilliseconds"] * 8 for edge in ("start", "end"))
                    part = samples[start:end, channel]
                    assert part.mean() > 200
                    # Tight at both ends: speech within the first and the last 2 ms.
                    assert part[:16].max() > NOISE_PEAK
                    assert part[-16:].max() > NOISE_PEAK
                    spoken[start:end] = True
            assert 0 < samples[~spoken, channel].max() <= NOISE_PEAK


def test_calls_last_a_quarter_of_a_minute_to_a_minute_as_the_listing_says(media, calls):
    spoken = [each for each in calls if each.kind.speaks]
    durations = [media.duration_seconds(each) for each in spoken]
    assert min(durations) >= 15
    assert max(durations) <= 60
    for call, seconds in list(zip(spoken, durations, strict=True))[:20]:
        if call.kind.codec == "wav" and call.kind.has_file:
            assert len(samples_of(media, call)) == round(seconds * 8_000)


def test_turns_have_pauses_and_sometimes_overlap_but_nobody_overlaps_himself(media, calls):
    gaps = []
    for call in (each for each in calls if each.kind.speaks and not each.drops_speaker):
        segments = media.segments(call)
        gaps += [
            after["startOffsetInMilliseconds"] - before["endOffsetInMilliseconds"]
            for before, after in pairwise(segments)
        ]
        for speaker in ("customer", "agent"):
            own = [each for each in segments if each["speaker"] == speaker]
            for before, after in pairwise(own):
                assert after["startOffsetInMilliseconds"] > before["endOffsetInMilliseconds"]
    assert max(gaps) <= 1_200
    assert 0.03 < sum(gap < 0 for gap in gaps) / len(gaps) < 0.25
    assert sum(200 <= gap <= 1_200 for gap in gaps) > 0.75 * len(gaps)


def test_some_calls_hold_made_up_personal_data(media, calls):
    text = " ".join(str(s["text"]) for call in calls if call.kind.speaks for s in media.segments(call))
    for invented in ("4111 1111 1111 1111", "555-01", "@example.", "000-12-3456", "1980"):
        assert invented in text


@pytest.mark.parametrize(("codec", "name"), [("mp3", "MP3"), ("ogg", "OGG"), ("opus", "OGG")])
def test_compressed_calls_decode_to_the_same_dialogue(media, calls, codec, name):
    call = of_codec(calls, codec)
    body = body_of(media, call)
    assert soundfile.info(io.BytesIO(body)).format == name
    decoded, rate = soundfile.read(io.BytesIO(body))
    assert rate == 8_000
    assert abs(len(decoded) / rate - media.duration_seconds(call)) < 0.2
    for segment in media.segments(call):
        if "speaker" not in segment:
            continue
        channel = ("customer", "agent").index(str(segment["speaker"]))
        start, end = (int(segment[f"{edge}OffsetInMilliseconds"]) * 8 for edge in ("start", "end"))
        assert np.abs(decoded[start:end, channel]).mean() > 0.005


def test_an_ogg_file_under_another_serial_number_still_decodes_and_can_be_changed_back(media, calls):
    body = body_of(media, of_codec(calls, "ogg"))
    changed = with_serial(body, 42)
    assert changed != body
    assert len(soundfile.read(io.BytesIO(changed))[0]) == len(soundfile.read(io.BytesIO(body))[0])
    assert with_serial(changed, int.from_bytes(body[14:18], "little")) == body


def test_a_huge_wav_is_the_same_at_every_offset_and_its_md5_is_that_of_its_bytes():
    body = HugeWav(5_000_000, rotation=739_575)
    whole = b"".join(chunks(body))
    assert len(whole) == 5_000_000
    assert hashlib.md5(whole, usedforsecurity=False).hexdigest() == body.md5
    for start, length in [
        (0, 10),
        (40, 10),
        (44, 1),
        (1_048_610, 20),
        (4_999_990, 100),
        (5_000_000, 5),
        (100, 3 << 20),
    ]:
        assert body.read(start, length) == whole[start : start + length]
    with wave.open(io.BytesIO(whole)) as file:
        assert file.getnframes() == (5_000_000 - 44) // 4


def test_the_cache_holds_at_most_its_limit_and_drops_what_was_used_least_recently():
    cache, made = BodyCache(limit_bytes=100), []

    def get(key: int) -> None:
        cache.get(key, lambda: made.append(key) or Whole(bytes(40)))

    for key in (1, 2, 1, 3, 1, 2):
        get(key)
    assert made == [1, 2, 3, 2]
