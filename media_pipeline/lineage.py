"""Which columns of which table a table's columns are made of, for Dagster's column lineage."""

from __future__ import annotations

import dagster as dg

_MADE_OF: dict[str, dict[str, str]] = {
    "recording_audio": {
        "recording_inventory": "recording_id conversation_id file_index file_name listed_state=file_state",
    },
    "diarized_transcripts": {"recording_inventory": "recording_id conversation_id"},
    "transcript_status": {"recording_inventory": "recording_id conversation_id"},
    "availability_report": {
        "recording_inventory": "recording_id conversation_id file_index created_at=started_at",
        "recording_audio": "file_name status reason size_bytes=source_size_bytes md5 sha256",
        "transcript_status": "has_transcript=status",
    },
    "storage_utilization": {
        "recording_inventory": "media_type format recordings=recording_id duration_seconds",
        "recording_audio": "source_bytes=source_size_bytes stored_bytes=stored_size_bytes "
        "compression_ratio=source_size_bytes compression_ratio=stored_size_bytes",
    },
    "interaction_media": {
        "recording_inventory": "interaction_id=conversation_id declared_format=format",
        "recording_audio": "storage_key=object_key",
    },
    "recording_thumbnails": {"interaction_media": "interaction_id media_id"},
    "metadata_annotations": {"interaction_media": "interaction_id"},
    "guest_uploads": {"conversation_events": "file_id conversation_id file_name declared_type"},
}
"""Table, table it is made of, columns: `name` where both have it, else `name=name_there`. Those named nowhere come from
the source, or from the work itself."""


def column_lineage(table: str) -> dg.TableColumnLineage | None:
    """What the table's columns are made of; None for a table that is made of no other."""
    found: dict[str, list[dg.TableColumnDep]] = {}
    for upstream, columns in _MADE_OF.get(table, {}).items():
        for pair in columns.split():
            name, _, there = pair.partition("=")
            found.setdefault(name, []).append(dg.TableColumnDep(dg.AssetKey(upstream), there or name))
    return dg.TableColumnLineage(deps_by_column=found) if found else None
