"""Tables of the groups recordings, reports and watch, and of their runs."""

from __future__ import annotations

from typing import get_args

import pyarrow as pa

from media_pipeline.genesys.source import FileState
from media_pipeline.tables.schemas.columns import (
    CONVERSATION_ID,
    FILE_INDEX,
    FILE_NAME,
    FILE_STATE,
    FORMAT,
    IDS,
    MEDIA_TYPE,
    REASON,
    RECORDING_ID,
    UTC_MS,
    column,
)
from media_pipeline.transfer.outcome import REASONS, STORED

STATUSES = (STORED, *dict.fromkeys(status for status, _ in REASONS.values()))
OUTCOME_REASON = column("reason", pa.string(), "Why the status is what it is; null when stored.", values=tuple(REASONS))

RECORDING_INVENTORY = pa.schema(
    [
        RECORDING_ID,
        CONVERSATION_ID,
        FILE_INDEX,
        MEDIA_TYPE,
        FORMAT,
        column("codec_supported", pa.bool_(), "Whether the format is one of MEDIA_CODECS.", required=True),
        column(
            "started_at", UTC_MS, "Creation (guide) or conversation start (platform); its UTC day is the partition."
        ),
        column("duration_seconds", pa.float64(), "Length in seconds where the source states it."),
        FILE_STATE,
        FILE_NAME,
        column("size_bytes", pa.int64(), "Size in bytes, where the listing gives it."),
        column("md5", pa.string(), "MD5 in hex, where the listing gives it."),
        column("communication_ids", IDS, "The customer's voice sessions, which transcripts belong to."),
        column("agent_ids", IDS, "User ids of the conversation's agents, sorted; null if unknown."),
        column("queue_ids", IDS, "Ids of the conversation's queues, sorted; null if unknown."),
        column("source_file", pa.string(), "Tells the files of a recording apart (platform): a digest, not a name."),
        column("source_files", pa.int32(), "How many files of the recording came with this one (platform)."),
    ]
)

RECENT_LISTINGS = pa.schema([RECORDING_ID, FILE_INDEX, FILE_STATE])

RECORDING_DEADLINES = pa.schema(
    [
        RECORDING_ID,
        column("conversation_id", pa.string(), "Id of its conversation.", required=True),
        column("created_at", UTC_MS, "When the recording was created; its UTC day is the partition.", required=True),
        column("delete_date", UTC_MS, "When the source will delete it; null when no policy says so."),
        column("archive_date", UTC_MS, "When the source archived it, or will; null when it does not."),
        column(
            "status",
            pa.string(),
            "Why it is not here: not_exported (nor is its day), withheld (others of its conversation were delivered), "
            "never_listed, or the status of recording_audio.",
            values=("not_exported", "withheld", "never_listed", *STATUSES),
            required=True,
        ),
        column("reason", pa.string(), "That of recording_audio; null without a row there."),
    ]
)

RECORDING_AUDIO = pa.schema(
    [
        RECORDING_ID,
        CONVERSATION_ID,
        FILE_INDEX,
        FILE_NAME,
        column(
            "status",
            pa.string(),
            "stored, unsupported, empty, unavailable, pending, quarantined or failed.",
            values=STATUSES,
            required=True,
        ),
        OUTCOME_REASON,
        column("detail", pa.string(), "What happened and what to do, in one sentence; null when stored."),
        column("object_key", pa.string(), "Path of the gzip object relative to MEDIA_ROOT; null unless stored."),
        column("content_type", pa.string(), "Media type as the source states it."),
        column("source_size_bytes", pa.int64(), "Size of the media in bytes before compression."),
        column("stored_size_bytes", pa.int64(), "Size of the gzip object in bytes; null unless stored."),
        column("md5", pa.string(), "MD5 in hex that we computed over the source bytes; null unless stored."),
        column("sha256", pa.string(), "SHA-256 in hex that we computed over the source bytes; null unless stored."),
        column("source_md5", pa.string(), "MD5 in hex that the provider states."),
        column(
            "integrity_basis",
            pa.string(),
            "What proves the bytes: source_md5, source_sha256 or length_and_range; null unless stored.",
            values=(
                "source_md5",
                "source_sha256",
                "length_and_range",
            ),
        ),
        column(
            "listed_state",
            pa.string(),
            "file_state of the listing this outcome answers.",
            values=get_args(FileState),
            required=True,
        ),
    ]
)

