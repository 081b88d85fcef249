"""The org: which recordings exist, and everything about them that does not need their bytes.

A recording is a pure function of (seed, day, index): nothing is stored, any of them is found in O(1), and days, ids
and times are the same after a restart. Bytes, sizes and durations belong to `media`; faults to `faults`.
"""

from __future__ import annotations

import bisect
import dataclasses
import datetime as dt
import hashlib
import itertools
import math
from array import array
from collections.abc import Callable
from typing import Literal

Transcript = Literal["available", "unavailable", "forbidden"]

INDEX_BITS = 24
DAY_MS = 86_400_000
HOURLY_CALLS = (1, 1, 1, 1, 1, 2, 4, 9, 16, 22, 25, 24, 19, 20, 24, 23, 20, 16, 10, 6, 4, 3, 2, 1)
"""Relative load of the 24 UTC hours: a night shift, a morning peak, a lunch dip."""

PERIOD = 180
"""Kinds repeat every 180 recordings, so a day of 180 holds each special kind once (7 %)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One sort of recording: what the listing says of it, and how its bytes are really encoded."""

    name: str
    media_type: str = "call"
    format: str | None = "wav"
    codec: str = "wav"
    status: str = "complete"
    has_file: bool = True
    speaks: bool = True


ORDINARY = Kind("ordinary")
MP3 = Kind("mp3", format="mp3", codec="mp3")
OGG = Kind("ogg", format="ogg", codec="ogg")
HUGE = Kind("huge", codec="huge", speaks=False)
SCREEN_MP4 = Kind("screen", media_type="screen", format="mp4", codec="mp4", speaks=False)
SCREEN_WEBM = dataclasses.replace(SCREEN_MP4, format="webm", codec="webm")
"""Recorders differ: the screen recordings of every other day, and of every other 180, are webm."""

SPECIAL = (
    Kind("processing", status="processing", has_file=False, speaks=False),
    Kind("empty", codec="empty", speaks=False),
    Kind("no_file", has_file=False),
    Kind("missing", has_file=False),
    Kind("upper_case", format="WAV"),
    Kind("dotted", format=".mp3", codec="mp3"),
    Kind("mixed_case", format="Ogg", codec="ogg"),
    Kind("opus", format="opus", codec="opus"),
    SCREEN_MP4,
    Kind("chat", media_type="chat", format="json", codec="json", speaks=False),
    Kind("email", media_type="email", format="eml", codec="eml", speaks=False),
    Kind("message", media_type="message", format="json", codec="json", speaks=False),
    Kind("no_format", format=None),
)
"""At the slots 0-12 of every period: even a day of 30 has each of them."""

CONTENT_TYPES = {
    "wav": "audio/wav",
    "huge": "audio/wav",
    "empty": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "json": "application/json",
    "eml": "message/rfc822",
}
QUEUES = ("billing", "delivery", "address", "password", "refund", "appointment")


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """One recording as the org knows it; `number` seeds whatever its bytes need."""

    ordinal: int
    id: str
    conversation_id: str | None
    kind: Kind
    created: dt.datetime
    number: int
    queue: str
    transcript: Transcript
    drops_speaker: bool
    drops_confidence: bool
    slot: int
    """Its place in the period of kinds, 0-179; the platform side's special cases go by it."""

    @property
    def created_time(self) -> str:
        """Creation in ISO 8601 with milliseconds and Z."""
        return self.created.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def file_name(self) -> str:
        """A name like those the recorder gives: queue, medium, time."""
        suffix = "" if self.kind.format is None else "." + self.kind.format.lower().lstrip(".")
        return f"{self.queue}_{self.kind.media_type}_recording_{self.created:%Y_%m_%d_%H%M%S}{suffix}"

    @property
    def content_type(self) -> str:
        """Media type of the bytes; octet-stream where the source names no format."""
        return CONTENT_TYPES[self.kind.codec] if self.kind.format else "application/octet-stream"


