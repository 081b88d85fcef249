"""A day that an early version of this project wrote is read by all that reads tables today.

fixtures/earlier_day is a whole MEDIA_ROOT: 24 tiny recordings of the sandbox, exported before the inventory had agents
and queues, transcripts had counts by kind of personal data, and runs had times of calls. It is never written anew.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from media_pipeline.archive import Archive
from media_pipeline.playback.day_index import build_index
from media_pipeline.redaction import Redaction
from media_pipeline.settings import Settings
from media_pipeline.sql.asking import asker
from media_pipeline.sql.views import Views
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables import contract
from media_pipeline.tables.completeness import judge_day
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.reports import availability_rows, storage_utilization
from media_pipeline.tables.schemas import TABLES

KEPT = Path(__file__).parent / "fixtures" / "earlier_day"
EARLIER = dt.date(2026, 11, 18)
LACKING = {
    "recording_inventory": ["communication_ids", "agent_ids", "queue_ids", "source_file", "source_files"],
    "diarized_transcripts": ["pii_credit_card", "pii_email_address", "pii_phone_number", "pii_us_ssn"],
    "export_runs": [
        *("timed_calls", "errors", "p50_ms", "p95_ms", "p99_ms"),
        *("from_second", "calls_then", "refused_then", "retries_then"),
    ],
}
"""Columns that came later; those of the transcripts before the contract, which lets no such column be required."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree(KEPT, tmp_path / "media")
    return Settings(root=str(tmp_path / "media"), spool=tmp_path / "spool")


@pytest.fixture
def tables(settings: Settings) -> Tables:
    return Tables(LocalStore(Path(settings.root)))


def kept_files() -> list[Path]:
    return sorted(KEPT.glob("tables/*/*/*.parquet"))


def part_of(table: str) -> str:
    (path,) = KEPT.glob(f"tables/{table}/date={EARLIER}/*.parquet")
    return path.stem


def test_the_kept_day_lacks_what_came_later_and_nothing_it_has_was_taken_away():
    assert len(kept_files()) == 7
    for path in kept_files():
        table, kept = path.parts[-3], pq.read_schema(path)
        assert [name for name in TABLES[table].names if name not in kept.names] == LACKING.get(table, [])
        major = int(contract.version_of(table).split(".")[0])
        if major == 1:  # a later one has its note, which says what became of these columns
            before = contract.columns_of(kept)
            assert contract.columns_of(TABLES[table])[: len(before)] == before, table


def test_every_reader_of_tables_gets_every_column(tables):
    for path in kept_files():
        table = path.parts[-3]
        rows = list(tables.rows(table, EARLIER, part=part_of(table)))
        kept = pq.read_table(path).to_pylist()
        assert [list(row) for row in rows] == [TABLES[table].names] * len(kept)
        assert [{name: row[name] for name in old} for row, old in zip(rows, kept, strict=True)] == kept
        assert all(row[name] is None for row in rows for name in LACKING.get(table, []))
    whole = tables.read("recording_inventory", EARLIER)
    assert whole.schema.types == TABLES["recording_inventory"].types
    assert tables.read("recording_inventory", EARLIER, ["agent_ids"]).to_pylist() == [{"agent_ids": None}] * 24
    assert next(iter(tables.rows("recording_inventory", EARLIER, ["queue_ids", "recording_id"])))["queue_ids"] is None
    one = whole["recording_id"][0].as_py()
    (row,) = tables.rows_about("recording_inventory", EARLIER, one)
    assert row["agent_ids"] is None
    assert tables.rows_about("recording_inventory", EARLIER, one, ["agent_ids"]) == [{"agent_ids": None}]


def test_it_is_judged_and_verified_as_then(settings, tables):
    verdict = judge_day(tables, EARLIER)
    assert not verdict.complete  # one recording was still being transcoded
    assert "1 pending" in verdict.sentence
    result = Archive(settings).verify(None)
    assert (result.objects, result.losses) == (14, 0)


