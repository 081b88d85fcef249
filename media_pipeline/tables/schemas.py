"""One pyarrow schema per table, with a description of every column: the contract as code."""

from __future__ import annotations

import pyarrow as pa

UTC_MS = pa.timestamp("ms", tz="UTC")
IDS = pa.list_(pa.field("element", pa.string()))
"""`element` is what Parquet calls it, whatever Arrow does."""


def _column(name: str, kind: pa.DataType, description: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=not required, metadata={"description": description})


_RECORDING_ID = _column("recording_id", pa.string(), "Genesys Cloud's id of the recording.", required=True)
_CONVERSATION_ID = _column("conversation_id", pa.string(), "Id of its conversation; null where the source has none.")
_FILE_INDEX = _column("file_index", pa.int32(), "0, 1, ... within a recording that has several files.", required=True)
_FILE_NAME = _column("file_name", pa.string(), "File name as the source gives it; never used as a path.")
_MEDIA_TYPE = _column("media_type", pa.string(), "call, screen, chat, email or message.")
_FORMAT = _column("format", pa.string(), "Lower-case format without a dot; null where the source has none.")
_REASON = _column("reason", pa.string(), "Why the status is what it is; null when stored.")
_FILE_STATE = _column(
    "file_state", pa.string(), "available, pending, archived, deleted, error or undelivered.", required=True
)

RECORDING_INVENTORY = pa.schema(
    [
        _RECORDING_ID,
        _CONVERSATION_ID,
        _FILE_INDEX,
        _MEDIA_TYPE,
        _FORMAT,
        _column("codec_supported", pa.bool_(), "Whether the format is one of MEDIA_CODECS.", required=True),
        _column(
            "started_at", UTC_MS, "Creation (guide) or conversation start (platform); its UTC day is the partition."
        ),
        _column("duration_seconds", pa.float64(), "Length in seconds where the source states it."),
        _FILE_STATE,
        _FILE_NAME,
        _column("size_bytes", pa.int64(), "Size in bytes, where the listing gives it."),
        _column("md5", pa.string(), "MD5 in hex, where the listing gives it."),
        _column("communication_ids", IDS, "The customer's voice sessions, which transcripts belong to."),
        _column("agent_ids", IDS, "User ids of the conversation's agents, sorted; null if unknown."),
        _column("queue_ids", IDS, "Ids of the conversation's queues, sorted; null if unknown."),
    ]
)

RECENT_LISTINGS = pa.schema([_RECORDING_ID, _FILE_INDEX, _FILE_STATE])

RECORDING_DEADLINES = pa.schema(
    [
        _RECORDING_ID,
        _column("conversation_id", pa.string(), "Id of its conversation.", required=True),
        _column("created_at", UTC_MS, "When the recording was created; its UTC day is the partition.", required=True),
        _column("delete_date", UTC_MS, "When the source will delete it; null when no policy says so."),
        _column("archive_date", UTC_MS, "When the source archived it, or will; null when it does not."),
        _column(
            "status",
            pa.string(),
            "Why it is not here: not_exported (nor is its day), withheld (others of its conversation were delivered), "
            "never_listed, or the status of recording_audio.",
            required=True,
        ),
        _column("reason", pa.string(), "That of recording_audio; null without a row there."),
    ]
)

RECORDING_AUDIO = pa.schema(
    [
        _RECORDING_ID,
        _CONVERSATION_ID,
        _FILE_INDEX,
        _FILE_NAME,
        _column(
            "status",
            pa.string(),
            "stored, unsupported, empty, unavailable, pending, quarantined or failed.",
            required=True,
        ),
        _REASON,
        _column("detail", pa.string(), "What happened and what to do, in one sentence; null when stored."),
        _column("object_key", pa.string(), "Path of the gzip object relative to MEDIA_ROOT; null unless stored."),
        _column("content_type", pa.string(), "Media type as the source states it."),
        _column("source_size_bytes", pa.int64(), "Size of the media in bytes before compression."),
        _column("stored_size_bytes", pa.int64(), "Size of the gzip object in bytes; null unless stored."),
        _column("md5", pa.string(), "MD5 in hex that we computed over the source bytes; null unless stored."),
        _column("sha256", pa.string(), "SHA-256 in hex that we computed over the source bytes; null unless stored."),
        _column("source_md5", pa.string(), "MD5 in hex that the provider states."),
        _column(
            "integrity_basis",
            pa.string(),
            "What proves the bytes: source_md5, source_sha256 or length_and_range; null unless stored.",
        ),
        _column("listed_state", pa.string(), "file_state of the listing this outcome answers.", required=True),
    ]
)

