"""A day of a table appears whole or not at all; walking tables side by side misses nothing."""

import datetime as dt

import pyarrow.parquet as pq
import pytest

from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import TableMissing, Tables, aligned
from media_pipeline.tables.schemas import TABLES

DAY = dt.date(2026, 11, 20)


def quota(used: float) -> dict:
    return {"used_mb": used, "limit_mb": None, "available_mb": None, "basis": "x"}


def test_an_interrupted_write_leaves_the_old_day(tmp_path):
    tables = Tables(LocalStore(tmp_path))
    tables.write("storage_quota", DAY, [quota(1)])
    with pytest.raises(RuntimeError), tables.writer("storage_quota", DAY) as writer:
        writer.add(quota(2))
        raise RuntimeError
    assert [row["used_mb"] for row in tables.rows("storage_quota", DAY)] == [1]
    assert not list((tmp_path / ".staging").iterdir())


def test_a_missing_day_says_what_to_materialize(tmp_path):
    tables = Tables(LocalStore(tmp_path))
    assert list(tables.rows("recording_audio", DAY)) == []
    with pytest.raises(TableMissing, match="materialize recording_audio for that day first"):
        tables.read("recording_audio", DAY)


def test_rows_of_the_wrong_type_are_refused(tmp_path):
    with pytest.raises((TypeError, ValueError)):
        Tables(LocalStore(tmp_path)).write("storage_quota", DAY, [quota(1) | {"used_mb": "much"}])


def test_many_rows_keep_their_order_over_batches_and_row_groups(tmp_path):
    tables = Tables(LocalStore(tmp_path))
    tables.write("storage_quota", DAY, (quota(float(n)) for n in range(123_456)))
    assert [row["used_mb"] for row in tables.rows("storage_quota", DAY)] == [float(n) for n in range(123_456)]


def test_streams_are_walked_side_by_side():
    def rows(*ids):
        return [{"recording_id": i} for i in ids]

    walked = list(aligned(left=rows("a", "c", "c"), right=rows("b", "c")))
    assert [(i, len(found["left"]), len(found["right"])) for i, found in walked] == [
        ("a", 1, 0),
        ("b", 0, 1),
        ("c", 2, 1),
    ]


def test_every_column_is_described():
    for schema in TABLES.values():
        for field in schema:
            assert field.metadata[b"description"].decode().endswith(".")


def test_a_recordings_rows_are_found_in_whichever_row_groups_they_are(tmp_path):
    def segment(recording, index):
        numbers = {name: 0 for name in TABLES["diarized_transcripts"].names if name.startswith("pii_")}
        said = {"segment_index": index, "start_ms": index, "end_ms": index, "speaker": "unknown", "text": "x" * 400}
        return {"recording_id": f"{recording:04d}-ü"} | said | numbers

    tables = Tables(LocalStore(tmp_path))
    tables.write("diarized_transcripts", DAY, (segment(r, i) for r in range(9) for i in range(3_000)))
    file = pq.ParquetFile(tmp_path / f"tables/diarized_transcripts/date={DAY}/part-0.parquet")
    assert file.num_row_groups > 2
    for recording in range(9):
        found = tables.rows_about("diarized_transcripts", DAY, f"{recording:04d}-ü")
        assert [row["segment_index"] for row in found] == list(range(3_000))
    assert tables.rows_about("diarized_transcripts", DAY, "0004") == []
