"""What the rest of the project sees of Genesys Cloud: domain models and the Protocol both dialects implement.

No wire format, no HTTP and no table belongs here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

FileState = Literal["available", "pending", "archived", "deleted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRecording:
    """One file of one recording as a day lists it; sizes in bytes, times UTC, None where the source is silent."""

    recording_id: str
    conversation_id: str | None
    file_index: int = 0
    media_type: str | None
    format: str | None
    started_at: dt.datetime | None
    duration_seconds: float | None
    file_state: FileState
    file_name: str | None = None
    size_bytes: int | None = None
    md5: str | None = None


@dataclass(slots=True)
class ListingTally:
    """What a day's listing contained besides the recordings it yielded, and what it no longer contains."""

    pages: int = 0
    duplicates: int = 0
    other_days: int = 0
    malformed: int = 0
    no_longer_listed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """Where one recording's bytes are and what the source says of them; the link is a secret."""

    file_name: str | None
    content_type: str | None
    size_bytes: int | None
    md5: str | None
    link: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One utterance: offsets in ms from the recording's start, speaker `unknown` if missing, confidence 0..1."""

    start_ms: int
    end_ms: int
    text: str
    speaker: str = "unknown"
    channel: int | None = None
    participant_purpose: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageUse:
    """Storage in use and its limit (None where the source names none) in MB of 10^6; `basis`: whose figure."""

    used_mb: float
    limit_mb: float | None
    basis: str

    @property
    def available_mb(self) -> float | None:
        """What is left, None without a limit."""
        return None if self.limit_mb is None else self.limit_mb - self.used_mb


class RecordingSource(Protocol):
    """A Genesys Cloud org, read-only. All calls raise GenesysError."""

    def storage_use(self) -> StorageUse:
        """The org's recording storage."""

    def list_day(self, day: dt.date, tally: ListingTally) -> Iterator[ListedRecording]:
        """Every recording of a UTC day, each once, in the source's order; `tally` counts what was passed over."""

    def resolve(self, recording: ListedRecording) -> MediaFile:
        """Facts and a fresh download link; raises NotFound, PermissionMissing."""

    def transcript(self, recording: ListedRecording) -> list[Segment]:
        """The diarized transcript in order of time; raises NotFound when there is none, PermissionMissing."""

    def day_of(self, recording_id: str) -> dt.date:
        """The UTC day whose partition a recording belongs to; raises NotFound."""

    def close(self) -> None:
        """Release connections."""
