"""A transcript document as segments: absolute times become offsets, sides of the line become speakers.

The document's format is the official sample's (GENESYS_API.md, section 2d). It tells two sides apart, `external` (the
customer) and `internal` (agents, IVR); who of several on the internal side spoke is inferred from the times at which
they took part, and only where that leaves one.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from media_pipeline.genesys.errors import MalformedReply
from media_pipeline.genesys.source import Segment
from media_pipeline.genesys.values import MOST_MILLISECONDS

EXTERNAL, INTERNAL = "external", "internal"
CHANNELS: Final = {EXTERNAL: 0, INTERNAL: 1}
"""Our numbers of the two sides; the document names sides, not the audio's channels."""
CUSTOMER, AGENT, UNKNOWN = "customer", "agent", "unknown"

Number = (
    Annotated[int, msgspec.Meta(ge=-MOST_MILLISECONDS, le=MOST_MILLISECONDS)]
    | Annotated[float, msgspec.Meta(ge=-MOST_MILLISECONDS, le=MOST_MILLISECONDS)]
)
"""What is beyond is no time, and no column could hold it.

A confidence that is no number is none, a phrase without a duration ends where it begins, a user id may be a number: one
such field is no reason to do without the other phrases.
"""


class _Duration(msgspec.Struct):
    milliseconds: Number = 0


class _Word(msgspec.Struct):
    confidence: Number | str | None = None


class _Phrase(msgspec.Struct, rename="camel"):
    start_time_ms: Number
    duration: _Duration | None = None
    text: str | None = None
    participant_purpose: str | None = None
    confidence: Number | str | None = None
    words: list[_Word] | None = None


class _Transcript(msgspec.Struct, rename="camel"):
    start_time: Number | None = None
    phrases: list[_Phrase] | None = None


class _Participant(msgspec.Struct, rename="camel"):
    participant_purpose: str | None = None
    user_id: str | int | None = None
    start_time_ms: Number | None = None
    end_time_ms: Number | None = None

    def took_part(self, start: Number, end: Number) -> bool:
        """Whether this one was there at any time between; a missing end means to the end."""
        after, before = self.start_time_ms or 0, self.end_time_ms or float("inf")
        return start < before and max(end, start + 1) > after


class Document(msgspec.Struct, rename="camel"):
    """The fields of a transcript document that are used."""

    start_time: Number | None = None
    recording_id: str | None = None
    participants: list[_Participant] | None = None
    transcripts: list[_Transcript] | None = None


_decoder = msgspec.json.Decoder(Document)


def parse(data: bytes | bytearray) -> Document:
    """A document from its JSON; raises MalformedReply, without repeating what is in it."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedReply("The transcript document is not the JSON that Genesys Cloud describes.") from None


def segments_of(document: Document) -> list[Segment]:
    """The phrases in order of time; offsets from the start of what was transcribed.

    `speaker` is `customer` for the external side; for the internal one the agent's user id where only one participant
    took part at the time, else `internal`; `unknown` without a side. Confidence is the mean of the words', else the
    phrase's, else None. Raises MalformedReply without any start time.
    """
    inside = [p for p in document.participants or [] if p.participant_purpose not in (CUSTOMER, EXTERNAL)]
    segments = []
    for transcript in document.transcripts or []:
        start = document.start_time if document.start_time is not None else transcript.start_time
        for phrase in transcript.phrases or []:
            if start is None:
                raise MalformedReply("The transcript document does not say when it starts.")
            segments.append(_segment(phrase, start, inside))
    return sorted(segments, key=lambda s: (s.start_ms, s.end_ms))


def _segment(phrase: _Phrase, start: Number, inside: list[_Participant]) -> Segment:
    begin, end = phrase.start_time_ms, phrase.start_time_ms
    if phrase.duration is not None:
        end += phrase.duration.milliseconds
    side = phrase.participant_purpose
    speaker, purpose = UNKNOWN, None
    if side == EXTERNAL:
        speaker = purpose = CUSTOMER
    elif side == INTERNAL:
        there = [p for p in inside if p.took_part(begin, end)]
        purposes = {p.participant_purpose for p in there}
        purpose = purposes.pop() if len(purposes) == 1 else None
        only = there[0] if len({(p.participant_purpose, p.user_id) for p in there}) == 1 else None
        speaker = str(only.user_id) if only and only.participant_purpose == AGENT and only.user_id else INTERNAL
    return Segment(
        start_ms=round(begin - start),
        end_ms=round(end - start),
        text=phrase.text or "",
        speaker=speaker,
        channel=CHANNELS.get(side or ""),
        participant_purpose=purpose,
        confidence=_confidence(phrase),
    )


def _confidence(phrase: _Phrase) -> float | None:
    words = [word.confidence for word in phrase.words or [] if isinstance(word.confidence, int | float)]
    if words:
        return sum(words) / len(words)
    return float(phrase.confidence) if isinstance(phrase.confidence, int | float) else None
