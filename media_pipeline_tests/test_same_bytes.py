"""Two runs of the same input give the same Parquet bytes: real runs where a run has no other input than the source, and
the same rows in two processes for every table there is."""

import os
import subprocess
import sys

from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.harness import DAY, Export

FROM_RUNS = {
    "recording_inventory",
    "recording_audio",
    "diarized_transcripts",
    "transcript_status",
    "availability_report",
    "storage_utilization",
    "storage_quota",
    "interaction_media",
    "recording_thumbnails",
    "metadata_annotations",
}
"""Written by the two runs below."""
FROM_ROWS = {
    "export_runs": "is about a run: its calls and seconds",
    "recent_listings": "is written anew by whoever lists; its rows are compared in test_late_recordings",
    "recording_deadlines": "is made of what the source keeps on the day of the sweep",
    "conversation_events": "takes in what happens",
    "guest_uploads": "takes in what happens",
    "voice_messages": "says what was sent, and the ids it got",
    "media_retention": "says what was deleted",
}
"""Tables with another input than a finished day, and which: of these the same rows are written twice."""

WRITE = """
import datetime as dt, sys
from pathlib import Path

import pyarrow as pa

from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.schemas import TABLES


def value(kind, number):
    if pa.types.is_list(kind):
        return [value(kind.value_type, number + place) for place in range(number % 4)]
    if pa.types.is_boolean(kind):
        return number % 3 == 0
    if pa.types.is_integer(kind):
        return number * 7919 % 10_007
    if pa.types.is_floating(kind):
        return number / 7
    if pa.types.is_timestamp(kind):
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=number * 997)
    if pa.types.is_date(kind):
        return dt.date(2026, 1, 1) + dt.timedelta(days=number % 400)
    return f"{number * 7919 % 100_003:06d}-\\u00fc" * 4


for name, schema in TABLES.items():
    rows = (
        {
            field.name: None if field.nullable and (number + place) % 5 == 0 else value(field.type, number)
            for place, field in enumerate(schema)
        }
        for number in range(2_500)
    )
    Tables(LocalStore(Path(sys.argv[1]))).write(name, dt.date(2026, 1, 1), rows)
"""


def bytes_of_tables(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.glob("tables/*/*/*.parquet"))
        if path.parts[-3] != "export_runs" or "part-0" in path.name
    }


def test_every_table_is_looked_at():
    assert FROM_RUNS | set(FROM_ROWS) == set(TABLES), "say in which of the two a new table is compared"
    assert not FROM_RUNS & set(FROM_ROWS)


def test_two_runs_of_a_day_write_the_same_bytes(org, tmp_path):
    for folder in ("one", "two"):
        assert Export.run(org, tmp_path / folder).rows("recording_audio")
        done = Export.run(org, tmp_path / folder, job="interactions_daily", step="metadata_annotations")
        assert done.result.success
    one, two = bytes_of_tables(tmp_path / "one/media"), bytes_of_tables(tmp_path / "two/media")
    assert {key.split("/")[1] for key in one} == FROM_RUNS
    assert one.keys() == two.keys()
    assert [key for key in one if one[key] != two[key]] == []
    assert all(f"date={DAY}" in key for key in one)


def test_the_same_rows_are_the_same_bytes_in_another_process(tmp_path):
    for folder, seed in (("one", "1"), ("two", "2")):
        hashing = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", WRITE, str(tmp_path / folder)], env=hashing, check=True)
    one, two = bytes_of_tables(tmp_path / "one"), bytes_of_tables(tmp_path / "two")
    assert {key.split("/")[1] for key in one} == set(TABLES)
    assert [key for key in one if one[key] != two[key]] == []
