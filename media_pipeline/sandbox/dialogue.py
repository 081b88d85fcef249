"""A call as a plan (who speaks when) and as two-channel samples; the plan is the transcript's ground truth.

Encoding to files is `audio`'s. Channel 0 is the customer, channel 1 the agent.
"""

from __future__ import annotations

import dataclasses
import functools
import random
from typing import TYPE_CHECKING

from media_pipeline.sandbox.phrases import Speaker, conversation
from media_pipeline.sandbox.speech import SAMPLE_RATE_HZ, SAMPLES_PER_MS, VOICES, bank

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CHANNELS: dict[Speaker, int] = {"customer": 0, "agent": 1}
LEAD_MS = (300, 900)
GAP_MS = (200, 1_200)
OVERLAP_MS = (80, 300)
OVERLAP_SHARE = 0.12
NOISE_PEAK = 6
"""Comfort noise about 75 dB below full scale: an energy detector sees silence, gzip sees a real line."""
NOISE_SECONDS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One thing said; start and end in ms are exactly where its samples lie."""

    speaker: Speaker
    voice: int
    text: str
    start_ms: int
    end_ms: int
    confidence: float


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """A whole call; the duration is a whole number of ms."""

    lines: tuple[Line, ...]
    duration_ms: int
    number: int


@functools.lru_cache(maxsize=4_096)
def plan(number: int, topic: str) -> Plan:
    """The call with this number: 15 to 60 s, gaps of 0.2 to 1.2 s, now and then two people at once."""
    clips = bank()
    rng = random.Random(number)
    voices = {speaker: rng.randrange(len(VOICES[speaker])) for speaker in CHANNELS}
    free_ms = dict.fromkeys(CHANNELS, 0)
    lines: list[Line] = []
    cursor = rng.randint(*LEAD_MS)
    for speaker, text in conversation(topic, rng):
        start = max(cursor, free_ms[speaker])
        end = start + len(clips[speaker, voices[speaker], text]) // SAMPLES_PER_MS
        lines.append(Line(speaker, voices[speaker], text, start, end, round(rng.uniform(0.82, 0.99), 2)))
        free_ms[speaker] = end + GAP_MS[0]
        overlap = rng.random() < OVERLAP_SHARE
        cursor = end - rng.randint(*OVERLAP_MS) if overlap else end + rng.randint(*GAP_MS)
    last = max(line.end_ms for line in lines)
    return Plan(tuple(lines), last + rng.randint(*LEAD_MS), number)


def mix(call: Plan) -> npt.NDArray[np.int16]:
    """The call's samples, shape (frames, 2), 8 kHz."""
    import numpy as np

    clips = bank()
    frames = call.duration_ms * SAMPLES_PER_MS
    shift = call.number % (NOISE_SECONDS * SAMPLE_RATE_HZ)
    samples = np.resize(np.roll(_noise(), shift, axis=0), (frames, len(CHANNELS)))
    for line in call.lines:
        place = slice(line.start_ms * SAMPLES_PER_MS, line.end_ms * SAMPLES_PER_MS)
        samples[place, CHANNELS[line.speaker]] += clips[line.speaker, line.voice, line.text]
    return samples


@functools.cache
def _noise() -> npt.NDArray[np.int16]:
    """Ten seconds of stereo noise. Raw PCG64 output, which numpy keeps stable between its versions."""
    import numpy as np

    count = NOISE_SECONDS * SAMPLE_RATE_HZ * len(CHANNELS)
    raw = np.random.PCG64(8_000).random_raw(count // 8).view(np.int8)
    return (raw.astype(np.int16) * NOISE_PEAK // 128).reshape(-1, len(CHANNELS))
