"""Voices: the phrase bank spoken by espeak-ng, as 8 kHz telephone audio. Who says what when is `dialogue`'s.

espeak-ng carries its oscillators' state from one phrase into the next, so a phrase alone is not reproducible; the
whole bank in one order is. It is spoken once per process, about 900 times faster than real time.
"""

from __future__ import annotations

import ctypes
import dataclasses
import threading
from typing import TYPE_CHECKING

from media_pipeline.sandbox.phrases import SPEAKERS, Speaker, phrases

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.int16]
    Bank = dict[tuple[Speaker, int, str], Samples]

SAMPLE_RATE_HZ = 8_000
SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1_000
ESPEAK_RATE_HZ = 22_050
PASSBAND_HZ = 3_400
"""Upper edge of the telephone band; a cosine slope reaches silence at 4 kHz, half the sample rate."""
PEAK = 12_000
SILENCE = 120
"""One percent of the peak: what espeak leaves below it at both ends of a phrase is cut off."""

_SYNCHRONOUS, _UTF8, _RATE, _PITCH = 2, 1, 1, 3  # espeak_AUDIO_OUTPUT, espeakCHARS, espeak_PARAMETER


@dataclasses.dataclass(frozen=True, slots=True)
class Voice:
    """One person: an espeak-ng voice with a variant, words per minute, and pitch 0-99."""

    name: str
    words_per_minute: int
    pitch: int


VOICES: dict[Speaker, tuple[Voice, ...]] = {
    "customer": (Voice("en-us+f1", 178, 58), Voice("en+m5", 162, 38), Voice("en-us+m7", 185, 47)),
    "agent": (Voice("en+f4", 172, 62), Voice("en-us+m3", 168, 42), Voice("en-us+f4", 180, 45)),
}
"""Only variants without `breath`: f2, f3 and f5 add noise from rand(), seeded with the time of day."""

_lock = threading.Lock()
_bank: Bank = {}


def bank() -> Bank:
    """Every phrase in every voice of its side; the first call takes about a second, others wait for it.

    (speaker, which of the speaker's voices, text) to mono samples, a whole number of milliseconds long.
    """
    with _lock:
        if not _bank:
            _bank.update(_speak_bank())
    return _bank


def _speak_bank() -> Bank:
    engine = _Espeak()
    return {
        (speaker, number, text): _telephone(engine.speak(voice, text))
        for speaker in SPEAKERS
        for number, voice in enumerate(VOICES[speaker])
        for text in phrases(speaker)
    }


def _telephone(clip: Samples) -> Samples:
    """Resample 22.05 kHz to 8 kHz, normalise, trim silence, and pad to whole milliseconds."""
    import numpy as np

    step = ESPEAK_RATE_HZ // 50  # 441 samples in become 160 out, both 20 ms
    blocks = -(-(len(clip) + ESPEAK_RATE_HZ // 10) // step)  # 100 ms more, so that the end does not wrap around
    spectrum = np.fft.rfft(clip, blocks * step)
    length = blocks * SAMPLE_RATE_HZ // 50
    hertz = np.arange(length // 2 + 1) * SAMPLE_RATE_HZ / length
    slope = np.clip((hertz - PASSBAND_HZ) / (SAMPLE_RATE_HZ / 2 - PASSBAND_HZ), 0, 1)
    wave = np.fft.irfft(spectrum[: length // 2 + 1] * (1 + np.cos(np.pi * slope)) / 2, length)
    wave = np.rint(wave * (PEAK / np.abs(wave).max())).astype(np.int16)
    loud = np.flatnonzero(np.abs(wave) >= SILENCE)
    wave = wave[loud[0] : loud[-1] + 1]
    return np.pad(wave, (0, -len(wave) % SAMPLES_PER_MS))


class _Espeak:
    """The few calls of libespeak-ng that are needed. Not thread safe: the library has one global state."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._pcm = bytearray()
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        self._callback = signature(self._collect)  # kept: the library holds only a pointer
        data = espeakng_loader.get_data_path().encode()
        rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0)
        if rate != ESPEAK_RATE_HZ:
            raise RuntimeError(f"espeak-ng did not start with the data at {data!r} (answer {rate}).")
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, voice: Voice, text: str) -> Samples:
        """One phrase at 22.05 kHz. Raises RuntimeError for a voice the library does not have."""
        import numpy as np

        self._pcm.clear()
        if self._library.espeak_SetVoiceByName(voice.name.encode()):
            raise RuntimeError(f"espeak-ng has no voice {voice.name!r}.")
        self._library.espeak_SetParameter(_RATE, voice.words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, voice.pitch, 0)
        encoded = text.encode()
        self._library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 1, 0, _UTF8, None, None)
        return np.frombuffer(bytes(self._pcm), "<i2")

    def _collect(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._pcm += ctypes.string_at(samples, count * 2)
        return 0
