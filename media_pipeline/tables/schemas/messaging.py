"""What guests send in message conversations."""

from __future__ import annotations

import pyarrow as pa

from media_pipeline.tables.schemas.columns import UTC_MS, column

CONVERSATION_EVENTS = pa.schema(
    [
        column(
            "event_id",
            pa.string(),
            "The stream's id of the event (guide; with # and a digest where it has none, or another file's), or "
            "message and file id (platform); the same file may come again under another one.",
            required=True,
        ),
        column("conversation_id", pa.string(), "Id of its conversation.", required=True),
        column(
            "event_type",
            pa.string(),
            "conversation (guide) or message (platform).",
            values=(
                "conversation",
                "message",
            ),
            required=True,
        ),
        column("message_id", pa.string(), "Id of the message; null where the source names none (guide)."),
        column("sent_at", UTC_MS, "When the message was sent; null where the source does not say (guide)."),
        column("file_id", pa.string(), "Id of the guest's file; null for an event without one."),
        column(
            "file_name",
            pa.string(),
            "Name the guest gave it, cut at 1,000 characters, personal data replaced; never used as a path.",
        ),
        column("declared_type", pa.string(), "Media type the guest declared; says nothing about the content."),
        column("size_bytes", pa.int64(), "Size in bytes the guest declared."),
        column("source_sha256", pa.string(), "SHA-256 in hex that the source states; null where it states none."),
    ]
)

GUEST_UPLOADS = pa.schema(
    [
        column("file_id", pa.string(), "Genesys Cloud's id of the file; each once, on the first day.", required=True),
        column("conversation_id", pa.string(), "Id of its conversation.", required=True),
        column(
            "file_name",
            pa.string(),
            "Name the guest gave it, as it may be shown: escaped, cut at 200 characters, personal data that the "
            "detector finds replaced; never a path. Null where the source gives none.",
        ),
        column("declared_type", pa.string(), "Media type the guest declared, escaped and cut; says nothing."),
        column("detected_type", pa.string(), "Media type by content; null where unknown or nothing was fetched."),
        column("declared_size_bytes", pa.int64(), "Size in bytes the guest declared; says nothing."),
        column("size_bytes", pa.int64(), "Size in bytes; null unless all of it was fetched."),
        column("sha256", pa.string(), "Our SHA-256 of its bytes in lower hex; null unless all of it was fetched."),
        column("object_key", pa.string(), "Path of the object relative to MEDIA_ROOT; null unless stored."),
        column(
            "status",
            pa.string(),
            "stored, rejected, expired or failed; only failed is tried again.",
            values=(
                "stored",
                "rejected",
                "expired",
                "failed",
            ),
            required=True,
        ),
        column("reason", pa.string(), "Why the status is what it is; null when stored."),
        column("detail", pa.string(), "One sentence: what is wrong with the file, or with telling its context."),
        column(
            "context",
            pa.string(),
            "What the conversation was told of it: sent, would_send (MEDIA_ALLOW_WRITE_BACK is off) or failed; null "
            "unless stored.",
            values=("sent", "would_send", "failed"),
        ),
        column("expires_at", UTC_MS, "24 h after its message; null where the source gives no time (guide)."),
    ]
)

VOICE_MESSAGES = pa.schema(
    [
        column(
            "message_key",
            pa.string(),
            "Key of the message: the one its sender stated, else made of its name, people and bytes.",
            required=True,
        ),
        column("conversation_id", pa.string(), "Conversation it is for; null where nothing readable says so."),
        column("sender_id", pa.string(), "In whose name it is sent; null where nothing readable says so."),
        column("received_at", UTC_MS, "When it was received; its UTC day is the table's day."),
        column("content_type", pa.string(), "Media type by content; null for what is not MP3, WAV or Ogg."),
        column("size_bytes", pa.int64(), "Size of the audio in bytes."),
        column("sha256", pa.string(), "SHA-256 of the audio in hex; null when it was not read."),
        column("duration_ms", pa.int64(), "How long it plays, measured; null when it was not measured."),
        column(
            "status",
            pa.string(),
            "sent, in_doubt, failed, rejected, would_send or waiting.",
            values=(
                "sent",
                "in_doubt",
                "failed",
                "rejected",
                "would_send",
                "waiting",
            ),
            required=True,
        ),
        column("reason", pa.string(), "Why it has this status; null when it was simply sent."),
        column("detail", pa.string(), "The reason as a sentence: what is wrong and what to do."),
        column("media_id", pa.string(), "Id of the last upload at Genesys Cloud; null before the first."),
        column("message_id", pa.string(), "Id of the message to the guest; null where none was told."),
        column(
            "transcript_message_id",
            pa.string(),
            "Id of the transcript's own message (platform); null where it travels with the audio (guide).",
        ),
        column("attempts", pa.int32(), "How many runs took it up.", required=True),
        column(
            "uploads_lost",
            pa.int32(),
            "Uploads whose answer never came: Genesys Cloud may keep such a file, and nobody knows its id.",
            required=True,
        ),
    ]
)
