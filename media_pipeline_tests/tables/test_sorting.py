"""SortedRows: any order in, the key's order out, as often as asked."""

import random

import pytest

from media_pipeline.tables import sorting
from media_pipeline.tables.sorting import SortedRows


@pytest.mark.parametrize("count", [0, 1, 999, 12_345])
def test_rows_come_out_sorted_by_key_and_all_of_them(count):
    ids = [f"{n:05}" if n % 7 else f"ä{n:05}" for n in range(count)]
    rows = [{"recording_id": i, "file_index": k, "file_state": "available"} for i in ids for k in range(2)]
    random.Random(7).shuffle(rows)
    found = SortedRows("recent_listings", iter(rows))
    expected = sorted(rows, key=lambda row: (row["recording_id"], row["file_index"]))
    assert len(found) == 2 * count
    assert list(found) == expected
    assert list(found) == expected


def test_runs_are_read_a_little_at_a_time(monkeypatch):
    monkeypatch.setattr(sorting, "MERGE_ROWS", 3)
    rows = [{"recording_id": f"{n:03}", "file_index": 0, "file_state": "available"} for n in reversed(range(20))]
    found = SortedRows("recent_listings", rows)
    (run,) = found._runs
    batches = list(sorting._batches_of_run(run))
    assert max(batch.num_rows for batch in batches) == 3
