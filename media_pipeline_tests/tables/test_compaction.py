"""Months in one file each: the same rows as their days, read only as long as they are what their days are."""

import datetime as dt
import io
import math
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.year.generate import write_year
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.compaction import compact
from media_pipeline.tables.duckdb_text import as_pattern
from media_pipeline.tables.months import COMPACTED, copied, day_files, month_key, note_key, reading
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


def parts_of(store, table=QUOTA):
    """The months and the days that are to be read, each in order."""
    parts = reading(store, table, day_files(store, table))
    return [[key for part in parts if part.is_months == months for key in part.keys] for months in (True, False)]


def months_of(store):
    return [key.split("/")[-1].removesuffix(".parquet") for key in parts_of(store)[0]]


def rows_of(store, table, keys=None):
    """All rows that `reading` names, or of the days' files, with their day; sorted."""
    months, days = parts_of(store, table) if keys is None else ([], keys)
    columns = ", ".join(f'"{each.name}"' for each in copied(table))
    day = r"regexp_extract(filename, 'date=(\d{4}-\d{2}-\d{2})/[^/]*$', 1)"
    selects = [f"select {columns}, date::varchar from read_parquet({listed(store, months)})"] if months else []  # noqa: S608
    options = "filename = true, hive_partitioning = false, union_by_name = true"
    selects += [f"select {columns}, {day} from read_parquet({listed(store, days)}, {options})"] if days else []  # noqa: S608
    return duckdb.sql(f"select * from ({' union all '.join(selects)}) order by all").fetchall()  # noqa: S608


def listed(store, keys):
    return [as_pattern(f"{store.url}/{key}") for key in keys]


def used(store):
    """What is read: how many MB were used each day."""
    return [row[0] for row in sorted(rows_of(store, QUOTA), key=lambda row: row[-1])]


def test_months_have_the_rows_of_their_days_and_january_is_read_day_by_day(generated):
    store = LocalStore(generated)
    for table in COMPACTED:
        done = compact(store, table, TODAY)
        assert not done.left_out
        months, days = parts_of(store, table)
        if table != QUOTA:  # of the newest day only
            assert done.written == [NOVEMBER, DECEMBER]
            assert months == [month_key(table, NOVEMBER), month_key(table, DECEMBER)]
        assert all("/date=2026-01-0" in key for key in days)
        rows = rows_of(store, table)
        assert rows == rows_of(store, table, day_files(store, table))
        assert rows
        assert done.rows == sum(pq.read_metadata(generated / key).num_rows for key in months)


def test_what_was_said_is_not_copied(generated):
    store = LocalStore(generated)
    compact(store, "diarized_transcripts", TODAY)
    (key, _) = parts_of(store, "diarized_transcripts")[0]
    said = set(pq.read_table(generated / day_files(store, "diarized_transcripts").popitem()[0])["text"].to_pylist())
    copies = pq.read_table(generated / key)
    assert set(TABLES["diarized_transcripts"].names) - set(copies.schema.names) == {"text"}
    assert not said & {value for column in copies.columns for value in column.to_pylist() if isinstance(value, str)}


def test_a_month_is_over_with_the_second_day_of_the_next(store):
    assert compact(store, QUOTA, dt.date(2026, 1, 1)).written == [NOVEMBER]
    assert compact(store, QUOTA, dt.date(2026, 1, 2)).written == [DECEMBER]
    again = compact(store, QUOTA, dt.date(2026, 1, 31))
    assert (again.written, again.kept, again.removed, again.rows) == ([], [NOVEMBER, DECEMBER], [], 0)


def test_a_day_that_changes_comes_or_goes_is_read_at_once_and_its_month_written_again(store):
    compact(store, QUOTA, TODAY)
    november = (store.root / month_key(QUOTA, NOVEMBER)).stat().st_mtime_ns
    write_quota(store, ADVENT, 1000.0)
    assert months_of(store) == [NOVEMBER]
    assert used(store)[16] == 1000.0
    assert compact(store, QUOTA, TODAY).written == [DECEMBER]
    assert months_of(store) == [NOVEMBER, DECEMBER]
    assert used(store)[16] == 1000.0

    store.remove(f"tables/{QUOTA}/date={ADVENT}/part-0.parquet")
    assert 1000.0 not in used(store)
    assert compact(store, QUOTA, TODAY).written == [DECEMBER]
    assert len(used(store)) == DAYS - 1

    Tables(store).write(QUOTA, ADVENT, [], part="second")  # a file more
    assert months_of(store) == [NOVEMBER]
    assert (store.root / month_key(QUOTA, NOVEMBER)).stat().st_mtime_ns == november


