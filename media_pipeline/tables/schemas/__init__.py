"""One pyarrow schema per table, with a description of every column: the contract as code."""

from __future__ import annotations

import pyarrow as pa

from media_pipeline.tables.schemas import interactions, messaging, recordings, retention

TABLES: dict[str, pa.Schema] = {
    "recording_inventory": recordings.RECORDING_INVENTORY,
    "recent_listings": recordings.RECENT_LISTINGS,
    "recording_deadlines": recordings.RECORDING_DEADLINES,
    "recording_audio": recordings.RECORDING_AUDIO,
    "diarized_transcripts": recordings.DIARIZED_TRANSCRIPTS,
    "transcript_status": recordings.TRANSCRIPT_STATUS,
    "availability_report": recordings.AVAILABILITY_REPORT,
    "storage_utilization": recordings.STORAGE_UTILIZATION,
    "storage_quota": recordings.STORAGE_QUOTA,
    "export_runs": recordings.EXPORT_RUNS,
    "interaction_media": interactions.INTERACTION_MEDIA,
    "recording_thumbnails": interactions.RECORDING_THUMBNAILS,
    "conversation_events": messaging.CONVERSATION_EVENTS,
    "guest_uploads": messaging.GUEST_UPLOADS,
    "voice_messages": messaging.VOICE_MESSAGES,
    "metadata_annotations": interactions.METADATA_ANNOTATIONS,
    "media_retention": retention.MEDIA_RETENTION,
}
"""Every table by name."""
