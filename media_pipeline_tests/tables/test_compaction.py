"""Months in one file each: the same rows as their days, read only as long as they are what their days are."""

import datetime as dt
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from benchmarks.year.generate import write_year
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.compaction import COMPACTED, compact, month_key, note_key, reading
from media_pipeline.tables.duckdb_text import as_pattern
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.schemas import TABLES

FIRST, DAYS = dt.date(2025, 11, 20), 50
"""Two months that are over with the second of January, and days of January."""
TODAY = dt.date(2026, 1, 9)
NOVEMBER, DECEMBER = "2025-11", "2025-12"
ADVENT = dt.date(2025, 12, 6)
QUOTA = "storage_quota"
PROGRAM = str(Path(sys.executable).with_name("media-pipeline"))


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    root = tmp_path_factory.mktemp("year")
    for _ in write_year(root, FIRST, DAYS, 12, 2.0):
        pass
    return root


@pytest.fixture
def store(tmp_path):
    """Fifty days of the smallest table."""
    store = LocalStore(tmp_path / "root")
    for number in range(DAYS):
        write_quota(store, FIRST + dt.timedelta(days=number), float(number))
    return store


def write_quota(store, day, used):
    Tables(store).write(QUOTA, day, [{"used_mb": used, "limit_mb": None, "available_mb": None, "basis": "usage"}])


def rows_of(store, table, keys=None):
    """All rows that `reading` names, or of the days' files, with their day; sorted."""
    found = reading(store, table)
    months, days = (found.months, found.days) if keys is None else ([], keys)
    columns = ", ".join(f'"{name}"' for name in TABLES[table].names)
    day = r"regexp_extract(filename, 'date=(\d{4}-\d{2}-\d{2})/[^/]*$', 1)"
    selects = [f"select {columns}, date::varchar from read_parquet({listed(store, months)})"] if months else []  # noqa: S608
    options = "filename = true, hive_partitioning = false, union_by_name = true"
    selects += [f"select {columns}, {day} from read_parquet({listed(store, days)}, {options})"] if days else []  # noqa: S608
    return duckdb.sql(f"select * from ({' union all '.join(selects)}) order by all").fetchall()  # noqa: S608


def listed(store, keys):
    return [as_pattern(f"{store.url}/{key}") for key in keys]


def day_files(store, table):
    return sorted(store.sizes(f"tables/{table}/", ".parquet"))


def used(store):
    """What is read: how many MB were used each day."""
    return [row[0] for row in sorted(rows_of(store, QUOTA), key=lambda row: row[-1])]


def test_months_have_the_rows_of_their_days_and_january_is_read_day_by_day(generated):
    store = LocalStore(generated)
    for table in COMPACTED:
        done = compact(store, table, TODAY)
        assert not done.left_out
        found = reading(store, table)
        if table != QUOTA:  # of the newest day only
            assert done.written == [NOVEMBER, DECEMBER]
            assert found.months == [month_key(table, NOVEMBER), month_key(table, DECEMBER)]
        assert all("/date=2026-01-0" in key for key in found.days)
        rows = rows_of(store, table)
        assert rows == rows_of(store, table, day_files(store, table))
        assert rows
        assert done.rows == sum(pq.read_metadata(generated / key).num_rows for key in found.months)


def test_what_was_said_is_not_copied():
    assert "diarized_transcripts" not in COMPACTED
    assert not {"text", "speaker"} & {name for table in COMPACTED for name in TABLES[table].names}


def test_a_month_is_over_with_the_second_day_of_the_next(store):
    assert compact(store, QUOTA, dt.date(2026, 1, 1)).written == [NOVEMBER]
    assert compact(store, QUOTA, dt.date(2026, 1, 2)).written == [DECEMBER]
    again = compact(store, QUOTA, dt.date(2026, 1, 31))
    assert (again.written, again.kept, again.removed, again.rows) == ([], [NOVEMBER, DECEMBER], [], 0)


