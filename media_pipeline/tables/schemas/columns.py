"""Columns that several tables have, and how a column is written down."""

from __future__ import annotations

import pyarrow as pa

UTC_MS = pa.timestamp("ms", tz="UTC")
IDS = pa.list_(pa.field("element", pa.string()))
"""`element` is what Parquet calls it, whatever Arrow does."""


def column(name: str, kind: pa.DataType, description: str, *, required: bool = False) -> pa.Field:
    """A column with its description, which pages, docs and the launchpad show; null unless `required`."""
    return pa.field(name, kind, nullable=not required, metadata={"description": description})


RECORDING_ID = column("recording_id", pa.string(), "Genesys Cloud's id of the recording.", required=True)
CONVERSATION_ID = column("conversation_id", pa.string(), "Id of its conversation; null where the source has none.")
FILE_INDEX = column("file_index", pa.int32(), "0, 1, ... within a recording that has several files.", required=True)
FILE_NAME = column("file_name", pa.string(), "File name as the source gives it; never used as a path.")
MEDIA_TYPE = column("media_type", pa.string(), "call, screen, chat, email or message.")
FORMAT = column("format", pa.string(), "Lower-case format without a dot; null where the source has none.")
REASON = column("reason", pa.string(), "Why the status is what it is; null when stored.")
FILE_STATE = column(
    "file_state", pa.string(), "available, pending, archived, deleted, error or undelivered.", required=True
)
