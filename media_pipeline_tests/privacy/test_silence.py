"""Silenced copies: exactly the spans are silent, every other byte is the original's, in every format that can be."""

import random
import struct
import wave

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.privacy.silence import SILENCE, CannotSilence, Span, silenced

PCM, A_LAW, MU_LAW, EXTENSIBLE = 1, 6, 7, 0xFFFE
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
RATE = 8000


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def wav(
    tag, bits, channels, frames, *, extensible=False, before=b"", after=b"", size=None, seed=1
) -> tuple[bytes, int]:
    """A file of noise and the offset of its samples."""
    frame = channels * bits // 8
    fmt = struct.pack("<HHIIHH", EXTENSIBLE if extensible else tag, channels, RATE, RATE * frame, frame, bits)
    if extensible:
        fmt += struct.pack("<HHIH", 22, bits, 3, tag) + GUID_TAIL
    elif tag != PCM:
        fmt += b"\0\0"
    noise = random.Random(seed).randbytes(frames * frame)
    head = chunk(b"fmt ", fmt) + before
    data = chunk(b"data", noise) if size is None else b"data" + struct.pack("<I", size) + noise
    body = b"WAVE" + head + data + after
    return b"RIFF" + struct.pack("<I", len(body)) + body, 12 + len(head) + 8


def copy_of(file: bytes, spans, piece=1000) -> bytes:
    pieces = [file[at : at + piece] for at in range(0, len(file), piece)]
    return b"".join(now for _, now in silenced(pieces, spans))


@pytest.mark.parametrize("piece", [1, 7, 1000, 10**6])
@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(("tag", "bits"), SILENCE)
def test_each_format_is_silent_in_its_own_way_and_elsewhere_untouched(tag, bits, extensible, piece):
    file, offset = wav(tag, bits, 2, 800, extensible=extensible, after=chunk(b"LIST", b"INFOIART\5\0\0\0Anna\0"))
    copy = copy_of(file, [Span(10, 30)], piece)
    first, last = offset + 80 * 2 * bits // 8, offset + 240 * 2 * bits // 8
    assert copy[:first] == file[:first]
    assert set(copy[first:last]) == {{1: 0x80 if bits == 8 else 0, 6: 0xD5, 7: 0xFF}[tag]}
    assert copy[last:] == file[last:]


@pytest.mark.parametrize("channel", [0, 1])
def test_only_the_channel_of_the_segment_is_silent(channel):
    file, offset = wav(PCM, 16, 2, 800)
    copy = copy_of(file, [Span(10, 30, channel)], 333)
    before, now = (memoryview(data[offset:]).cast("h").tolist() for data in (file, copy))
    other = 1 - channel
    assert now[other::2] == before[other::2]
    assert now[channel::2] == before[channel::2][:80] + [0] * 160 + before[channel::2][240:]


def test_a_channel_that_the_file_has_not_silences_all():
    file, offset = wav(MU_LAW, 8, 1, 800)
    assert copy_of(file, [Span(0, 100, 1)])[offset:] == b"\xff" * 800


def test_odd_milliseconds_round_outwards():
    file, offset = wav(PCM, 8, 1, 8000)
    copy = bytearray(copy_of(file.replace(struct.pack("<I", RATE), struct.pack("<I", 11_025), 1), [Span(1, 2)]))
    assert set(copy[offset + 11 : offset + 23]) == {0x80}


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(list(SILENCE)),
    channels=st.integers(1, 3),
    spans=st.lists(
        st.tuples(st.integers(-5, 120), st.integers(-5, 120), st.one_of(st.none(), st.integers(0, 3))), max_size=5
    ),
    piece=st.integers(1, 500),
    seed=st.integers(0, 9),
)
def test_any_spans_change_what_they_cover_and_nothing_else(kind, channels, spans, piece, seed):
    tag, bits = kind
    file, offset = wav(tag, bits, channels, 700, seed=seed, before=chunk(b"junk", b"odd"), after=chunk(b"id3 ", b"x"))
    wanted = [Span(*span) for span in spans]
    copy = copy_of(file, wanted, piece)
    expected = bytearray(file)
    for frame in range(700):
        for channel in range(channels):
            place = offset + (frame * channels + channel) * bits // 8
            for start, end, of in spans:
                inside = max(0, start) * 8 <= frame < end * 8
                if inside and (of is None or of >= channels or channels == 1 or of == channel):
                    expected[place : place + bits // 8] = bytes([SILENCE[kind]]) * (bits // 8)
    assert copy == bytes(expected)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_file_that_was_written_to_a_pipe_is_silenced_to_its_end(size):
    file, offset = wav(PCM, 16, 1, 800, size=size)
    assert copy_of(file, [Span(0, 10_000)])[offset:] == bytes(1600)


def test_a_file_that_was_cut_off_stays_cut_off():
    file, _ = wav(PCM, 16, 1, 800)
    assert len(copy_of(file[:-301], [Span(0, 10_000)])) == len(file) - 301


def test_pythons_own_reader_still_reads_the_copy(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes(b"\1\2\3\4" * 800)
    (tmp_path / "b.wav").write_bytes(copy_of((tmp_path / "a.wav").read_bytes(), [Span(0, 50, 0)]))
    with wave.open(str(tmp_path / "b.wav")) as file:
        assert file.getnframes() == 800
        assert file.readframes(800) == b"\0\0\3\4" * 400 + b"\1\2\3\4" * 400


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (b"ID3\x03" + bytes(500), "no WAV"),
        (b"OggS" + bytes(500), "no WAV"),
        (b"RF64" + bytes(500), "no WAV"),
        (b"RIFF\0\0\0\0AVI " + bytes(500), "no WAV"),
        (wav(3, 32, 1, 80)[0], "format 0x0003 with 32 bits"),
        (wav(2, 4, 2, 80)[0], "format 0x0002"),
        (wav(49, 8, 1, 80)[0], "format 0x0031"),
        (wav(PCM, 16, 0, 80)[0], "contradicts itself"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"data", bytes(80)), "before their description"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", bytes(8)) + chunk(b"data", bytes(80)), "cut off"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"JUNK", bytes(2 * 1024 * 1024)), "1 MiB"),
        (b"RIFF", "ends before"),
        (b"", "ends before"),
    ],
)
def test_what_cannot_be_silenced_exactly_is_refused_with_the_reason(file, why):
    with pytest.raises(CannotSilence, match=why):
        copy_of(file, [Span(0, 10)])
