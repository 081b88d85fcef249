"""Short audio of the three accepted kinds, made by real encoders."""

from __future__ import annotations

import array
import functools
import io
import math
import wave

import soundfile

RATE_HZ = 16_000


def wav(seconds: float = 0.5, *, frames: bytes | None = None) -> bytes:
    """16-bit mono WAV; other samples than a tone's with `frames`."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(_tone(seconds).tobytes() if frames is None else frames)
    return out.getvalue()


@functools.cache
def mp3(seconds: float = 0.5) -> bytes:
    return _encoded("MP3", seconds)


@functools.cache
def ogg(seconds: float = 0.5) -> bytes:
    return _encoded("OGG", seconds)


def _encoded(kind: str, seconds: float) -> bytes:
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", RATE_HZ, 1, format=kind) as file:
        file.buffer_write(_tone(seconds), dtype="int16")
    return out.getvalue()


def _tone(seconds: float) -> array.array[int]:
    samples = range(int(seconds * RATE_HZ))
    return array.array("h", (int(8_000 * math.sin(2 * math.pi * 440 * n / RATE_HZ)) for n in samples))