def test_a_month_without_days_goes_and_whoever_reads_meanwhile_does_not_read_it(store):
    compact(store, QUOTA, TODAY)
    for key in day_files(store, QUOTA):
        if f"date={NOVEMBER}" in key:
            store.remove(key)
    assert months_of(store) == [DECEMBER]
    assert compact(store, QUOTA, TODAY).removed == [month_key(QUOTA, NOVEMBER)]
    assert store.open(month_key(QUOTA, NOVEMBER)) is None
    assert used(store) == [float(number) for number in range(11, DAYS)]


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"layout": ["used_mb"], "months": {}}', None])
def test_without_a_good_note_the_days_are_read(store, note):
    compact(store, QUOTA, TODAY)
    if note is None:
        store.remove(note_key(QUOTA))
    else:
        store.put(note_key(QUOTA), note)
    assert months_of(store) == []
    assert len(used(store)) == DAYS
    assert compact(store, QUOTA, TODAY).written == [NOVEMBER, DECEMBER]
    assert months_of(store) == [NOVEMBER, DECEMBER]


def test_a_month_that_somebody_else_wrote_is_not_read(store):
    compact(store, QUOTA, TODAY)
    pq.write_table(pq.read_table(store.root / month_key(QUOTA, NOVEMBER)).slice(0, 3), store.root / "other")
    (store.root / "other").replace(store.root / month_key(QUOTA, NOVEMBER))
    store.put(f"compacted/{QUOTA}/2020-01.parquet", b"not ours")
    assert months_of(store) == [DECEMBER]
    done = compact(store, QUOTA, TODAY)
    assert (done.written, done.removed) == ([NOVEMBER], [f"compacted/{QUOTA}/2020-01.parquet"])


def test_months_of_a_table_that_has_other_columns_now_are_written_again(store, monkeypatch):
    compact(store, QUOTA, TODAY)
    older = TABLES[QUOTA].remove(TABLES[QUOTA].get_field_index("basis"))
    with monkeypatch.context() as earlier:
        earlier.setitem(TABLES, QUOTA, older)
        assert months_of(store) == []
        assert compact(store, QUOTA, TODAY).written == [NOVEMBER, DECEMBER]
    assert months_of(store) == []
    assert {row[3] for row in rows_of(store, QUOTA)} == {"usage"}


def change(store, column, kind, table=QUOTA):
    """Give a column of one day another type, or with None take it away."""
    file = store.root / f"tables/{table}/date={ADVENT}/part-0.parquet"
    found = pq.read_table(file)
    place = found.schema.get_field_index(column)
    values = pa.nulls(found.num_rows) if kind == pa.null() else found[column].cast(kind or pa.string())
    pq.write_table(found.remove_column(place) if kind is None else found.set_column(place, column, values), file)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("basis", None),
        ("basis", pa.large_string()),
        ("basis", pa.dictionary(pa.int32(), pa.string())),
        ("used_mb", pa.float32()),
        ("limit_mb", pa.null()),
    ],
)
def test_a_day_of_an_older_or_another_writer_gives_the_rows_that_it_has(store, column, kind):
    change(store, column, kind)
    assert not compact(store, QUOTA, TODAY).left_out
    (row,) = [row for row in rows_of(store, QUOTA) if row[-1] == str(ADVENT)]
    assert row[:4] == (16.0, None, None, None if kind is None else "usage")


@pytest.mark.parametrize(
    ("column", "kind"), [("used_mb", pa.int32()), ("used_mb", pa.string()), ("basis", pa.binary())]
)
def test_a_type_that_readers_make_something_of_their_own_of_leaves_the_month_out(store, column, kind):
    change(store, column, kind)
    done = compact(store, QUOTA, TODAY)
    assert f"date={ADVENT}/part-0.parquet has {column} as {kind}, not as " in done.left_out[DECEMBER]


@pytest.mark.parametrize(
    "names", [["Used_MB", "limit_mb", "available_mb", "basis"], ["basis"] * 4, ["a", "b", "c", "d"]]
)
def test_columns_that_are_named_otherwise_leave_the_month_out(store, names):
    file = store.root / f"tables/{QUOTA}/date={ADVENT}/part-0.parquet"
    pq.write_table(pq.read_table(file).rename_columns(names), file)
    assert "has other columns than the table" in compact(store, QUOTA, TODAY).left_out[DECEMBER]