def test_its_reports_come_out_as_they_did(tables):
    assert list(availability_rows(tables, EARLIER)) == list(tables.rows("availability_report", EARLIER))
    now, then = storage_utilization(tables, EARLIER), list(tables.rows("storage_utilization", EARLIER))
    for row in [*now, *then]:
        row["duration_seconds"] = round(row["duration_seconds"], 9)  # sums were not exact then
    assert now == then


def test_a_recording_of_it_is_explained(settings, tables):
    stored = next(row for row in tables.rows("recording_audio", EARLIER) if row["status"] == "stored")
    (told,) = Archive(settings).story(stored["recording_id"]).days
    assert (told.day, told.files[0].object_bytes) == (EARLIER, stored["stored_size_bytes"])


def test_its_calls_can_be_listed_and_searched(tables, tmp_path):
    built = build_index(tables, EARLIER, tmp_path / "calls.sqlite", seconds_of=lambda rows: [None] * len(rows))
    assert built.calls == 24


def test_its_transcripts_are_redacted_and_get_their_counts(settings, tables):
    Redaction(settings).days(None)
    rows = list(tables.rows("diarized_transcripts", EARLIER))
    assert len(rows) == 32
    kinds = LACKING["diarized_transcripts"]
    assert all(sum(row[kind] for kind in kinds) == row["pii_redacted"] for row in rows)
    assert any(row["pii_redacted"] for row in rows)


def test_it_is_asked_in_sql_beside_a_day_of_today(tables):
    today = EARLIER + dt.timedelta(days=1)
    newer = next(iter(tables.rows("recording_inventory", EARLIER))) | {"agent_ids": ["a1"]}
    tables.write("recording_inventory", today, [newer])
    question = "select date, count(*) as files, list(agent_ids[1]) as agents from recording_inventory group by date"
    question += " order by date"
    with asker(tables.store, Views(tables.store), question) as asking, asking.ask(question) as reader:
        early, late = reader.read_all().to_pylist()
    assert (early["date"], early["files"], set(early["agents"])) == (EARLIER, 24, {None})
    assert (late["date"], late["agents"]) == (today, ["a1"])
    for table in TABLES:
        question = f"from {table}"
        with asker(tables.store, Views(tables.store), question) as asking, asking.ask(question) as reader:
            assert reader.schema.names == [*TABLES[table].names, "date"]
            reader.read_all()


def test_other_tools_read_it_beside_a_day_of_today_as_the_docs_say(tables):
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    today = EARLIER + dt.timedelta(days=1)
    newer = next(iter(tables.rows("recording_inventory", EARLIER))) | {"agent_ids": ["a1"]}
    tables.write("recording_inventory", today, [newer])
    folder = f"{tables.store.url}/tables/recording_inventory"
    newest = f"{folder}/date={today}/part-0.parquet"
    frame = pl.scan_parquet(
        f"{folder}/*/*.parquet",
        hive_partitioning=True,
        schema=pl.read_parquet_schema(newest),
        missing_columns="insert",
    )
    assert frame.select(pl.len(), pl.col("agent_ids").count()).collect().row(0) == (25, 1)
    assert frame.filter(pl.col("date") == EARLIER).select(pl.len()).collect().item() == 24
    schema = pq.read_schema(newest).append(pa.field("date", pa.string()))
    assert pd.read_parquet(folder, schema=schema)["agent_ids"].notna().sum() == 1
    files = f"'{folder}/*/*.parquet', hive_partitioning = true, union_by_name = true"
    with duckdb.connect() as connection:
        counted = connection.sql(f"select count(*), count(agent_ids), min(date) from read_parquet({files})").fetchall()  # noqa: S608
    assert counted == [(25, 1, EARLIER)]


def test_the_marts_are_built_of_it(settings, tmp_path):
    from media_pipeline.reports.places import PROJECT

    done = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "build", "--project-dir", PROJECT, "--profiles-dir", PROJECT],
        env={"PATH": os.environ["PATH"], "MEDIA_ROOT": settings.root, "MEDIA_SPOOL": str(settings.spool)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert "WARN=0 ERROR=0" in done.stdout
