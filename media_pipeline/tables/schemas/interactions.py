"""Tables of the group interactions."""

from __future__ import annotations

import pyarrow as pa

from media_pipeline.interactions.matrix import VERDICTS
from media_pipeline.tables.schemas.columns import (
    FILE_INDEX,
    column,
)

INTERACTION_ID = column("interaction_id", pa.string(), "Id of the interaction, which is a conversation.", required=True)
MEDIA_ID = column(
    "media_id",
    pa.string(),
    "Id of the media object: its recording's, with .0, .1, ... for one of several files; made up where it has none.",
    required=True,
)

INTERACTION_MEDIA = pa.schema(
    [
        INTERACTION_ID,
        MEDIA_ID,
        column("recording_id", pa.string(), "Its recording; null where the source gives the object no id."),
        FILE_INDEX,
        column("media_type", pa.string(), "voice, chat, email, screen, message, or what else the source calls it."),
        column("expected_formats", pa.string(), "What the media matrix expects: wav|mp3 and the like.", required=True),
        column("storage_host", pa.string(), "Host that the source keeps it on; null without a place."),
        column("storage_key", pa.string(), "Its path there; never a signed URL or a query."),
        column("needs_transcription", pa.bool_(), "Whether the media matrix wants it transcribed.", required=True),
        column("needs_thumbnail", pa.bool_(), "Whether the media matrix wants a thumbnail of it.", required=True),
        column("declared_format", pa.string(), "Format that the day's listing declares; null where it declares none."),
        column("detected_format", pa.string(), "Format by content; null when not recognized or not looked at."),
        column("detected_codec", pa.string(), "Codec inside, where the first 64 KB tell it."),
        column(
            "format_verdict",
            pa.string(),
            "matches (as expected and as declared), differs, unknown, unreadable or not_checked.",
            values=VERDICTS,
            required=True,
        ),
        column("reason", pa.string(), "Why the verdict is what it is; null when it matches."),
    ]
)

RECORDING_THUMBNAILS = pa.schema(
    [
        INTERACTION_ID,
        MEDIA_ID,
        column(
            "status",
            pa.string(),
            "made, failed or not_needed.",
            values=(
                "made",
                "failed",
                "not_needed",
            ),
            required=True,
        ),
        column("reason", pa.string(), "Why there is no thumbnail; null unless failed."),
        column("object_key", pa.string(), "Path of the JPEG relative to MEDIA_ROOT; null unless made."),
        column("width", pa.int32(), "Width of the JPEG in pixels, bars included."),
        column("height", pa.int32(), "Height of the JPEG in pixels, bars included."),
        column("frame_ms", pa.int64(), "Where the frame stands in the film, in ms from its start."),
        column("source_width", pa.int32(), "Width of the film in pixels."),
        column("source_height", pa.int32(), "Height of the film in pixels."),
    ]
)

METADATA_ANNOTATIONS = pa.schema(
    [
        INTERACTION_ID,
        column(
            "annotation_key",
            pa.string(),
            "Key of the annotation; file:line of the inbox where the key handed in cannot be one.",
            required=True,
        ),
        column("value", pa.string(), "What is said; null when rejected before it was sent."),
        column("category", pa.string(), "Category; null when rejected before it was read."),
        column(
            "origin",
            pa.string(),
            "user (handed in) or derived (from the archive).",
            values=(
                "user",
                "derived",
            ),
            required=True,
        ),
        column(
            "payload_sha256",
            pa.string(),
            "SHA-256 in hex of the payload that it is part of; null when rejected before it was sent.",
        ),
        column(
            "outcome",
            pa.string(),
            "sent, unchanged, would_send, rejected, conflict or failed.",
            values=(
                "sent",
                "unchanged",
                "would_send",
                "rejected",
                "conflict",
                "failed",
            ),
            required=True,
        ),
        column("reason", pa.string(), "Why the outcome is what it is; null when sent or unchanged."),
        column("detail", pa.string(), "What happened and what to do, in one sentence; null when sent or unchanged."),
    ]
)
