"""Columns that several tables have, and how a column is written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pyarrow as pa

from media_pipeline.genesys.source import FileState

UTC_MS = pa.timestamp("ms", tz="UTC")
IDS = pa.list_(pa.field("element", pa.string()))
"""`element` is what Parquet calls it, whatever Arrow does."""


_UNITS = {
    "_bytes": "bytes",
    "_seconds": "s",
    "seconds": "s",
    "_ms": "ms",
    "_mb": "MB",
    "width": "px",
    "height": "px",
    "_ratio": "1",
    "confidence": "1",
    "bytes_fetched": "bytes",
}
"""Names end in their unit, or in what always has the same."""


def column(
    name: str, kind: pa.DataType, description: str, *, required: bool = False, values: Sequence[str] = ()
) -> pa.Field:
    """A column with its description, unit and, where they are few, its values; null unless `required`.

    Pages, docs, dbt's sources, the launchpad and the Parquet files' own schema show them.
    """
    known = {"description": description, "unit": unit_of(name, kind), "values": " ".join(values)}
    return pa.field(name, kind, nullable=not required, metadata={key: text for key, text in known.items() if text})


def unit_of(name: str, kind: pa.DataType) -> str:
    """The unit of a column's numbers or times; empty for what is counted, named or told."""
    if pa.types.is_timestamp(kind):
        return str(kind.tz)
    endings = [unit for ending, unit in _UNITS.items() if name.endswith(ending)]
    return endings[0] if endings and (pa.types.is_integer(kind) or pa.types.is_floating(kind)) else ""


def fact(field: pa.Field, name: str) -> str:
    """A column's description, unit or values (parted by spaces); empty where it has none."""
    return str((field.metadata or {}).get(name.encode(), b"").decode())


RECORDING_ID = column("recording_id", pa.string(), "Genesys Cloud's id of the recording.", required=True)
CONVERSATION_ID = column("conversation_id", pa.string(), "Id of its conversation; null where the source has none.")
FILE_INDEX = column("file_index", pa.int32(), "0, 1, ... within a recording that has several files.", required=True)
FILE_NAME = column("file_name", pa.string(), "File name as the source gives it; never used as a path.")
MEDIA_TYPE = column("media_type", pa.string(), "call, screen, chat, email or message.")
FORMAT = column("format", pa.string(), "Lower-case format without a dot; null where the source has none.")
REASON = column("reason", pa.string(), "Why the status is what it is; null when stored.")
FILE_STATE = column(
    "file_state",
    pa.string(),
    "available, pending, archived, deleted, error or undelivered.",
    values=get_args(FileState),
    required=True,
)
