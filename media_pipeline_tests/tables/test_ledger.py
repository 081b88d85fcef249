"""What a killed run had settled is taken up by the next one, wherever that runs, and never once the table is newer."""

import datetime as dt

import pytest

from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.ledger import Ledger
from media_pipeline.tables.partition import Tables

DAY = dt.date(2026, 11, 20)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "root")


def row(recording_id, status):
    return {"recording_id": recording_id, "file_index": 0, "status": status, "listed_state": "available"}


def killed(store, spool, run_id, *rows):
    """A run that ends without having written its table."""
    with Ledger(store, spool, DAY, run_id) as ledger:
        for each in rows:
            ledger.add(each)


def earlier(store, spool):
    with Ledger(store, spool, DAY, "next") as ledger:
        return {each["recording_id"]: each["status"] for each in ledger.earlier.to_pylist()}


def test_the_newest_row_of_each_recording_is_taken_up(store, tmp_path):
    killed(store, tmp_path / "spool", "one", row("a", "failed"), row("b", "stored"))
    killed(store, tmp_path / "spool", "two", row("a", "stored"))
    assert earlier(store, tmp_path / "spool") == {"a": "stored", "b": "stored"}


def test_another_machine_takes_up_what_was_published(store, tmp_path):
    killed(store, tmp_path / "spool", "one", row("a", "stored"))
    assert earlier(store, tmp_path / "another machine") == {"a": "stored"}


def test_a_torn_line_is_left_out(store, tmp_path):
    killed(store, tmp_path / "spool", "one", row("a", "stored"))
    for path in (tmp_path / "spool").rglob("*.jsonl"):
        path.write_bytes(path.read_bytes() + b'{"recording_id": "torn')
    assert earlier(store, tmp_path / "spool") == {"a": "stored"}


def test_rows_older_than_the_table_are_nobodys(store, tmp_path):
    """Killed on this machine, finished on another: what lies in the spool here is history."""
    killed(store, tmp_path / "here", "one", row("a", "unavailable"))
    with Ledger(store, tmp_path / "there", DAY, "two") as ledger:
        Tables(store).write("recording_audio", DAY, [row("a", "stored")])
        ledger.written = True
    assert list((tmp_path / "here").rglob("*.jsonl"))
    assert earlier(store, tmp_path / "here") == {}


def test_nothing_is_left_once_the_table_is_written(store, tmp_path):
    killed(store, tmp_path / "spool", "one", row("a", "stored"))
    with Ledger(store, tmp_path / "spool", DAY, "two") as ledger:
        ledger.written = True
    assert not list((tmp_path / "spool").rglob("*.jsonl"))
    assert not store.sizes(f"ledger/date={DAY}/")
