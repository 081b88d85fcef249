"""The metadata JSON that lies beside each stored object, so that an object explains itself without the tables."""

from __future__ import annotations

import json
from typing import Any

from media_pipeline.genesys.source import ListedRecording

Row = dict[str, Any]

SIDECAR_SUFFIX = ".json"
_FROM_AUDIO = ("file_name", "object_key", "content_type", "source_size_bytes", "stored_size_bytes", "md5", "sha256")
_FROM_SEGMENTS = (
    "start_ms",
    "end_ms",
    "speaker",
    "channel",
    "participant_purpose",
    "text",
    "confidence",
    "pii_redacted",
)


def sidecar_key(object_key: str) -> str:
    """`<key>.json` beside `<key>.<format>.gz`."""
    stem = object_key.removesuffix(".gz")
    return stem.rpartition(".")[0] + SIDECAR_SUFFIX


def sidecar(listed: ListedRecording, audio: Row, segments: list[Row] | None) -> bytes:
    """The sidecar of a stored recording; `segments` is null until its transcript was fetched."""
    facts: Row = {
        "recording_id": listed.recording_id,
        "conversation_id": listed.conversation_id,
        "file_index": listed.file_index,
        "media_type": listed.media_type,
        "format": listed.format,
        "started_at": listed.started_at.isoformat(timespec="milliseconds") if listed.started_at else None,
        "duration_seconds": listed.duration_seconds,
        **{name: audio[name] for name in _FROM_AUDIO},
        "source_md5": audio["source_md5"],
        "integrity_basis": audio["integrity_basis"],
        "segments": None if segments is None else [{name: row[name] for name in _FROM_SEGMENTS} for row in segments],
    }
    return (json.dumps(facts, ensure_ascii=False, indent=1) + "\n").encode()
