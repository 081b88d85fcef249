"""A day's inventory by interaction, with what of it is stored; and the tables of interactions read side by side."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count, groupby, islice

import pyarrow as pa
import pyarrow.compute as pc

from media_pipeline.genesys.source import ListedRecording
from media_pipeline.tables.inventory import listed
from media_pipeline.tables.partition import BATCH_ROWS, Row, Tables, aligned, rows_of
from media_pipeline.tables.schemas.recordings import RECORDING_INVENTORY

STORED_COLUMNS = ("object_key", "source_size_bytes", "sha256")
COVERED = "covered_ms"
"""Length of what a recording's transcript covers, without what overlaps; null without a transcript."""
_SCHEMA = pa.schema(
    [
        *RECORDING_INVENTORY,
        pa.field("object_key", pa.string()),
        pa.field("source_size_bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field(COVERED, pa.int64()),
    ]
)
_ORDER = [("conversation_id", "ascending"), ("recording_id", "ascending"), ("file_index", "ascending")]


@dataclass(frozen=True, slots=True)
class DayOfInteractions:
    """The rows that name a conversation, sorted by it, as Arrow: a day may have very many. `without_id`: the others."""

    table: pa.Table
    without_id: int

    def interactions(self) -> Iterator[tuple[str, list[Row]]]:
        """Each conversation's id with its rows; STORED_COLUMNS are of what is stored."""
        for conversation_id, rows in groupby(rows_of(self.table), key=lambda row: row["conversation_id"]):
            yield conversation_id, list(rows)


def day_of_interactions(tables: Tables, day: dt.date, *, transcripts: bool = False) -> DayOfInteractions:
    """The day by interaction, on request with COVERED; raises TableMissing without an inventory."""
    tables.read("recording_inventory", day, ["recording_id"])  # says what to materialize when it is missing
    batches = []
    rows = _with_objects(tables, day, transcripts)
    while some := list(islice(rows, BATCH_ROWS)):
        batches.append(pa.RecordBatch.from_pylist(some, schema=_SCHEMA))
    table = pa.Table.from_batches(batches, _SCHEMA)
    named = table.filter(pc.is_valid(table["conversation_id"]))
    return DayOfInteractions(named.sort_by(_ORDER), table.num_rows - named.num_rows)


def inventory_row(row: Row) -> Row:
    """The row as the inventory has it."""
    return {name: row[name] for name in RECORDING_INVENTORY.names}


def beside(
    groups: Iterable[tuple[str, list[Row]]], earlier: Iterable[Row]
) -> Iterator[tuple[str, list[Row], dict[str, Row]]]:
    """Groups by interaction id with an earlier run's rows of it by media id; both sorted by interaction id."""
    following = Following(earlier)
    for interaction_id, rows in groups:
        yield interaction_id, rows, {row["media_id"]: row for row in following.of(interaction_id)}


class Following:
    """Rows sorted by interaction id, handed out for ids that are asked for in rising order."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._groups = groupby(rows, key=lambda row: row["interaction_id"])
        self._at, self._rows = "", list[Row]()

    def of(self, interaction_id: str) -> list[Row]:
        """The rows of one interaction; none where it has none."""
        while self._at < interaction_id:
            found = next(self._groups, None)
            if found is None:
                break
            self._at, self._rows = found[0], list(found[1])
        return self._rows if self._at == interaction_id else []


class Listings:
    """A day's inventory by recording, held as Arrow; for those few that are looked up."""

    def __init__(self, tables: Tables, day: dt.date) -> None:
        self._table = tables.read("recording_inventory", day)
        ids = self._table["recording_id"].to_pylist()
        self._places = dict(zip(zip(ids, self._table["file_index"].to_pylist(), strict=True), count(), strict=False))

    def of(self, recording_id: str | None, file_index: int) -> ListedRecording | None:
        """One file as it was listed; None when the day does not have it."""
        place = self._places.get((recording_id, file_index))
        return None if place is None else listed(self._table.slice(place, 1).to_pylist()[0])


def _with_objects(tables: Tables, day: dt.date, transcripts: bool) -> Iterator[Row]:
    audio_columns = ["recording_id", "file_index", "status", *STORED_COLUMNS]
    spoken: Iterable[Row] = ()
    if transcripts:
        spoken = tables.rows("diarized_transcripts", day, ["recording_id", "start_ms", "end_ms"])
    streams = aligned(
        inventory=tables.rows("recording_inventory", day),
        audio=tables.rows("recording_audio", day, audio_columns),
        spoken=spoken,
    )
    return chain.from_iterable(_joined(**rows) for _, rows in streams)


def _joined(inventory: list[Row], audio: list[Row], spoken: list[Row]) -> Iterator[Row]:
    stored = {row["file_index"]: row for row in audio if row["status"] == "stored"}
    covered = covered_ms((row["start_ms"], row["end_ms"]) for row in spoken) if spoken else None
    for row in inventory:
        found = stored.get(row["file_index"], {})
        yield {name: row.get(name) for name in RECORDING_INVENTORY.names} | {
            **{name: found.get(name) for name in STORED_COLUMNS},
            COVERED: covered,
        }


def covered_ms(spans: Iterable[tuple[int, int]]) -> int:
    """How much time spans cover together, each moment once; what lies before 0 does not count."""
    total = reached = 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total
