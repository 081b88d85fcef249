"""The day's inventory as rows, and rows back as what was listed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

import pyarrow as pa

from media_pipeline.genesys.source import ListedRecording, ListingTally
from media_pipeline.tables.partition import BATCH_ROWS, Row, Tables
from media_pipeline.tables.schemas import RECORDING_INVENTORY

TABLE = "recording_inventory"
MALFORMED_NOTE = "malformed_entries"
"""In the file's metadata: listed entries without an id, which can have no row and keep the day from being complete."""


def write_inventory(
    tables: Tables, day: dt.date, listed: Iterable[ListedRecording], tally: ListingTally, codecs: Collection[str]
) -> pa.Table:
    """Replace a day's inventory, sorted by key; returns it."""
    batches, rows = [], []
    for recording in listed:
        rows.append(_row(recording, codecs))
        if len(rows) >= BATCH_ROWS:
            batches.append(pa.RecordBatch.from_pylist(rows, schema=RECORDING_INVENTORY))
            rows = []
    batches.append(pa.RecordBatch.from_pylist(rows, schema=RECORDING_INVENTORY))
    table = pa.Table.from_batches(batches).sort_by([("recording_id", "ascending"), ("file_index", "ascending")])
    with tables.writer(TABLE, day, note={MALFORMED_NOTE: str(tally.malformed)}) as writer:
        writer.add_table(table)
    return table


def malformed_entries(tables: Tables, day: dt.date) -> int:
    """How many entries of the day's listing had no id; raises TableMissing."""
    return int(tables.note(TABLE, day).get(MALFORMED_NOTE, "0"))


def listed(row: Row) -> ListedRecording:
    """A row of the inventory as the recording it describes."""
    return ListedRecording(**{name: value for name, value in row.items() if name != "codec_supported"})


def _row(recording: ListedRecording, codecs: Collection[str]) -> Row:
    row = {name: getattr(recording, name) for name in RECORDING_INVENTORY.names if name != "codec_supported"}
    return row | {"codec_supported": recording.format in codecs}
