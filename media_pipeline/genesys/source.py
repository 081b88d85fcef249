"""What the rest of the project sees of Genesys Cloud: domain models and the Protocol both dialects implement.

No wire format, no HTTP and no table belongs here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from media_pipeline.genesys.messaging_source import MessagingSource, RetentionTarget, VoiceTarget

FileState = Literal["available", "pending", "archived", "deleted", "error", "undelivered"]
"""`error`: the source calls the recording broken; `undelivered`: listed as available, but left out of the delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRecording:
    """One file of one recording as a day lists it; sizes in bytes, times UTC, None where the source is silent.

    `source_file` tells the files of a recording apart, `source_files` is how many of them were delivered.
    """

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
    communication_ids: Sequence[str] | None = None
    agent_ids: Sequence[str] | None = None
    queue_ids: Sequence[str] | None = None
    source_file: str | None = None
    source_files: int | None = None


@dataclass(slots=True)
class ListingTally:
    """What a day's listing contained besides the recordings it yielded, and what it no longer contains.

    `malformed` entries have no id, `unreadable` conversations have recordings that we may not see or were not told of
    (`troubles`: why, of some): neither can have a row, and both keep the day from being complete.
    `without_recording`: conversations in which a recording was started and none exists. `ignored_results`: links that
    came for recordings never asked for. `missing_results`: results that were announced, never came, and that no
    recording was found for. `unfinished_batches`: batch jobs that were given up. `basis`: how the day was listed.
    """

    pages: int = 0
    duplicates: int = 0
    other_days: int = 0
    malformed: int = 0
    no_longer_listed: int = 0
    unreadable: int = 0
    troubles: list[str] = field(default_factory=list)
    without_recording: int = 0
    ignored_results: int = 0
    missing_results: int = 0
    unfinished_batches: int = 0
    basis: str = "list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an earlier listing said of one file."""

    recording_id: str
    file_index: int
    file_state: FileState
    source_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """A recording the source keeps, and until when by its retention policies; times UTC, None where it is silent."""

    conversation_id: str
    recording_id: str
    created_at: dt.datetime
    delete_date: dt.datetime | None
    archive_date: dt.datetime | None


@dataclass(slots=True)
class RetentionTally:
    """What a retention list contained; not `complete` when it was left before its end."""

    pages: int = 0
    entries: int = 0
    malformed: int = 0
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """Where one recording's bytes are and what the source says of them; the link is a secret."""

    file_name: str | None
    content_type: str | None
    size_bytes: int | None
    md5: str | None
    link: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionMedia:
    """One media object of an interaction as the source names it; the link is a secret.

    `recording_id` is None where the source gives the object no id; `reason` says why there is no link, if it does.
    """

    media_type: str | None
    recording_id: str | None
    file_index: int = 0
    link: str | None = field(default=None, repr=False)
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One thing to be known of an interaction, under a key that no other of its annotations has."""

    key: str
    value: str
    category: str


ANNOTATIONS_SOURCE = "automated_parser"
"""What an org is told of who annotates (guide 004)."""


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
class DayCount:
    """How much a day's listing will bring, found out without listing it; None where the source does not tell."""

    day: dt.date
    recordings: int | None
    conversations: int | None
    basis: str

    @property
    def entries(self) -> int:
        """What the source counts: recordings, or conversations with one."""
        return (self.recordings if self.recordings is not None else self.conversations) or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some of what days hold, to judge the rest by: so many entries (as a DayCount counts them), and their files."""

    entries: int
    files: Sequence[ListedRecording]


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

    def storage_left_mb(self) -> float | None:
        """What is left of the org's own limit; None, without asking, where the source names no limit."""

    def list_day(self, day: dt.date, tally: ListingTally) -> Iterator[ListedRecording]:
        """Every recording of a UTC day, each once, in the source's order; `tally` counts what was passed over."""

    def count_day(self, day: dt.date) -> DayCount:
        """How much `list_day` would bring, in a call or a few."""

    def sample(self, days: Sequence[DayCount], most: int) -> Sample:
        """Some entries out of counted days, spread over them, at the cost of a dozen calls."""

    def list_again(self, day: dt.date, tally: ListingTally, known: Mapping[str, Sequence[Known]]) -> Iterator[Known]:
        """Ids and states of a day, at the least cost; `known`: by conversation, what an earlier listing said."""

    def expect(self, recordings: Iterable[ListedRecording]) -> None:
        """Say which recordings will be resolved next, so that many links can be asked for in one call."""

    def resolve(self, recording: ListedRecording) -> MediaFile:
        """Facts and a link that was not handed out before.

        Raises NotFound, PermissionMissing, Undeliverable, StillPreparing.
        """

    def transcript(self, recording: ListedRecording, *, alone: bool = True) -> list[Segment]:
        """The diarized transcript in order of time; `alone`: the conversation has no other recording.

        Raises NotFound when there is none, PermissionMissing.
        """

    def retained(self, older_than_days: int, max_pages: int, tally: RetentionTally) -> Iterator[Retained] | None:
        """All recordings kept for more days than this, of all days, in the source's order; None: it does not tell."""

    def day_of(self, recording_id: str) -> dt.date:
        """The UTC day whose partition a recording belongs to; raises NotFound."""

    def close(self) -> None:
        """Release connections."""


class InteractionSource(Protocol):
    """The media objects of interactions; an interaction is a conversation. All calls raise GenesysError."""

    def media_of(self, interaction_id: str, recordings: Sequence[ListedRecording]) -> list[InteractionMedia]:
        """What the interaction consists of; `recordings`: what the day's listing knows of it.

        Raises NotFound and PermissionMissing where the interaction itself cannot be seen.
        """


class AnnotationTarget(Protocol):
    """Where annotations of interactions are written back to. All calls raise GenesysError."""

    def not_carried(self, annotations: Sequence[Annotation]) -> dict[str, tuple[str, str]]:
        """By key: why an org cannot take this annotation of an interaction, as a reason and a sentence; no call."""

    def annotate(self, interaction_id: str, annotations: Sequence[Annotation]) -> bool:
        """Make these all of the interaction's annotations of ours; False when they were so already.

        Doing it again changes nothing. Raises NotFound, PermissionMissing, Conflict, Refused.
        """


class OrgSource(RecordingSource, InteractionSource, AnnotationTarget, MessagingSource, RetentionTarget, Protocol):
    """All that a dialect offers."""

    voices: VoiceTarget
