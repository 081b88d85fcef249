"""The day's inventory as rows, and rows back as what was listed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from operator import itemgetter

from media_pipeline.genesys.file_places import places
from media_pipeline.genesys.source import Known, ListedRecording, ListingTally
from media_pipeline.tables.partition import Row, Tables, aligned
from media_pipeline.tables.schemas.recordings import RECORDING_INVENTORY
from media_pipeline.tables.sorting import SortedRows

TABLE = "recording_inventory"
DELETED = "deleted"
MALFORMED_NOTE = "malformed_entries"
"""In the file's metadata: listed entries without an id, which can have no row and keep the day from being complete."""
UNREADABLE_NOTE = "unreadable_conversations"
"""The same for conversations whose recordings may not be seen or were not told of."""


def write_inventory(
    tables: Tables, day: dt.date, listed: Iterable[ListedRecording], tally: ListingTally, codecs: Collection[str]
) -> int:
    """Replace a day's inventory, sorted by key; returns the number of its rows.

    What an earlier listing had and this one has no more stays, as `deleted`: the source forgets, the archive does not.
    """
    now = SortedRows(TABLE, (_row(recording, codecs) for recording in listed))
    note = {MALFORMED_NOTE: str(tally.malformed), UNREADABLE_NOTE: str(tally.unreadable)}
    gone = 0
    with tables.writer(TABLE, day, note=note) as writer:
        for _, rows in aligned(now=now, earlier=tables.rows(TABLE, day)):
            if rows["earlier"]:
                _keep_places(rows["now"], rows["earlier"])
            listed_files = {row["file_index"] for row in rows["now"]}
            # a table of an earlier version may lack columns
            no_more = [
                {name: row.get(name) for name in RECORDING_INVENTORY.names} | {"file_state": DELETED}
                for row in rows["earlier"]
                if row["file_index"] not in listed_files
            ]
            gone += len(no_more)
            for row in sorted([*rows["now"], *no_more], key=itemgetter("file_index")):
                writer.add(row)
    tally.no_longer_listed = gone
    return writer.count


def _keep_places(now: list[Row], earlier: list[Row]) -> None:
    """Give a recording's files the indexes that an earlier listing gave them, where the source tells them apart."""
    files = [row["source_file"] for row in now]
    if any(files):
        known = [
            Known(
                recording_id=row["recording_id"],
                file_index=row["file_index"],
                file_state=row["file_state"],
                source_file=row.get("source_file"),
            )
            for row in earlier
        ]
        for row, index in zip(now, places(files, known), strict=True):
            row["file_index"] = index


def malformed_entries(tables: Tables, day: dt.date) -> int:
    """How many entries of the day's listing had no id; raises TableMissing."""
    return int(tables.note(TABLE, day).get(MALFORMED_NOTE, "0"))


def unreadable_conversations(tables: Tables, day: dt.date) -> int:
    """In how many conversations recordings may not be seen or were not told of; raises TableMissing."""
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