DIARIZED_TRANSCRIPTS = pa.schema(
    [
        _RECORDING_ID,
        _CONVERSATION_ID,
        _column("segment_index", pa.int32(), "0, 1, ... in order of time.", required=True),
        _column("start_ms", pa.int64(), "Start in ms from the recording's start.", required=True),
        _column("end_ms", pa.int64(), "End in ms from the recording's start.", required=True),
        _column(
            "speaker", pa.string(), "Diarized speaker, a user id where known; `unknown` when missing.", required=True
        ),
        _column("channel", pa.int32(), "Side of the line: 0 external (customer), 1 internal; null if unknown."),
        _column("participant_purpose", pa.string(), "customer, agent, ...; where the source says."),
        _column(
            "text", pa.string(), "What was said; [PHONE_NUMBER] and the like where it was redacted.", required=True
        ),
        _column("confidence", pa.float64(), "0..1; null when missing."),
        _column("pii_redacted", pa.int32(), "How many spans were redacted in the text.", required=True),
        _column("pii_credit_card", pa.int32(), "Of these, payment card numbers.", required=True),
        _column("pii_email_address", pa.int32(), "Of these, e-mail addresses.", required=True),
        _column("pii_phone_number", pa.int32(), "Of these, phone numbers.", required=True),
        _column("pii_us_ssn", pa.int32(), "Of these, US Social Security numbers.", required=True),
    ]
)

TRANSCRIPT_STATUS = pa.schema(
    [
        _RECORDING_ID,
        _CONVERSATION_ID,
        _column("status", pa.string(), "available, unavailable, forbidden or failed.", required=True),
        _REASON,
        _column("segments", pa.int32(), "Number of segments.", required=True),
    ]
)

AVAILABILITY_REPORT = pa.schema(
    [
        _RECORDING_ID,
        _CONVERSATION_ID,
        _FILE_INDEX,
        _FILE_NAME,
        _column("status", pa.string(), "That of recording_audio, with stored as `available`.", required=True),
        _REASON,
        _column("size_bytes", pa.int64(), "Size of the media in bytes before compression, where known."),
        _column("md5", pa.string(), "MD5 in hex over the source bytes; null unless available."),
        _column("sha256", pa.string(), "SHA-256 in hex over the source bytes; null unless available."),
        _column("created_at", UTC_MS, "When the recording was created."),
        _column("has_transcript", pa.bool_(), "Whether a transcript is available.", required=True),
    ]
)

STORAGE_UTILIZATION = pa.schema(
    [
        _MEDIA_TYPE,
        _FORMAT,
        _column("recordings", pa.int64(), "Number of files, whatever their status.", required=True),
        _column("source_bytes", pa.int64(), "Bytes of stored media before compression.", required=True),
        _column("stored_bytes", pa.int64(), "Bytes of their gzip objects.", required=True),
        _column("compression_ratio", pa.float64(), "source_bytes / stored_bytes; null when nothing is stored."),
        _column("duration_seconds", pa.float64(), "Length of all files in seconds.", required=True),
    ]
)

STORAGE_QUOTA = pa.schema(
    [
        _column("used_mb", pa.float64(), "Used storage at the source in MB of 10^6 bytes.", required=True),
        _column("limit_mb", pa.float64(), "Its limit in MB; null where the source names none."),
        _column("available_mb", pa.float64(), "What is left in MB; null without a limit."),
        _column("basis", pa.string(), "Which figure of the source this is.", required=True),
    ]
)

EXPORT_RUNS = pa.schema(
    [
        _column("run_id", pa.string(), "Dagster's run.", required=True),
        _column("step", pa.string(), "The asset that did the work.", required=True),
        _column("recording_id", pa.string(), "Set in rows about one recording; null in rows about calls."),
        _column("file_index", pa.int32(), "With recording_id: which of its files."),
        _column("operation", pa.string(), "Set in rows about calls: token, list, media, batch, file and the like."),
        _column(
            "http_status", pa.int32(), "With operation: the reply's status, 0 for none; null in the row of its retries."
        ),
        _column("calls", pa.int64(), "Number of calls with this status."),
        _column("attempts", pa.int64(), "Requests for the recording's bytes."),
        _column("retries", pa.int64(), "Retries of the operation."),
        _column("waited_seconds", pa.float64(), "Seconds waited before those retries."),
        _column("bytes_fetched", pa.int64(), "Media bytes received for the recording, thrown-away ones included."),
        _column("seconds", pa.float64(), "Time from its first call to its outcome."),
    ]
)

