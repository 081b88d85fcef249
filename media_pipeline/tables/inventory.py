"""The day's inventory as rows, and rows back as what was listed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from media_pipeline.genesys.source import ListedRecording, ListingTally
from media_pipeline.tables.partition import KEY_ORDER, Row, TableMissing, Tables, sorted_table
from media_pipeline.tables.schemas import RECORDING_INVENTORY

TABLE = "recording_inventory"
DELETED = "deleted"
MALFORMED_NOTE = "malformed_entries"
"""In the file's metadata: listed entries without an id, which can have no row and keep the day from being complete."""
UNREADABLE_NOTE = "unreadable_conversations"
"""The same for conversations whose recordings may not be seen."""


def write_inventory(
    tables: Tables, day: dt.date, listed: Iterable[ListedRecording], tally: ListingTally, codecs: Collection[str]
) -> pa.Table:
    """Replace a day's inventory, sorted by key; returns it.

    What an earlier listing had and this one has no more stays, as `deleted`: the source forgets, the archive does not.
    """
    table = sorted_table(TABLE, (_row(recording, codecs) for recording in listed))
    gone = _no_longer_listed(tables, day, table)
    if gone.num_rows:
        table = pa.concat_tables([table, gone]).sort_by(KEY_ORDER)
    tally.no_longer_listed = gone.num_rows
    with tables.writer(
        TABLE, day, note={MALFORMED_NOTE: str(tally.malformed), UNREADABLE_NOTE: str(tally.unreadable)}
    ) as writer:
        writer.add_table(table)
    return table


def _no_longer_listed(tables: Tables, day: dt.date, now: pa.Table) -> pa.Table:
    """Rows of the earlier inventory whose recording the new listing does not have."""
    try:
        known = tables.read(TABLE, day, ["recording_id"])["recording_id"]
    except TableMissing:
        return RECORDING_INVENTORY.empty_table()
    missing = pc.invert(pc.is_in(known, now["recording_id"].combine_chunks()))
    if not pc.any(missing).as_py():
        return RECORDING_INVENTORY.empty_table()
    gone = tables.read(TABLE, day).filter(missing)
    for field in RECORDING_INVENTORY:  # a table of an earlier version may lack columns
        if field.name not in gone.schema.names:
            gone = gone.append_column(field, pa.nulls(gone.num_rows, field.type))
    gone = gone.select(RECORDING_INVENTORY.names).cast(RECORDING_INVENTORY)
    states = pa.repeat(pa.scalar(DELETED), gone.num_rows)
    return gone.set_column(gone.schema.get_field_index("file_state"), RECORDING_INVENTORY.field("file_state"), states)


def malformed_entries(tables: Tables, day: dt.date) -> int:
    """How many entries of the day's listing had no id; raises TableMissing."""
    return int(tables.note(TABLE, day).get(MALFORMED_NOTE, "0"))


def unreadable_conversations(tables: Tables, day: dt.date) -> int:
    """In how many conversations a recording was started that may not be seen; raises TableMissing."""
    return int(tables.note(TABLE, day).get(UNREADABLE_NOTE, "0"))


def conversations_with_several(tables: Tables, day: dt.date) -> set[str]:
    """Conversations of the day that have more than one recording, whatever the number of files."""
    owners: dict[str, str] = {}
    several: set[str] = set()
    for row in tables.rows(TABLE, day, ["conversation_id", "recording_id"]):
        owner = row["conversation_id"]
        if owner is not None and owners.setdefault(owner, row["recording_id"]) != row["recording_id"]:
            several.add(owner)
    return several


def listed(row: Row) -> ListedRecording:
    """A row of the inventory as the recording it describes."""
    return ListedRecording(**{name: value for name, value in row.items() if name != "codec_supported"})


def _row(recording: ListedRecording, codecs: Collection[str]) -> Row:
    row = {name: getattr(recording, name) for name in RECORDING_INVENTORY.names if name != "codec_supported"}
    return row | {"codec_supported": recording.format in codecs}
