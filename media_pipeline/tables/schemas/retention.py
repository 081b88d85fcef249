"""media_retention: what must be deleted when, what became of it, and the certificate of each deletion."""

from __future__ import annotations

import pyarrow as pa

from media_pipeline.tables.schemas.columns import UTC_MS, column

MEDIA_RETENTION = pa.schema(
    [
        column("entry_id", pa.string(), "Key: 32 hex digits made of kind, conversation and id.", required=True),
        column(
            "kind",
            pa.string(),
            "attachment, recording or local_object.",
            values=(
                "attachment",
                "recording",
                "local_object",
            ),
            required=True,
        ),
        column("subject_id", pa.string(), "Id at the source; of a local object its path in MEDIA_ROOT.", required=True),
        column("conversation_id", pa.string(), "Conversation it belongs to; null where that is not known."),
        column("subject_day", pa.date32(), "UTC day it is of, where known: the partition of a recording."),
        column("policy", pa.string(), "Name of the rule that wants it gone.", required=True),
        column("why", pa.string(), "That rule in a sentence.", required=True),
        column("ttl_seconds", pa.int64(), "How long the policy lets it live.", required=True),
        column("keeps_copy", pa.bool_(), "Whether it may only go while a verified copy of ours stays.", required=True),
        column("scheduled_at", UTC_MS, "When it was scheduled; its UTC day is the partition.", required=True),
        column("routed_at", UTC_MS, "When it had reached its receiver; null while that is not known."),
        column("due", UTC_MS, "When it is to be deleted: data, not the moment that it was.", required=True),
        column("copy_key", pa.string(), "Path of our copy in MEDIA_ROOT; null without one."),
        column("copy_gzip", pa.bool_(), "Whether our copy is compressed; null without one."),
        column("sha256", pa.string(), "SHA-256 in hex of its bytes as they were stored or sent; null where unknown."),
        column(
            "source",
            pa.string(),
            "guide, platform or local: where it is deleted; null until first worked on.",
            values=(
                "guide",
                "platform",
                "local",
            ),
        ),
        column(
            "state",
            pa.string(),
            "scheduled, retention_set, marked, deleted, gone, held, would_delete, not_offered or failed.",
            values=(
                "scheduled",
                "retention_set",
                "marked",
                "deleted",
                "gone",
                "held",
                "would_delete",
                "not_offered",
                "failed",
            ),
            required=True,
        ),
        column("reason", pa.string(), "Why the state is what it is; null where it needs none."),
        column("detail", pa.string(), "What happened and what to do, in one sentence."),
        column("hold_id", pa.string(), "The hold that keeps it; null unless held."),
        column(
            "source_retention",
            pa.string(),
            "What the source was told, or was about to be: a duration (15m), a day (2026-12-01), or not_offered.",
        ),
        column("source_delete_date", UTC_MS, "When the source deletes it by itself; null where it was not told to."),
        column("attempts", pa.int32(), "Deletions that were begun.", required=True),
        column(
            "certificate",
            pa.string(),
            "deleted, deleted_by_source, gone_before, in_doubt: what is certain of the deletion; null without one.",
            values=(
                "deleted",
                "deleted_by_source",
                "gone_before",
                "in_doubt",
            ),
        ),
        column("destroyed_sha256", pa.string(), "SHA-256 in hex of what was destroyed; null where unknown."),
        column(
            "hash_basis",
            pa.string(),
            "How that is known: verified_copy, read_before or declared; null without a hash.",
            values=(
                "verified_copy",
                "read_before",
                "declared",
            ),
        ),
    ]
)