def test_a_day_that_changes_while_it_is_read_leaves_its_month_out(store, monkeypatch):
    key = f"tables/{QUOTA}/date={ADVENT}/part-0.parquet"
    opened = store.open

    def changing(asked):
        if asked == key:
            write_quota(store, ADVENT, 7000.0)
        return opened(asked)

    monkeypatch.setattr(store, "open", changing)
    done = compact(store, QUOTA, TODAY)
    assert (done.written, done.left_out) == ([NOVEMBER], {DECEMBER: "its days changed meanwhile"})
    assert used(store)[16] == 7000.0


def test_in_a_bucket_it_does_too_when_the_same_bytes_are_back_before_the_end(store, s3_root, tmp_path, monkeypatch):
    bucket = open_store(s3_root, tmp_path / "spool", 2)
    for key in day_files(store, QUOTA):
        bucket.put(key, (store.root / key).read_bytes())
    key = f"tables/{QUOTA}/date={ADVENT}/part-0.parquet"
    opened = bucket.open

    def changing(asked):
        if asked != key:
            return opened(asked)
        before = bucket.get_small(key).data
        write_quota(bucket, ADVENT, 7000.0)
        found = io.BytesIO(bucket.get_small(key).data)
        time.sleep(1.1)  # a bucket knows whole seconds
        bucket.put(key, before)
        return found

    monkeypatch.setattr(bucket, "open", changing)
    assert compact(bucket, QUOTA, TODAY).left_out == {DECEMBER: "its days changed meanwhile"}


def test_numbers_that_are_none_are_found_in_months_as_in_days(store):
    write_quota(store, ADVENT, math.nan)
    compact(store, QUOTA, TODAY)
    found = [as_pattern(f"{store.url}/{key}") for key in parts_of(store)[0]]
    for condition in ("isnan(used_mb)", "used_mb > 1e300", "not used_mb < 1000"):
        assert duckdb.sql(f"select date::varchar from read_parquet({found}) where {condition}").fetchall() == [  # noqa: S608
            (str(ADVENT),)
        ]


def test_nothing_is_replaced_once_the_lease_is_lost(store):
    def lost():
        raise RuntimeError("taken over")

    with pytest.raises(RuntimeError):
        compact(store, QUOTA, TODAY, lost)
    assert not store.sizes("compacted/")


def test_days_of_the_end_of_time_are_never_over(store):
    write_quota(store, dt.date(9999, 12, 31), 1.0)
    assert compact(store, QUOTA, TODAY).written == [NOVEMBER, DECEMBER]


def test_rows_keep_the_order_of_their_days(store):
    compact(store, QUOTA, TODAY)
    write_quota(store, FIRST, 5.0)
    assert [part.is_months for part in reading(store, QUOTA, day_files(store, QUOTA))] == [False, True, False]


@pytest.mark.parametrize("torn", [b"", b"not Parquet at all"])
def test_a_day_that_cannot_be_read_leaves_its_month_out_and_no_other(store, torn):
    (store.root / f"tables/{QUOTA}/date={ADVENT}/part-0.parquet").write_bytes(torn)
    done = compact(store, QUOTA, TODAY)
    assert done.written == [NOVEMBER]
    assert f"tables/{QUOTA}/date={ADVENT}/part-0.parquet cannot be read" in done.left_out[DECEMBER]
    assert months_of(store) == [NOVEMBER]


def test_a_month_that_is_left_out_stays_for_whoever_reads_it_at_that_moment(store):
    compact(store, QUOTA, TODAY)
    file = store.root / f"tables/{QUOTA}/date={ADVENT}/part-0.parquet"
    file.write_bytes(b"torn")
    assert compact(store, QUOTA, TODAY).removed == []
    assert month_key(QUOTA, DECEMBER) in store.sizes("compacted/")
    assert months_of(store) == [NOVEMBER]


def test_a_folder_of_a_day_that_no_month_has_is_read_as_before(store):
    file = store.root / f"tables/{QUOTA}/date=2025-11-31/part-0.parquet"
    file.parent.mkdir()
    file.write_bytes((store.root / f"tables/{QUOTA}/date={ADVENT}/part-0.parquet").read_bytes())
    compact(store, QUOTA, TODAY)
    assert months_of(store) == [NOVEMBER, DECEMBER]
    assert f"tables/{QUOTA}/date=2025-11-31/part-0.parquet" in parts_of(store)[1]


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
    assert months_of(bucket) == [NOVEMBER, DECEMBER]
    key = f"tables/{QUOTA}/date={ADVENT}/part-0.parquet"
    bucket.put(key, (store.root / key).read_bytes())
    assert months_of(bucket) == [NOVEMBER, DECEMBER], "the same bytes are the same day"
    bucket.put(key, b"other")
    assert months_of(bucket) == [NOVEMBER]


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
