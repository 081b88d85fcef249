"""Waveforms are what the samples are, made once, and made again when the recording is another one."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import wave
from pathlib import Path

import numpy as np  # noqa: TID253  a test
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.playback.drawing import BARS, HEIGHT, WIDTH, bars_of, path_of, place_of
from media_pipeline.playback.peaks import MOST_STRETCHES, Peaks, Waveform, decoded
from media_pipeline.playback.waveforms import kept, made
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.paths import waveform_key
from media_pipeline_tests.harness import DAY

RATE_HZ = 8_000


def wav_gz(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.rint(samples * 32_767).astype("<i2").tobytes())
    return gzip.compress(buffer.getvalue())


def row(sha256: str = "a" * 64) -> dict[str, object]:
    return {"recording_id": "r-1", "file_index": 0, "object_key": "audio/r-1.wav.gz", "sha256": sha256}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60_000), st.integers(1, 3), st.integers(0, 2**32 - 1), st.integers(1, 9_000))
def test_every_stretch_is_as_loud_as_its_loudest_sample(frames: int, channels: int, seed: int, piece: int):
    samples = np.random.default_rng(seed).uniform(-1, 1, (frames, channels)) ** 5
    peaks = Peaks(100, channels)  # a stretch is one frame at first, so that stretches are joined often
    for at in range(0, frames, piece):
        peaks.add(samples[at : at + piece])
    found = peaks.waveform("x")
    assert found.seconds == frames / 100
    per = 1
    while frames // per >= MOST_STRETCHES:
        per *= 2
    for channel, levels in enumerate(found.channels):
        expected = [np.abs(samples[at : at + per, channel]).max() for at in range(0, frames, per)]
        assert list(levels) == [round(each * 255) for each in expected]
        assert len(levels) <= MOST_STRETCHES


def test_a_waveform_is_what_was_stored_and_anything_else_is_none():
    waveform = Waveform("ab", 1.5, None, (b"\x00\xff", b"\x01\x02"))
    assert decoded(waveform.encode()) == waveform
    facts = json.loads(waveform.encode())
    for broken in (
        b"",
        b"[]",
        b"null",
        waveform.encode()[:-3],
        *(json.dumps(facts | each).encode() for each in BROKEN),
    ):
        assert decoded(broken) is None


BROKEN: tuple[dict[str, object], ...] = (
    {"version": 2},
    {"channels": ["é"]},
    {"channels": ["AAA=", "AAAA"]},
    {"seconds": "long"},
    {"channels": None},
)


def test_a_recording_is_drawn_once_and_again_only_when_its_bytes_are_others(tmp_path: Path):
    store = LocalStore(tmp_path)
    tone = np.zeros((RATE_HZ, 2))
    tone[4000:, 1] = 0.5
    store.put("audio/r-1.wav.gz", wav_gz(tone))
    first, is_new = made(store, DAY, row())
    assert (is_new, first.seconds, first.reason) == (True, 1.0, None)
    left, right = first.channels
    assert max(left) == 0
    assert right == bytes(50) + bytes([128] * 50)
    store.put("audio/r-1.wav.gz", b"not looked at")
    assert made(store, DAY, row()) == (first, False)
    store.put("audio/r-1.wav.gz", wav_gz(tone[:400]))
    second, is_new = made(store, DAY, row("b" * 64))
    assert (is_new, second.seconds) == (True, 0.05)
    assert kept(store, DAY, row()) is None  # of what lay there before
    assert kept(store, DAY, row("b" * 64)) == second


@pytest.mark.parametrize(
    ("stored", "reason", "again"),
    [(gzip.compress(b"<html>"), "not_audio", False), (b"torn", "damaged", True), (None, "no_object", True)],
    ids=["page", "torn", "missing"],
)
def test_what_cannot_be_drawn_says_why_and_is_tried_again_when_that_may_help(tmp_path: Path, stored, reason, again):
    store = LocalStore(tmp_path)
    if stored is not None:
        store.put("audio/r-1.wav.gz", stored)
    waveform, is_new = made(store, DAY, row())
    assert (waveform.reason, waveform.channels, is_new) == (reason, (), True)
    assert made(store, DAY, row())[1] == again


def test_a_torn_waveform_is_made_anew(tmp_path: Path):
    store = LocalStore(tmp_path)
    store.put("audio/r-1.wav.gz", wav_gz(np.full((800, 1), 0.25)))
    whole, _ = made(store, DAY, row())
    key = waveform_key(DAY, "r-1", 0)
    store.put(key, whole.encode()[:20])
    assert made(store, DAY, row()) == (whole, True)


def test_a_path_stays_in_its_box_and_quiet_calls_fill_it():
    assert bars_of(b"") == []
    assert bars_of(bytes(range(10))) == list(range(10))
    assert bars_of(bytes([0] * 2999 + [9]))[-1] == 9
    path = path_of([0, 10], 10)
    assert path == f"M0 49h420v2h-420zM{WIDTH // 2} 2h420v96h-420z"
    assert path_of([0] * BARS, 0).count("M") == BARS
    assert path_of([], 0) == ""
    assert (place_of(500, 1.0), place_of(-5, 1.0), place_of(5_000, 1.0), place_of(5, 0)) == (600, 0, WIDTH, 0)
    assert HEIGHT == 100


def test_the_exported_day_is_drawn_as_long_as_it_is(drawn):
    lengths = {
        each["recording_id"]: kept(drawn.tables.store, DAY, each)
        for each in drawn.rows("recording_audio")
        if each["status"] == "stored"
    }
    assert all(lengths.values())
    for recording_id, waveform in lengths.items():
        assert dataclasses.asdict(waveform)["reason"] is None, recording_id
        listed = next(each for each in drawn.rows("recording_inventory") if each["recording_id"] == recording_id)
        assert waveform.seconds == pytest.approx(listed["duration_seconds"], abs=0.1)