def test_a_day_that_changes_comes_or_goes_is_read_at_once_and_its_month_written_again(store):
    compact(store, QUOTA, TODAY)
    november = (store.root / month_key(QUOTA, NOVEMBER)).stat().st_mtime_ns
    write_quota(store, ADVENT, 1000.0)
    assert reading(store, QUOTA).months == [month_key(QUOTA, NOVEMBER)]
    assert used(store)[16] == 1000.0
    assert compact(store, QUOTA, TODAY).written == [DECEMBER]
    assert len(reading(store, QUOTA).months) == 2
    assert used(store)[16] == 1000.0

    store.remove(f"tables/{QUOTA}/date={ADVENT}/part-0.parquet")
    assert 1000.0 not in used(store)
    assert compact(store, QUOTA, TODAY).written == [DECEMBER]
    assert len(used(store)) == DAYS - 1

    Tables(store).write(QUOTA, ADVENT, [], part="second")  # a file more
    assert reading(store, QUOTA).months == [month_key(QUOTA, NOVEMBER)]
    assert (store.root / month_key(QUOTA, NOVEMBER)).stat().st_mtime_ns == november


def test_a_month_without_days_goes_and_whoever_reads_meanwhile_does_not_read_it(store):
    compact(store, QUOTA, TODAY)
    for key in day_files(store, QUOTA):
        if f"date={NOVEMBER}" in key:
            store.remove(key)
    assert reading(store, QUOTA).months == [month_key(QUOTA, DECEMBER)]
    assert compact(store, QUOTA, TODAY).removed == [month_key(QUOTA, NOVEMBER)]
    assert store.open(month_key(QUOTA, NOVEMBER)) is None
    assert used(store) == [float(number) for number in range(11, DAYS)]


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"columns": ["used_mb"], "months": {}}', None])
def test_without_a_good_note_the_days_are_read(store, note):
    compact(store, QUOTA, TODAY)
    if note is None:
        store.remove(note_key(QUOTA))
    else:
        store.put(note_key(QUOTA), note)
    assert reading(store, QUOTA).months == []
    assert len(used(store)) == DAYS
    assert compact(store, QUOTA, TODAY).written == [NOVEMBER, DECEMBER]
    assert len(reading(store, QUOTA).months) == 2


def test_a_month_that_somebody_else_wrote_is_not_read(store):
    compact(store, QUOTA, TODAY)
    pq.write_table(pq.read_table(store.root / month_key(QUOTA, NOVEMBER)).slice(0, 3), store.root / "other")
    (store.root / "other").replace(store.root / month_key(QUOTA, NOVEMBER))
    store.put(f"compacted/{QUOTA}/2020-01.parquet", b"not ours")
    assert reading(store, QUOTA).months == [month_key(QUOTA, DECEMBER)]
    done = compact(store, QUOTA, TODAY)
    assert (done.written, done.removed) == ([NOVEMBER], [f"compacted/{QUOTA}/2020-01.parquet"])


def test_months_of_a_table_that_has_other_columns_now_are_written_again(store, monkeypatch):
    compact(store, QUOTA, TODAY)
    older = TABLES[QUOTA].remove(TABLES[QUOTA].get_field_index("basis"))
    with monkeypatch.context() as earlier:
        earlier.setitem(TABLES, QUOTA, older)
        assert reading(store, QUOTA).months == []
        assert compact(store, QUOTA, TODAY).written == [NOVEMBER, DECEMBER]
    assert reading(store, QUOTA).months == []
    assert {row[3] for row in rows_of(store, QUOTA)} == {"usage"}


