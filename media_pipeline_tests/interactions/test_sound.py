"""Quality figures against sound whose truth is known: levels, silence, clipping, codecs, and files that are broken."""

import io
import math
import struct
import tracemalloc
from collections.abc import Iterator

import numpy as np  # noqa: TID253  the truth of the sound is made with it
import pytest
import soundfile

from media_pipeline.interactions import levels
from media_pipeline.interactions.levels import Figures
from media_pipeline.interactions.sound import Unmeasured, measured, measured_object
from media_pipeline.storage.bgzf import BlockCompressor
from media_pipeline.storage.local import LocalStore

RATE_HZ = 8_000
SECONDS = 3
SINE_DBFS = -3.0103
"""A sine at full scale: half the power of a square."""


def sine(level_dbfs: float, seconds: float = SECONDS, rate_hz: int = RATE_HZ) -> np.ndarray:
    """A tone of 400 Hz with this level (RMS over full scale)."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.sin(2 * np.pi * 400 * times) * 10 ** ((level_dbfs - SINE_DBFS) / 20)


def wav(samples: np.ndarray, *, tag: int = 1, bits: int = 16, rate_hz: int = RATE_HZ) -> bytes:
    """Samples (frames, channels) of a format that stands alone as a file; integers are written as they are."""
    channels = samples.shape[1]
    if bits == 24:
        data = samples.astype("<i4").tobytes()
        data = b"".join(data[at : at + 3] for at in range(0, len(data), 4))
    else:
        data = samples.astype({8: "u1", 16: "<i2", 32: "<i4"}[bits]).tobytes()
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame, frame, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm(*channels: np.ndarray, bits: int = 16) -> bytes:
    full = 2 ** (bits - 1)
    whole = np.clip(np.round(np.stack(channels, axis=1) * full), -full, full - 1)
    return wav(whole + 128 if bits == 8 else whole, bits=bits)


def figures(file: bytes, piece_bytes: int = 65_536) -> Figures:
    return measured(file[at : at + piece_bytes] for at in range(0, len(file), piece_bytes))


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("level", [-20.0, -12.5, -6.0])
def test_a_sine_has_its_level_in_every_width(bits, level):
    found = figures(pcm(sine(level), bits=bits))
    assert found.seconds == SECONDS
    assert found.levels_dbfs == pytest.approx([level], abs=0.1 if bits == 8 else 0.001)
    assert (found.silence_ratio, found.clipping_ratio) == (0.0, 0.0)


def test_a_sine_at_full_scale_lies_3_db_below_it_and_a_square_at_it():
    times = np.arange(RATE_HZ)
    assert figures(pcm(sine(SINE_DBFS))).levels_dbfs[0] == pytest.approx(SINE_DBFS, abs=0.001)
    square = np.where(times % 20 < 10, 32_767, -32_768)[:, None]
    found = figures(wav(square))
    assert found.levels_dbfs[0] == pytest.approx(0.0, abs=0.001)
    assert found.clipping_ratio == 1.0


def test_half_silence_is_half():
    found = figures(pcm(np.concatenate([sine(-20.0, 2.0), np.zeros(2 * RATE_HZ)])))
    assert found.silence_ratio == 0.5
    assert found.levels_dbfs[0] == pytest.approx(-20.0 - 10 * math.log10(2), abs=0.001)


def test_a_last_window_counts_by_its_length():
    frames = 160 * 3 + 40
    found = figures(pcm(np.concatenate([sine(-20.0, 160 / RATE_HZ), np.zeros(frames - 160)])))
    assert found.silence_ratio == (frames - 160) / frames
    assert found.seconds == frames / RATE_HZ


def test_a_silent_channel_is_silent_and_its_neighbour_is_not():
    found = figures(pcm(sine(-18.0), np.zeros(SECONDS * RATE_HZ)))
    assert found.levels_dbfs[0] == pytest.approx(-18.0, abs=0.001)
    assert found.levels_dbfs[1] == -math.inf
    assert found.silence_ratios == (0.0, 1.0)
    assert found.silence_ratio == 0.0  # somebody speaks all the time


def test_silence_of_all_is_what_both_channels_are_silent_in():
    quiet, half = np.zeros(RATE_HZ), sine(-20.0, 1.0)
    first, second = np.concatenate([half, quiet, quiet]), np.concatenate([quiet, half, quiet])
    found = figures(pcm(first, second))
    assert found.silence_ratios == pytest.approx((2 / 3, 2 / 3))
    assert found.silence_ratio == pytest.approx(1 / 3)


def test_noise_of_a_line_is_silence_and_a_whisper_is_not():
    for level, silent in ((-60.0, 1.0), (-40.0, 0.0)):
        assert figures(pcm(sine(level))).silence_ratio == silent


def test_clipping_is_the_share_of_samples_at_full_scale():
    tone = np.clip(sine(SINE_DBFS + 6.0), -1, 1)
    file = pcm(tone)
    whole = np.frombuffer(file[44:], dtype="<i2")
    expected = np.count_nonzero((whole == 32_767) | (whole == -32_768)) / len(whole)
    assert 0.5 < expected < 0.8  # a sine that is twice as high is cut off for two thirds of the time
    assert figures(file).clipping_ratio == expected


@pytest.mark.parametrize(("law", "subtype", "tag"), [("a_law", "ALAW", 6), ("mu_law", "ULAW", 7)])
def test_g711_is_expanded_as_the_reference_does(law, subtype, tag):
    codes = np.arange(256, dtype="u1")
    file = wav(codes[:, None], tag=tag, bits=8)
    expected, _ = soundfile.read(io.BytesIO(file), dtype="int16")
    assert [getattr(levels, law)(code) for code in range(256)] == expected.tolist(), subtype


@pytest.mark.parametrize(("subtype", "ceiling"), [("ALAW", 32_256), ("ULAW", 32_124)])
def test_a_sine_in_g711_has_its_level_and_clips_at_the_highest_code(subtype, ceiling):
    file = io.BytesIO()
    soundfile.write(
        file,
        np.stack([sine(-15.0), np.zeros(SECONDS * RATE_HZ)], axis=1),
        RATE_HZ,
        "ALAW" if subtype == "ALAW" else "ULAW",
        format="WAV",
    )
    found = figures(file.getvalue())
    assert found.seconds == SECONDS
    assert found.levels_dbfs[0] == pytest.approx(-15.0, abs=0.1)
    assert found.silence_ratios == (0.0, 1.0)
    assert found.clipping_ratio == 0.0
    loud = io.BytesIO()
    soundfile.write(loud, np.clip(sine(SINE_DBFS + 6.0), -1, 1), RATE_HZ, subtype, format="WAV")
    clipped = figures(loud.getvalue())
    samples, _ = soundfile.read(io.BytesIO(loud.getvalue()), dtype="int16")
    assert clipped.clipping_ratio == np.count_nonzero(np.abs(samples.astype(int)) == ceiling) / len(samples) > 0.5


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("WAV", "FLOAT"), ("WAV", "GSM610")],
)
def test_other_codecs_are_decoded(container, subtype):
    file, channels = io.BytesIO(), 1 if subtype == "GSM610" else 2
    both = np.stack([sine(-15.0), np.zeros(SECONDS * RATE_HZ)], axis=1)[:, :channels]
    soundfile.write(file, both, RATE_HZ, subtype, format=container)
    found = figures(file.getvalue())
    assert found.seconds == pytest.approx(SECONDS, abs=0.16)
    assert found.levels_dbfs[0] == pytest.approx(-15.0, abs=1.0)
    if channels == 2:
        assert found.silence_ratios[1] > 0.95
    assert found.clipping_ratio == 0.0


@pytest.mark.parametrize("piece_bytes", [1, 7, 44, 1_000])
def test_pieces_of_any_length_come_to_the_same(piece_bytes):
    file = pcm(sine(-20.0, 0.5), sine(-30.0, 0.5), bits=24)
    assert figures(file, piece_bytes) == figures(file)


def test_a_file_without_a_sample_has_no_length():
    found = figures(wav(np.zeros((0, 2))))
    assert (found.seconds, found.silence_ratio, found.clipping_ratio) == (0.0, 0.0, 0.0)
    assert found.levels_dbfs == (-math.inf, -math.inf)


def test_what_follows_the_samples_is_no_sound():
    file = pcm(np.zeros(RATE_HZ)) + b"LIST\x10\0\0\0" + b"\x7f" * 16
    assert figures(file).silence_ratio == 1.0


MP3 = b"\xff\xfb\x90\x00"


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "not_audio"),
        (b"<html>sign in</html>", "not_audio"),
        (b"ID3\x04\0\0\0\0\0\x00" + MP3 + b"\0" * 413 + b"\x01" * 5_000, "undecodable"),
        (b"OggS\0\2" + b"\0" * 20 + b"\1\1\x1e" + b"\x01vorbis" + b"\xff" * 3_000, "undecodable"),
        (
            b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x55\0\x01\0\x40\x1f\0\0\0\0\0\0\x01\0\0\0data\0\x10\0\0"
            + b"\xff" * 4_096,
            "undecodable",
        ),
    ],
    ids=["empty", "html", "mp3", "ogg", "mp3 in wav"],
)
def test_what_cannot_be_heard_says_why(file, reason):
    with pytest.raises(Unmeasured) as unmeasured:
        figures(file)
    assert unmeasured.value.reason == reason


@pytest.mark.parametrize(("channels", "rate_hz"), [(65, RATE_HZ), (1, 768_001), (1, 2**32 - 1)])
def test_a_header_that_says_what_no_sound_has_ends_no_run(channels, rate_hz):
    head = struct.pack("<HHIIHH", 1, channels, rate_hz, 0, 2 * channels, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", 260) + bytes(260)
    with pytest.raises(Unmeasured) as unmeasured:
        figures(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert unmeasured.value.reason == "undecodable"


def test_an_object_that_is_gone_or_damaged_says_so(tmp_path):
    store = LocalStore(tmp_path)
    with pytest.raises(Unmeasured) as unmeasured:
        measured_object(store, "audio/none.wav.gz")
    assert unmeasured.value.reason == "no_object"
    blocks = BlockCompressor()
    packed = b"".join(blocks.compress(pcm(sine(-20.0)))) + blocks.finish()[0]
    store.put("audio/torn.wav.gz", packed[: len(packed) // 2])
    with pytest.raises(Unmeasured) as unmeasured:
        measured_object(store, "audio/torn.wav.gz")
    assert unmeasured.value.reason == "damaged"
    store.put("audio/whole.wav.gz", packed)
    assert measured_object(store, "audio/whole.wav.gz") == figures(pcm(sine(-20.0)))


def test_a_long_recording_is_measured_in_little_memory():
    minute = pcm(sine(-20.0, 60), sine(-30.0, 60))

    def pieces() -> Iterator[bytes]:
        yield minute[:40] + b"\xff\xff\xff\xff"
        for _ in range(60):
            yield from (minute[at : at + 65_536] for at in range(44, len(minute), 65_536))

    tracemalloc.start()
    try:
        found = measured(pieces())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.seconds == pytest.approx(3_600)
    assert peak < 8_000_000
