"""A day's inventory, listed again: what the source lists no more stays, file by file."""

import datetime as dt

import pytest

from media_pipeline.genesys.source import ListedRecording, ListingTally
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.inventory import write_inventory
from media_pipeline.tables.partition import Tables

DAY = dt.date(2026, 11, 20)


def listed(recording_id, file_index=0):
    return ListedRecording(
        recording_id=recording_id,
        file_index=file_index,
        conversation_id="c",
        media_type="call",
        format="wav",
        started_at=None,
        duration_seconds=None,
        file_state="available",
    )


@pytest.mark.parametrize(
    ("again", "expected", "gone"),
    [
        ([("a", 0), ("a", 1), ("b", 0)], {("a", 0): "available", ("a", 1): "available", ("b", 0): "available"}, 0),
        ([("a", 0), ("b", 0)], {("a", 0): "available", ("a", 1): "deleted", ("b", 0): "available"}, 1),
        ([("a", 1), ("b", 0)], {("a", 0): "deleted", ("a", 1): "available", ("b", 0): "available"}, 1),
        ([("a", 0), ("a", 1)], {("a", 0): "available", ("a", 1): "available", ("b", 0): "deleted"}, 1),
        ([], {("a", 0): "deleted", ("a", 1): "deleted", ("b", 0): "deleted"}, 3),
    ],
)
def test_what_is_listed_no_more_stays_as_deleted(tmp_path, again, expected, gone):
    tables, tally = Tables(LocalStore(tmp_path)), ListingTally()
    write_inventory(tables, DAY, [listed("b"), listed("a", 1), listed("a")], tally, ["wav"])
    assert write_inventory(tables, DAY, [listed(*each) for each in again], tally, ["wav"]) == 3
    rows = list(tables.rows("recording_inventory", DAY))
    found = [((row["recording_id"], row["file_index"]), row["file_state"]) for row in rows]
    assert found == list(expected.items()), "sorted by key, each once"
    assert tally.no_longer_listed == gone