_INTERACTION_ID = _column(
    "interaction_id", pa.string(), "Id of the interaction, which is a conversation.", required=True
)
_MEDIA_ID = _column(
    "media_id",
    pa.string(),
    "Id of the media object: its recording's, with .0, .1, ... for one of several files; made up where it has none.",
    required=True,
)

INTERACTION_MEDIA = pa.schema(
    [
        _INTERACTION_ID,
        _MEDIA_ID,
        _column("recording_id", pa.string(), "Its recording; null where the source gives the object no id."),
        _FILE_INDEX,
        _column("media_type", pa.string(), "voice, chat, email, screen, message, or what else the source calls it."),
        _column("expected_formats", pa.string(), "What the media matrix expects: wav|mp3 and the like.", required=True),
        _column("storage_host", pa.string(), "Host that the source keeps it on; null without a place."),
        _column("storage_key", pa.string(), "Its path there; never a signed URL or a query."),
        _column("needs_transcription", pa.bool_(), "Whether the media matrix wants it transcribed.", required=True),
        _column("needs_thumbnail", pa.bool_(), "Whether the media matrix wants a thumbnail of it.", required=True),
        _column("declared_format", pa.string(), "Format that the day's listing declares; null where it declares none."),
        _column("detected_format", pa.string(), "Format by content; null when not recognized or not looked at."),
        _column("detected_codec", pa.string(), "Codec inside, where the first 64 KB tell it."),
        _column(
            "format_verdict",
            pa.string(),
            "matches (as expected and as declared), differs, unknown, unreadable or not_checked.",
            required=True,
        ),
        _column("reason", pa.string(), "Why the verdict is what it is; null when it matches."),
    ]
)

RECORDING_THUMBNAILS = pa.schema(
    [
        _INTERACTION_ID,
        _MEDIA_ID,
        _column("status", pa.string(), "made, failed or not_needed.", required=True),
        _column("reason", pa.string(), "Why there is no thumbnail; null unless failed."),
        _column("object_key", pa.string(), "Path of the JPEG relative to MEDIA_ROOT; null unless made."),
        _column("width", pa.int32(), "Width of the JPEG in pixels, bars included."),
        _column("height", pa.int32(), "Height of the JPEG in pixels, bars included."),
        _column("frame_ms", pa.int64(), "Where the frame stands in the film, in ms from its start."),
        _column("source_width", pa.int32(), "Width of the film in pixels."),
        _column("source_height", pa.int32(), "Height of the film in pixels."),
    ]
)

CONVERSATION_EVENTS = pa.schema(
    [
        _column(
            "event_id",
            pa.string(),
            "The stream's id of the event (guide), or message and file id (platform); the same file may come again "
            "under another one.",
            required=True,
        ),
        _column("conversation_id", pa.string(), "Id of its conversation.", required=True),
        _column("event_type", pa.string(), "conversation (guide) or message (platform).", required=True),
        _column("message_id", pa.string(), "Id of the message; null where the source names none (guide)."),
        _column("sent_at", UTC_MS, "When the message was sent; null where the source does not say (guide)."),
        _column("file_id", pa.string(), "Id of the guest's file; null for an event without one."),
        _column("file_name", pa.string(), "Name the guest gave it, cut at 1,000 characters; never used as a path."),
        _column("declared_type", pa.string(), "Media type the guest declared; says nothing about the content."),
        _column("size_bytes", pa.int64(), "Size in bytes the guest declared."),
        _column("source_sha256", pa.string(), "SHA-256 in hex that the source states; null where it states none."),
    ]
)

TABLES: dict[str, pa.Schema] = {
    "recording_inventory": RECORDING_INVENTORY,
    "recent_listings": RECENT_LISTINGS,
    "recording_deadlines": RECORDING_DEADLINES,
    "recording_audio": RECORDING_AUDIO,
    "diarized_transcripts": DIARIZED_TRANSCRIPTS,
    "transcript_status": TRANSCRIPT_STATUS,
    "availability_report": AVAILABILITY_REPORT,
    "storage_utilization": STORAGE_UTILIZATION,
    "storage_quota": STORAGE_QUOTA,
    "export_runs": EXPORT_RUNS,
    "interaction_media": INTERACTION_MEDIA,
    "recording_thumbnails": RECORDING_THUMBNAILS,
    "conversation_events": CONVERSATION_EVENTS,
}
"""Every table by name."""