DIARIZED_TRANSCRIPTS = pa.schema(
    [
        RECORDING_ID,
        CONVERSATION_ID,
        column("segment_index", pa.int32(), "0, 1, ... in order of time.", required=True),
        column("start_ms", pa.int64(), "Start in ms from the recording's start.", required=True),
        column("end_ms", pa.int64(), "End in ms from the recording's start.", required=True),
        column(
            "speaker", pa.string(), "Diarized speaker, a user id where known; `unknown` when missing.", required=True
        ),
        column("channel", pa.int32(), "Side of the line: 0 external (customer), 1 internal; null if unknown."),
        column("participant_purpose", pa.string(), "customer, agent, ...; where the source says."),
        column("text", pa.string(), "What was said; [PHONE_NUMBER] and the like where it was redacted.", required=True),
        column("confidence", pa.float64(), "0..1; null when missing."),
        column("pii_redacted", pa.int32(), "How many spans were redacted in the text.", required=True),
        column("pii_credit_card", pa.int32(), "Of these, payment card numbers.", required=True),
        column("pii_email_address", pa.int32(), "Of these, e-mail addresses.", required=True),
        column("pii_phone_number", pa.int32(), "Of these, phone numbers.", required=True),
        column("pii_us_ssn", pa.int32(), "Of these, US Social Security numbers.", required=True),
    ]
)

TRANSCRIPT_STATUS = pa.schema(
    [
        RECORDING_ID,
        CONVERSATION_ID,
        column(
            "status",
            pa.string(),
            "available, unavailable, forbidden or failed.",
            values=(
                "available",
                "unavailable",
                "forbidden",
                "failed",
            ),
            required=True,
        ),
        REASON,
        column("segments", pa.int32(), "Number of segments.", required=True),
    ]
)

AVAILABILITY_REPORT = pa.schema(
    [
        RECORDING_ID,
        CONVERSATION_ID,
        FILE_INDEX,
        FILE_NAME,
        column(
            "status",
            pa.string(),
            "That of recording_audio, with stored as `available`.",
            values=("available", *STATUSES[1:]),
            required=True,
        ),
        OUTCOME_REASON,
        column("size_bytes", pa.int64(), "Size of the media in bytes before compression, where known."),
        column("md5", pa.string(), "MD5 in hex over the source bytes; null unless available."),
        column("sha256", pa.string(), "SHA-256 in hex over the source bytes; null unless available."),
        column("created_at", UTC_MS, "When the recording was created."),
        column("has_transcript", pa.bool_(), "Whether a transcript is available.", required=True),
    ]
)

STORAGE_UTILIZATION = pa.schema(
    [
        MEDIA_TYPE,
        FORMAT,
        column("recordings", pa.int64(), "Number of files, whatever their status.", required=True),
        column("source_bytes", pa.int64(), "Bytes of stored media before compression.", required=True),
        column("stored_bytes", pa.int64(), "Bytes of their gzip objects.", required=True),
        column("compression_ratio", pa.float64(), "source_bytes / stored_bytes; null when nothing is stored."),
        column("duration_seconds", pa.float64(), "Length of all files in seconds.", required=True),
    ]
)

STORAGE_QUOTA = pa.schema(
    [
        column("used_mb", pa.float64(), "Used storage at the source in MB of 10^6 bytes.", required=True),
        column("limit_mb", pa.float64(), "Its limit in MB; null where the source names none."),
        column("available_mb", pa.float64(), "What is left in MB; null without a limit."),
        column("basis", pa.string(), "Which figure of the source this is.", required=True),
    ]
)

EXPORT_RUNS = pa.schema(
    [
        column("run_id", pa.string(), "Dagster's run.", required=True),
        column("step", pa.string(), "The asset that did the work.", required=True),
        column("recording_id", pa.string(), "Set in rows about one recording; null in rows about calls."),
        column("file_index", pa.int32(), "With recording_id: which of its files."),
        column("operation", pa.string(), "Set in rows about calls: token, list, media, batch, file and the like."),
        column(
            "http_status",
            pa.int32(),
            "With operation: the reply's status, 0 for none; null in the rows of its retries and times.",
        ),
        column("calls", pa.int64(), "Number of calls with this status."),
        column("attempts", pa.int64(), "Requests for the recording's bytes."),
        column("retries", pa.int64(), "Retries of the operation."),
        column("waited_seconds", pa.float64(), "Seconds waited before those retries."),
        column("bytes_fetched", pa.int64(), "Media bytes received for the recording, thrown-away ones included."),
        column("seconds", pa.float64(), "Time from its first call to its outcome."),
        column("timed_calls", pa.int64(), "Set in the one row about the operation's times: calls that were timed."),
        column("errors", pa.int64(), "With timed_calls: how many got a status from 400 on, or no reply."),
        column("p50_ms", pa.float64(), "Half of the timed calls took no longer; in ms, within 1 %."),
        column("p95_ms", pa.float64(), "95 of 100 took no longer."),
        column("p99_ms", pa.float64(), "99 of 100 took no longer."),
        column(
            "from_second",
            pa.int64(),
            "Set in rows about time: seconds from the run's first step on, in tens; the row tells of these 10 s.",
        ),
        column("calls_then", pa.int64(), "With from_second: calls that ended in these 10 s, whatever came of them."),
        column("refused_then", pa.int64(), "Of these, refused with 429 (too many requests)."),
        column("retries_then", pa.int64(), "Retries that were decided on in these 10 s."),
    ]
)
