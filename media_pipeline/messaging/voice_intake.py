"""What of the inbox may be sent: each pair is read once, judged by its bytes, and gets its key and its day."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path

from media_pipeline.genesys.messaging_source import OutgoingVoice
from media_pipeline.messaging.audio_length import duration_ms
from media_pipeline.messaging.audio_types import MEDIA_TYPES, NotAudio, audio_format
from media_pipeline.messaging.inbox import NotReady, Pair
from media_pipeline.messaging.voice_state import DONE, REJECTED, Progress
from media_pipeline.tables.partition import Row

MAX_BYTES = 12_000_000
"""Of the audio, as the service has it: a minute of 48 kHz stereo WAV. The message itself, which only names the audio,
is held to the guides' 2 MB where it is made."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A pair that may be sent."""

    progress: Progress
    voice: OutgoingVoice
    audio: bytes


def day_of(received_at: dt.datetime, first: dt.date, today: dt.date) -> dt.date:
    """The UTC day a message belongs to; moments that cannot be are taken for today."""
    day = received_at.astimezone(dt.UTC).date() if received_at.tzinfo else received_at.date()
    return day if first <= day <= today else today


def judged(pair: Pair, day: dt.date, known: dict[str, Row], folder: Path) -> Ready | Progress | None:
    """The pair as a message, or as a rejected one; None: it changes while it is read, or is gone.

    `known`: rows of messages that were seen before, whose audio need not be measured again; `folder`: for decoding.
    """
    try:
        with pair.open() as file:
            audio = file.read(MAX_BYTES + 1)
    except OSError:
        return None  # told as a file that makes no pair yet
    digest = hashlib.sha256(audio).hexdigest()
    key, whole = pair.message_key(digest), len(audio) <= MAX_BYTES
    facts = {"size_bytes": len(audio) if whole else pair.size_bytes, "sha256": digest if whole else None}
    progress = Progress.begun(pair, key, day, **facts)
    if whole and len(audio) != pair.size_bytes:
        return None
    try:
        if not whole:
            raise NotAudio("too_large", f"The audio is larger than {MAX_BYTES // 1_000_000} MB.")
        if pair.message.sha256 not in (None, digest):
            raise NotAudio("sha256_differs", "The audio does not have the SHA-256 that its JSON file states.")
        kind = audio_format(len(audio), lambda at, n: audio[at : at + n], pair.message.content_type or "")
        seen = known.get(key)
        again = seen is not None and seen["sha256"] == digest and seen["duration_ms"] is not None
        length = seen["duration_ms"] if seen and again else duration_ms(audio, kind, folder)
    except NotAudio as error:
        return rejected(progress, error.reason, str(error))
    progress = Progress.begun(pair, key, day, **facts, content_type=MEDIA_TYPES[kind], duration_ms=length)
    voice = OutgoingVoice(
        message_key=key,
        conversation_id=pair.message.conversation_id,
        sender_id=pair.message.sender_id,
        media_type=MEDIA_TYPES[kind],
        format=kind,
        transcript=pair.message.transcript,
    )
    return Ready(progress, voice, audio)


def rejected(progress: Progress, reason: str, sentence: str) -> Progress:
    """Never to be sent."""
    return dataclasses.replace(progress, step=DONE, status=REJECTED, reason=reason, detail=sentence)


def unreadable(found: NotReady, metadata: Path, day: dt.date) -> Progress | None:
    """Files that will never make a pair, as a rejected message; None when they are gone."""
    try:
        facts = metadata.lstat()
    except OSError:
        return None
    parts = (found.name, found.reason, str(facts.st_size), str(facts.st_mtime_ns))
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    written = dt.datetime.fromtimestamp(facts.st_mtime, dt.UTC)
    sentence = found.sentence.replace(found.name, "the file")  # names may say who somebody is
    return rejected(Progress(key, day, found.name, None, None, written), found.reason, sentence)