class Org:
    """The recordings of `days` days up to `end`, `per_day` each."""

    def __init__(
        self,
        *,
        seed: int,
        days: int,
        per_day: int,
        end: dt.date,
        huge: bool = False,
        transcoded: Callable[[], bool] = lambda: False,
    ) -> None:
        self.per_day = per_day
        self.transcoded = transcoded
        """Whether what was being prepared is ready by now."""
        self.first_day = end - dt.timedelta(days=days - 1)
        self.last_day = end
        self._huge = huge
        self._key = hashlib.blake2b(f"sandbox org {seed}".encode(), digest_size=32).digest()
        self._stride = _coprime_near(0.618 * per_day, per_day)
        weights = list(itertools.accumulate(HOURLY_CALLS, initial=0))
        self._profile = [w / weights[-1] for w in weights]

    def dates(self) -> list[dt.date]:
        """The org's days, oldest first."""
        count = (self.last_day - self.first_day).days + 1
        return [self.first_day + dt.timedelta(days=n) for n in range(count)]

    def day(self, day: dt.date) -> array[int]:
        """Ordinals of one day's recordings in order of creation; empty outside the org."""
        inside = self.first_day <= day <= self.last_day
        return self.slice_of(day, 0, self.per_day if inside else 0)

    def slice_of(self, day: dt.date, start: int, stop: int) -> array[int]:
        """Ordinals of recordings start..stop of a day, which may lie just outside the org."""
        base = day.toordinal() << INDEX_BITS
        return array("Q", range(base + max(start, 0), base + min(stop, self.per_day)))

    def between(self, start: dt.datetime, end: dt.datetime) -> array[int]:
        """Ordinals of the recordings created in [start, end), in order of creation."""
        found = array("Q")
        for day in self.dates():
            midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
            low, high = ((moment - midnight) / dt.timedelta(milliseconds=1) for moment in (start, end))
            if high > 0 and low < DAY_MS:
                found += self.slice_of(day, self._first_at(low), self._first_at(high))
        return found

    def find(self, recording_id: str) -> Recording | None:
        """The recording with this id; None when there is none. An id decrypts to its place, so no index is kept."""
        ordinal = self._opened("id", recording_id)
        return None if ordinal is None else self.recording(ordinal)

    def recording(self, ordinal: int) -> Recording:
        """The recording at this ordinal (day number << 24 | index)."""
        index = ordinal & ((1 << INDEX_BITS) - 1)
        digest = self._hash("recording", ordinal, 16)
        slot = (index * self._stride + 29) % max(self.per_day, 1) % PERIOD
        kind = HUGE if self._huge and index == 0 else _kind(slot)
        if kind is SCREEN_MP4 and ((ordinal >> INDEX_BITS) + index // PERIOD) % 2:
            kind = SCREEN_WEBM
        if kind.status == "processing" and self.transcoded():
            kind = ORDINARY
        day = dt.datetime.fromordinal(ordinal >> INDEX_BITS).replace(tzinfo=dt.UTC)
        return Recording(
            ordinal=ordinal,
            id=self._sealed("id", ordinal),
            conversation_id=None if slot % 45 == 21 else self.conversation_id(self.first_of_conversation(ordinal)),
            kind=kind,
            created=day + dt.timedelta(milliseconds=self._created_ms(index)),
            number=int.from_bytes(digest),
            queue=QUEUES[digest[0] % len(QUEUES)],
            transcript=_transcript(slot) if kind.speaks else "unavailable",
            drops_speaker=slot % 10 == 0 or slot % 20 == 7,
            drops_confidence=slot % 10 == 3 or slot % 20 == 7,
            slot=slot,
        )

    def named_id(self, purpose: str, number: int) -> str:
        """A UUID for something of the org that has a number: an agent, a queue, a session."""
        return _uuid(self._hash(purpose, number, 16))

    def first_of_conversation(self, ordinal: int) -> int:
        """The recording its conversation began with: itself, but every 16th is the second one of that before it."""
        return ordinal - 1 if ordinal & ((1 << INDEX_BITS) - 1) & 15 == 5 else ordinal

    def conversation_id(self, first: int) -> str:
        """Id of the conversation that begins with this recording; it decrypts to its place as a recording's does."""
        return self._sealed("conversation", first)

    def find_conversation(self, conversation_id: str) -> int | None:
        """The first recording (ordinal) of the conversation with this id; None when there is none."""
        return self._opened("conversation", conversation_id)

    def _created_ms(self, index: int) -> int:
        """Milliseconds after midnight: rises with the index, and touches both edges of the day."""
        edges = {self.per_day - 1: DAY_MS - 1, 0: 0}
        if self.per_day >= 30:
            edges |= {1: 999, self.per_day - 2: DAY_MS - 1000}
        if index in edges:
            return edges[index]
        jitter = int.from_bytes(self._hash("created", index, 4)) / 2**32
        share = (index + jitter) / self.per_day
        hour = bisect.bisect_right(self._profile, share) - 1
        within = (share - self._profile[hour]) / (self._profile[hour + 1] - self._profile[hour])
        return min(max(int((hour + within) * 3_600_000), 1000), DAY_MS - 1001)

    def _first_at(self, milliseconds: float) -> int:
        """Index of the first recording at or after this time of the day."""
        return bisect.bisect_left(range(self.per_day), milliseconds, key=self._created_ms)

    def _exists(self, ordinal: int) -> bool:
        """Whether the org, or the day just before or after it, has this recording (the fault `neighbours`)."""
        day, index = ordinal >> INDEX_BITS, ordinal & ((1 << INDEX_BITS) - 1)
        return index < self.per_day and self.first_day.toordinal() - 1 <= day <= self.last_day.toordinal() + 1

    def _sealed(self, purpose: str, ordinal: int) -> str:
        tag = bytearray(self._hash(purpose, ordinal, 10))
        tag[0] = tag[0] & 0x0F | 0x40  # version and variant bits of a random UUID
        tag[2] = tag[2] & 0x3F | 0x80
        return _uuid((ordinal ^ self._mask(tag)).to_bytes(6) + tag)

    def _opened(self, purpose: str, text: str) -> int | None:
        try:
            raw = bytes.fromhex(text.replace("-", ""))
        except ValueError:
            return None
        if len(raw) != 16:
            return None
        ordinal = int.from_bytes(raw[:6]) ^ self._mask(raw[6:])
        return ordinal if self._exists(ordinal) and self._sealed(purpose, ordinal) == text else None

    def _mask(self, tag: bytes | bytearray) -> int:
        return int.from_bytes(hashlib.blake2b(tag, key=self._key, digest_size=6).digest())

    def _hash(self, purpose: str, number: int, size: int) -> bytes:
        return hashlib.blake2b(f"{purpose} {number}".encode(), key=self._key, digest_size=size).digest()


def _kind(slot: int) -> Kind:
    if slot < len(SPECIAL):
        return SPECIAL[slot]
    if slot % 16 == 14:
        return MP3
    return OGG if slot % 32 == 15 else ORDINARY


def _transcript(slot: int) -> Transcript:
    """12 % have none, 1 % are forbidden."""
    if slot % 90 == 18:
        return "forbidden"
    return "unavailable" if slot % 8 == 1 else "available"


def _uuid(raw: bytes | bytearray) -> str:
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _coprime_near(wanted: float, modulus: int) -> int:
    """A stride that visits every slot of the day once, so that special kinds are spread over it."""
    return next(n for n in itertools.count(max(int(wanted), 1)) if math.gcd(n, max(modulus, 1)) == 1)
