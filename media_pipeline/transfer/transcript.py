"""One recording's transcript: from the source to rows of transcript_status and diarized_transcripts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from media_pipeline.genesys.errors import GenesysError, NotFound, PermissionMissing
from media_pipeline.genesys.source import ListedRecording, RecordingSource, Segment
from media_pipeline.privacy.segments import COUNT_COLUMNS, redact_segments

AVAILABLE, UNAVAILABLE, FORBIDDEN, FAILED = "available", "unavailable", "forbidden", "failed"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TranscriptRows:
    """The status row and the segment rows of one recording."""

    status: Row
    segments: list[Row] = field(default_factory=list)

    def redacted(self) -> TranscriptRows:
        """The same without personal data."""
        return replace(self, segments=redact_segments(self.segments))


def fetch_transcript(source: RecordingSource, listed: ListedRecording, *, alone: bool = True) -> TranscriptRows:
    """Ask for a transcript; every answer becomes a status, only errors that stop the whole run are raised.

    `alone`: the conversation has no other recording.
    """
    try:
        segments = source.transcript(listed, alone=alone)
    except NotFound:
        return TranscriptRows(_status(listed, UNAVAILABLE, "no_transcript"))
    except PermissionMissing:
        return TranscriptRows(_status(listed, FORBIDDEN, "forbidden"))
    except GenesysError as error:
        if error.permanent:
            raise
        return TranscriptRows(_status(listed, FAILED, error.reason))
    rows = [_segment(listed, index, segment) for index, segment in enumerate(segments)]
    return TranscriptRows(_status(listed, AVAILABLE, None, len(rows)), rows)


def _status(listed: ListedRecording, status: str, reason: str | None, segments: int = 0) -> Row:
    return {
        "recording_id": listed.recording_id,
        "conversation_id": listed.conversation_id,
        "status": status,
        "reason": reason,
        "segments": segments,
    }


def _segment(listed: ListedRecording, index: int, segment: Segment) -> Row:
    return {
        "recording_id": listed.recording_id,
        "conversation_id": listed.conversation_id,
        "segment_index": index,
        "start_ms": segment.start_ms,
        "end_ms": segment.end_ms,
        "speaker": segment.speaker,
        "channel": segment.channel,
        "participant_purpose": segment.participant_purpose,
        "text": segment.text,
        "confidence": segment.confidence,
        **dict.fromkeys(COUNT_COLUMNS, 0),
    }