def test_a_column_that_a_day_lacks_is_null_and_another_type_becomes_the_tables(store):
    file = store.root / f"tables/{QUOTA}/date={ADVENT}/part-0.parquet"
    table = pq.read_table(file).drop_columns(["basis"])
    pq.write_table(table.set_column(0, "used_mb", table["used_mb"].cast("int32")), file)
    assert not compact(store, QUOTA, TODAY).left_out
    (row,) = [row for row in rows_of(store, QUOTA) if row[-1] == str(ADVENT)]
    assert row[:4] == (16.0, None, None, None)


@pytest.mark.parametrize("torn", [b"", b"not Parquet at all"])
def test_a_day_that_cannot_be_read_leaves_its_month_out_and_no_other(store, torn):
    (store.root / f"tables/{QUOTA}/date={ADVENT}/part-0.parquet").write_bytes(torn)
    done = compact(store, QUOTA, TODAY)
    assert done.written == [NOVEMBER]
    assert f"tables/{QUOTA}/date={ADVENT}/part-0.parquet cannot be read" in done.left_out[DECEMBER]
    assert reading(store, QUOTA).months == [month_key(QUOTA, NOVEMBER)]
    assert store.open(month_key(QUOTA, DECEMBER)) is None


def test_a_folder_of_a_day_that_no_month_has_is_read_as_before(store):
    file = store.root / f"tables/{QUOTA}/date=2025-11-31/part-0.parquet"
    file.parent.mkdir()
    file.write_bytes((store.root / f"tables/{QUOTA}/date={ADVENT}/part-0.parquet").read_bytes())
    compact(store, QUOTA, TODAY)
    found = reading(store, QUOTA)
    assert len(found.months) == 2
    assert f"tables/{QUOTA}/date=2025-11-31/part-0.parquet" in found.days


def test_equal_days_give_equal_bytes(store, tmp_path):
    other = LocalStore(tmp_path / "other")
    for number in reversed(range(DAYS)):
        write_quota(other, FIRST + dt.timedelta(days=number), float(number))
    for each in (store, other):
        compact(each, QUOTA, TODAY)
    key = month_key(QUOTA, DECEMBER)
    assert (store.root / key).read_bytes() == (other.root / key).read_bytes()


def test_in_a_bucket_the_days_tags_are_those_of_their_bytes(store, s3_root, tmp_path):
    bucket = open_store(s3_root, tmp_path / "spool", 2)
    for key in day_files(store, QUOTA):
        bucket.put(key, (store.root / key).read_bytes())
    assert compact(bucket, QUOTA, TODAY).written == [NOVEMBER, DECEMBER]
    assert len(reading(bucket, QUOTA).months) == 2
    key = f"tables/{QUOTA}/date={ADVENT}/part-0.parquet"
    bucket.put(key, (store.root / key).read_bytes())
    assert len(reading(bucket, QUOTA).months) == 2, "the same bytes are the same day"
    bucket.put(key, b"other")
    assert reading(bucket, QUOTA).months == [month_key(QUOTA, NOVEMBER)]


def test_whatever_moment_it_is_killed_in_each_row_is_read_once(generated, tmp_path):
    store = LocalStore(tmp_path / "root")
    for file in generated.glob("tables/*/*/*.parquet"):
        target = store.root / file.relative_to(generated)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(file)
    wanted = {table: rows_of(store, table, day_files(store, table)) for table in COMPACTED}
    environment = {"PATH": "", "HOME": str(tmp_path), "MEDIA_ROOT": store.url}
    killed = 0
    for milliseconds in range(600, 2400, 200):
        process = subprocess.Popen([PROGRAM, "compact"], env=environment, stdout=subprocess.DEVNULL, cwd=tmp_path)
        time.sleep(milliseconds / 1000)
        killed += process.poll() is None
        process.kill()
        process.wait()
        assert {table: rows_of(store, table) for table in COMPACTED} == wanted
    assert killed
    done = subprocess.run([PROGRAM, "compact"], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {table: rows_of(store, table) for table in COMPACTED} == wanted
    assert not [key for key in store.sizes("compacted/") if not key.endswith((".parquet", "_days.json"))]
