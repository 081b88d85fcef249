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
