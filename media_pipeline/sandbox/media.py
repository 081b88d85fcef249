"""What is in a recording: its duration, its bytes and its transcript, spoken or tiny. How it is served: elsewhere.

`speech` assembles real calls; `tiny` answers in microseconds with bodies that only look like their format, so that
20,000 recordings a day can be served.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.policy import SMTP
from typing import cast

from media_pipeline.sandbox import audio, dialogue, video
from media_pipeline.sandbox.bodies import Body, BodyCache, HugeWav, Whole
from media_pipeline.sandbox.options import Bodies
from media_pipeline.sandbox.org import Recording

CACHE_BYTES = 64_000_000
TINY_PAYLOAD_BYTES = (20, 156)
MB = 1_000_000

_MAGIC = {"mp3": b"ID3\x04\x00\x00\x00\x00\x00\x00", "ogg": b"OggS\x00\x02", "opus": b"OggS\x00\x02"}

Segment = dict[str, object]


class Media:
    """The contents of an org's recordings; equal settings give equal bytes in every process."""

    def __init__(self, bodies: Bodies, huge_mb: int) -> None:
        self.instant = bodies == "tiny"
        """Whether answers take microseconds, so that a thread would cost more than it saves."""
        self._huge_mb = huge_mb
        self._cache = BodyCache(CACHE_BYTES)
        self._huge = functools.lru_cache(maxsize=64)(lambda ordinal: HugeWav(huge_mb * MB, ordinal >> 24))
        self._encode: Callable[[Recording], bytes] = _tiny if self.instant else _spoken

    def duration_seconds(self, recording: Recording) -> float:
        """Length of the recording, to the millisecond; 0 for what has no time line."""
        kind = recording.kind
        if kind.codec == "huge":
            return round(self._huge_mb * MB / 32_000, 3)
        if kind.media_type in ("email", "message", "chat") or kind.name == "empty":
            return 0.0
        if kind.media_type == "screen":
            return float(video.SECONDS)
        if self.instant or not kind.speaks:
            return 15.0 + recording.number % 45_000 / 1_000
        return dialogue.plan(recording.number, recording.queue).duration_ms / 1_000

    def body(self, recording: Recording, variant: video.Variant = "ordinary") -> Body | None:
        """The file, of a screen recording perhaps a variant of it; None for a recording without one."""
        if not recording.kind.has_file:
            return None
        if variant != "ordinary" and recording.kind.media_type == "screen":
            return Whole(screen(recording, variant))
        if recording.kind.codec == "huge":
            return self._huge(recording.ordinal)
        if self.instant:
            return Whole(self._encode(recording))
        return self._cache.get(recording.ordinal, lambda: Whole(self._encode(recording)))

    def segments(self, recording: Recording) -> list[Segment]:
        """The transcript as the API words it; offsets in ms from the start of the recording."""
        lines = _tiny_lines(recording) if self.instant else _spoken_lines(recording)
        for number, segment in enumerate(lines):
            if recording.drops_speaker and number % 3 == 0:
                del segment["speaker"]
            if recording.drops_confidence and number % 3 == 1:
                del segment["confidence"]
        return lines


def _spoken(recording: Recording) -> bytes:
    codec = recording.kind.codec
    if codec in _TEXTS:
        return _TEXTS[codec](recording)
    call = dialogue.plan(recording.number, recording.queue)
    return audio.encode(dialogue.mix(call), cast(audio.Codec, codec))


def _spoken_lines(recording: Recording) -> list[Segment]:
    call = dialogue.plan(recording.number, recording.queue)
    return [_segment(line.start_ms, line.end_ms, line.text, line.speaker, line.confidence) for line in call.lines]


def _tiny(recording: Recording) -> bytes:
    """64 to 200 bytes that begin like their format; what is no call is the real thing."""
    codec = recording.kind.codec
    if codec in _TEXTS:
        return _TEXTS[codec](recording)
    low, high = TINY_PAYLOAD_BYTES
    payload = _filler(recording, low + recording.number % (high - low + 1) // 4 * 4)
    return (_MAGIC.get(codec) or audio.wav_header(len(payload), channels=2)) + payload


def _tiny_lines(recording: Recording) -> list[Segment]:
    return [
        _segment(200, 1_400, "Hello, my card is 4111 1111 1111 1111.", "customer", 0.91),
        _segment(1_700, 2_900, f"Thank you, this is {recording.queue}.", "agent", 0.95),
    ]


def _segment(start_ms: int, end_ms: int, text: str, speaker: str, confidence: float) -> Segment:
    return {
        "startOffsetInMilliseconds": start_ms,
        "endOffsetInMilliseconds": end_ms,
        "text": text,
        "speaker": speaker,
        "confidence": confidence,
    }


def _chat(recording: Recording) -> bytes:
    lines = [{"from": s["speaker"], "text": s["text"]} for s in _tiny_lines(recording)]
    return json.dumps({"queue": recording.queue, "messages": lines}, indent=1).encode()


def _email(recording: Recording) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = "jane.doe@example.com"
    mail["To"] = f"{recording.queue}@example.org"
    mail["Subject"] = f"My question about {recording.queue}"
    mail["Date"] = recording.created
    mail.set_content("Hello,\nplease call me back on 202-555-0147.\nJane")
    return mail.as_bytes()


def screen(recording: Recording, variant: video.Variant = "ordinary") -> bytes:
    """The file of a screen recording, or a variant of it."""
    return video.screen(cast(video.Container, recording.kind.codec), recording.number % video.LOOKS, variant)


def _filler(recording: Recording, size: int) -> bytes:
    return hashlib.shake_128(recording.number.to_bytes(16)).digest(size)


_TEXTS: Mapping[str, Callable[[Recording], bytes]] = {
    "json": _chat,
    "eml": _email,
    "mp4": screen,
    "webm": screen,
    "empty": lambda recording: b"",
}
