"""What is to be known of a table as a whole: what a row is, its key, what its days are, who writes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """`row` and `day` end a sentence; `job` is the one that materializes the asset by schedule."""

    row: str
    key: tuple[str, ...]
    asset: str | None
    """None: the steps of every run write the table."""
    job: str = "daily_export"
    day: str = "UTC day of the recording's creation"


_FILE = ("recording_id", "file_index")
_MEDIA = ("interaction_id", "media_id")
_OF_INVENTORY = "day of the recording's inventory"

FACTS: dict[str, Facts] = {
    "recording_inventory": Facts(
        "recording file that the source lists",
        _FILE,
        "recording_inventory",
        day="UTC day of the recording's creation (guide) or of its conversation's start (platform)",
    ),
    "recent_listings": Facts(
        "recording file as the source listed it when the day was last listed again",
        _FILE,
        "recent_listings",
        job="relist_recent_days",
    ),
    "recording_deadlines": Facts(
        "recording that the source keeps and this archive has not",
        ("recording_id", "conversation_id"),
        "retention_sweep",
        job="sweep_retention",
    ),
    "recording_audio": Facts("listed recording file, with what became of it", _FILE, "recording_audio"),
    "diarized_transcripts": Facts(
        "utterance of a recording", ("recording_id", "segment_index"), "diarized_transcripts"
    ),
    "transcript_status": Facts("recording whose transcript was asked for", ("recording_id",), "transcript_status"),
    "availability_report": Facts("listed recording file, as the day's report has it", _FILE, "availability_report"),
    "storage_utilization": Facts("media type and format of the day", ("media_type", "format"), "storage_utilization"),
    "storage_quota": Facts(
        "day, the newest finished one: what room the source has left",
        (),
        "storage_quota",
        day="the newest finished UTC day",
    ),
    "export_runs": Facts(
        "recording file or kind of call that a run spent time on; one file a run",
        (),
        None,
        day="UTC day that was exported",
    ),
    "interaction_media": Facts(
        "media object of an interaction", _MEDIA, "interaction_media", job="interactions_daily", day=_OF_INVENTORY
    ),
    "recording_thumbnails": Facts(
        "media object of an interaction, with its thumbnail or why there is none",
        _MEDIA,
        "recording_thumbnails",
        job="interactions_daily",
        day=_OF_INVENTORY,
    ),
    "conversation_events": Facts(
        "event of a message conversation, above all a file that a guest sent",
        ("event_id",),
        "conversation_events",
        job="drain_conversation_events",
        day="UTC day of the message (platform) or of receipt (guide)",
    ),
    "guest_uploads": Facts(
        "file that a guest sent",
        ("file_id",),
        "guest_uploads",
        job="messaging",
        day="first UTC day on which the file was noticed",
    ),
    "voice_messages": Facts(
        "voice message that waited in the inbox",
        ("message_key",),
        "voice_messages",
        job="messaging",
        day="UTC day of receipt",
    ),
    "metadata_annotations": Facts(
        "annotation of an interaction, handed in or derived",
        ("interaction_id", "annotation_key"),
        "metadata_annotations",
        job="interactions_daily",
        day=_OF_INVENTORY,
    ),
    "media_retention": Facts(
        "thing that must be deleted, with what became of it",
        ("entry_id",),
        "media_retention",
        job="retention",
        day="UTC day on which the deletion was scheduled",
    ),
}
"""By table."""
