"""The schema contract: what breaks readers of a published table fails here, with a sentence that says what to do."""

import json

import pyarrow as pa
import pytest

from media_pipeline.storage.local import LocalStore
from media_pipeline.tables import contract
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.schemas import TABLES
from media_pipeline.tables.schemas.columns import column

FIELDS = [
    column("id", pa.string(), "Its id.", required=True),
    column("size", pa.int64(), "Its size."),
    column("name", pa.string(), "Its name."),
]
BEFORE = {"calls": {"version": "1.2", "columns": contract.columns_of(pa.schema(FIELDS))}}
NOTED = "### calls 1.2\n"
LATE = column("late", pa.string(), "Came late.")


def test_published_tables_are_as_they_were_published():
    assert contract.problems() == []


BREAKING = {
    "dropped": ([FIELDS[0], FIELDS[2]], "size is gone"),
    "renamed": ([FIELDS[0], column("bytes", pa.int64(), "x"), FIELDS[2]], "size is gone"),
    "retyped": ([FIELDS[0], column("size", pa.float64(), "x"), FIELDS[2]], "size is double, was int64"),
    "required": (
        [*FIELDS[:2], column("name", pa.string(), "x", required=True)],
        "name is never null, before it may be",
    ),
    "nullable": ([column("id", pa.string(), "x"), *FIELDS[1:]], "id may be null, before it is never null"),
    "moved": ([FIELDS[0], FIELDS[2], FIELDS[1]], "the columns have another order"),
    "inserted": ([FIELDS[0], LATE, *FIELDS[1:]], "new columns stand before old ones"),
    "appended as required": ([*FIELDS, column("late", pa.string(), "x", required=True)], "late is new and never null"),
}


@pytest.mark.parametrize("change", BREAKING)
def test_a_change_that_breaks_readers_fails_until_its_version_is_noted(change):
    fields, said = BREAKING[change]
    tables = {"calls": pa.schema(fields)}
    (sentence,) = contract.problems(tables, BEFORE, NOTED)
    assert said in sentence
    assert "write under `### calls 2.0` in docs/schema_changes.md" in sentence
    records, notes, refused = contract.record(tables, BEFORE, NOTED)
    assert (records, notes, refused) == (BEFORE, NOTED, [sentence])
    records, notes, refused = contract.record(tables, BEFORE, NOTED + "### calls 2.0\n\nRead it so.\n")
    assert refused == []
    assert records["calls"]["version"] == "2.0"
    assert contract.problems(tables, records, notes) == []


def test_a_nullable_column_at_the_end_breaks_nobody_and_is_noted_by_itself():
    tables = {"calls": pa.schema([*FIELDS, LATE])}
    (sentence,) = contract.problems(tables, BEFORE, NOTED)
    assert sentence == "calls has late at its end, which breaks nobody: `make contract` records and notes it."
    records, notes, refused = contract.record(tables, BEFORE, NOTED)
    assert (records["calls"]["version"], refused) == ("1.3", [])
    assert notes.endswith("### calls 1.3\n\n- New: `late`. Came late.\n")
    assert contract.problems(tables, records, notes) == []


def test_a_version_without_its_note_fails():
    (sentence,) = contract.problems({"calls": pa.schema(FIELDS)}, BEFORE, "### calls 1.20\n")
    assert "says nothing of calls 1.2" in sentence


def test_a_table_comes_freely_and_goes_with_a_note():
    new = {"calls": pa.schema(FIELDS), "fresh": pa.schema(FIELDS)}
    assert contract.problems(new, BEFORE, NOTED) == ["fresh is a new table: `make contract` records it."]
    assert contract.record(new, BEFORE, NOTED)[0]["fresh"]["version"] == "1.0"
    (sentence,) = contract.problems({}, BEFORE, NOTED)
    assert "the table is gone" in sentence
    assert contract.record({}, BEFORE, NOTED)[2] == [sentence]
    assert contract.record({}, BEFORE, NOTED + "### calls 2.0\n")[0] == {}


def test_a_changed_description_is_no_change():
    fields = [FIELDS[0], column("size", pa.int64(), "In other words."), FIELDS[2]]
    assert contract.problems({"calls": pa.schema(fields)}, BEFORE, NOTED) == []


def test_the_record_is_written_as_it_is_read():
    assert json.loads(contract._as_text(contract.published())) == contract.published()
    assert contract._as_text(contract.published()) == contract.PUBLISHED.read_text()


def test_a_file_tells_the_version_it_was_written_with(tmp_path):
    import datetime as dt

    tables = Tables(LocalStore(tmp_path))
    tables.write("storage_quota", dt.date(2026, 11, 20), [])
    assert tables.note("storage_quota", dt.date(2026, 11, 20)) == {
        "schema_version": contract.version_of("storage_quota")
    }
    assert set(contract.published()) == set(TABLES)
