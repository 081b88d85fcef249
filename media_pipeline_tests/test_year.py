"""The made-up year of the benchmark is one that the pipeline itself could have written."""

import datetime as dt
import math

import pyarrow.parquet as pq
import pytest

from benchmarks.year.generate import write_year
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import table_key
from media_pipeline.tables.reports import availability_rows, storage_utilization
from media_pipeline.transfer.outcome import REASONS

FIRST = dt.date(2025, 1, 1)
DAYS, PER_DAY = 4, 300


def write(root):
    return list(write_year(root, FIRST, DAYS, PER_DAY, 4.0))


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    root = tmp_path_factory.mktemp("year")
    return Tables(LocalStore(root)), write(root)


def test_its_days_have_the_files_asked_for_and_equal_options_give_equal_bytes(year, tmp_path):
    tables, days = year
    assert sum(day.files for day in days) == DAYS * PER_DAY
    write(tmp_path)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.parquet"))
    assert len(written) > DAYS * 6
    for path in written:
        assert (tmp_path / path).read_bytes() == (tables.store.root / path).read_bytes(), path


def test_its_reports_are_those_that_the_pipeline_computes_from_its_tables(year):
    tables, days = year
    for day in days:
        assert list(tables.rows("availability_report", day.date)) == list(availability_rows(tables, day.date))
        found = list(tables.rows("storage_utilization", day.date))
        for row, right in zip(found, storage_utilization(tables, day.date), strict=True):
            assert math.isclose(row.pop("duration_seconds"), right.pop("duration_seconds"))  # added in another order
            assert row == right


def test_its_statuses_go_with_their_reasons_and_its_segments_with_their_recordings(year):
    tables, days = year
    for day in days:
        for row in tables.rows("recording_audio", day.date):
            assert row["status"] == ("stored" if row["reason"] is None else REASONS[row["reason"]][0])
        lengths = {row["recording_id"]: row["segments"] for row in tables.rows("transcript_status", day.date)}
        said = dict.fromkeys(lengths, 0)
        for row in tables.rows("diarized_transcripts", day.date):
            assert row["segment_index"] == said[row["recording_id"]]
            assert 0 <= row["start_ms"] <= row["end_ms"]
            said[row["recording_id"]] += 1
        assert said == lengths


def test_rows_that_are_arrow_already_give_the_file_that_single_rows_give(tmp_path):
    (day,) = write_year(tmp_path / "arrow", FIRST, 1, 4_000, 12.0)
    arrow, rows = Tables(LocalStore(tmp_path / "arrow")), Tables(LocalStore(tmp_path / "rows"))
    written = sorted(path.parts[-3] for path in (tmp_path / "arrow").glob("tables/*/*/part-0.parquet"))
    groups = []
    for name in written:
        with rows.writer(name, day.date, note=arrow.note(name, day.date)) as writer:
            for row in arrow.rows(name, day.date):
                writer.add(row)
        key = table_key(name, day.date)
        assert (tmp_path / "rows" / key).read_bytes() == (tmp_path / "arrow" / key).read_bytes(), key
        groups.append(pq.read_metadata(tmp_path / "rows" / key).num_row_groups)
    assert max(groups) > 1  # else the row groups' limits were not tried
