"""What guests send in message conversations."""

from __future__ import annotations

import pyarrow as pa

from media_pipeline.tables.schemas.columns import UTC_MS, column

CONVERSATION_EVENTS = pa.schema(
    [
        column(
            "event_id",
            pa.string(),
            "The stream's id of the event (guide), or message and file id (platform); the same file may come again "
            "under another one.",
            required=True,
        ),
        column("conversation_id", pa.string(), "Id of its conversation.", required=True),
        column("event_type", pa.string(), "conversation (guide) or message (platform).", required=True),
        column("message_id", pa.string(), "Id of the message; null where the source names none (guide)."),
        column("sent_at", UTC_MS, "When the message was sent; null where the source does not say (guide)."),
        column("file_id", pa.string(), "Id of the guest's file; null for an event without one."),
        column("file_name", pa.string(), "Name the guest gave it, cut at 1,000 characters; never used as a path."),
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
            "status", pa.string(), "stored, rejected, expired or failed; only failed is tried again.", required=True
        ),
        column("reason", pa.string(), "Why the status is what it is; null when stored."),
        column("detail", pa.string(), "One sentence: what is wrong with the file, or with telling its context."),
        column(
            "context",
            pa.string(),
            "What the conversation was told of it: sent, would_send (MEDIA_ALLOW_WRITE_BACK is off) or failed; null "
            "unless stored.",
        ),
        column("expires_at", UTC_MS, "24 h after its message; null where the source gives no time (guide)."),
    ]
)
