"""The marts' files below MEDIA_ROOT: changed days are written, equal ones are not touched, strays go."""

import datetime as dt
import time

import duckdb
import pyarrow.parquet as pq
import pytest

from media_pipeline.reports import publishing
from media_pipeline.reports.publishing import MartDays, mart_key
from media_pipeline.storage.local import LocalStore

DAYS = [dt.date(2026, 11, day) for day in (1, 2, 3)]
STATE = """
create schema raw; create schema builds;
create table builds.published (mart varchar, date date, content varchar, sha256 varchar, tag varchar);
create table raw.days (date date, fingerprint varchar, has_report boolean, is_due boolean);
create view raw.due_days as select date from raw.days where is_due;
create table mart (date date, recording_id varchar, seconds double);
"""


class World:
    def __init__(self, root, keeps_days: bool) -> None:
        self.store = LocalStore(root)
        self.working = root / "working"
        self.working.mkdir()
        self.database = duckdb.connect()
        self.database.execute(STATE)
        self.mart = MartDays(self.database, self.store, "mart", "main.mart", keeps_days)

    def has(self, *days, due, fingerprint="1"):
        self.database.execute("delete from raw.days")
        for day in days:
            self.database.execute("insert into raw.days values (?, ?, true, ?)", [day, fingerprint, day in due])

    def row(self, day, recording_id, seconds=1.0):
        self.database.execute("insert into mart values (?, ?, ?)", [day, recording_id, seconds])

    def publish(self):
        time.sleep(0.06)  # what is older than a tick is known by its time
        return self.mart.publish(self.working)

    def stamps(self):
        return {key: (self.store.root / key).stat().st_ino for key in self.store.sizes("marts/mart/")}

    def ids(self, day):
        return pq.ParquetFile(self.store.root / mart_key("mart", day)).read()["recording_id"].to_pylist()


@pytest.fixture(params=[True, False], ids=["keeps its days", "made whole"])
def world(tmp_path, request):
    world = World(tmp_path, request.param)
    yield world
    world.database.close()


def test_every_exported_day_has_a_file_in_order_and_a_day_without_rows_an_empty_one(world):
    world.has(*DAYS, due=DAYS)
    for recording_id in ("b", "a", "c"):
        world.row(DAYS[0], recording_id)
    world.row(DAYS[2], "d")
    assert world.publish() == 3
    assert [world.ids(day) for day in DAYS] == [["a", "b", "c"], [], ["d"]]
    assert not list(world.working.iterdir())


def test_a_day_that_changed_is_written_and_no_other(world):
    world.has(*DAYS, due=DAYS)
    world.row(DAYS[0], "a")
    world.publish()
    before = world.stamps()
    world.row(DAYS[1], "b")
    world.has(*DAYS, due=[DAYS[1]])
    assert world.publish() == 1
    assert {key for key, stamp in world.stamps().items() if before[key] != stamp} == {mart_key("mart", DAYS[1])}
    assert world.ids(DAYS[1]) == ["b"]


def test_equal_rows_are_equal_bytes_and_are_not_written_again(world):
    world.has(*DAYS, due=DAYS)
    world.row(DAYS[0], "a")
    world.row(DAYS[0], "b")
    world.publish()
    before = world.stamps()
    world.database.execute("delete from mart")
    world.row(DAYS[0], "b")
    world.row(DAYS[0], "a")
    world.has(*DAYS, due=DAYS, fingerprint="2")
    assert world.publish() == 0
    assert world.stamps() == before


def test_times_are_utc_whatever_the_machines_time_zone(world):
    world.database.execute("set global TimeZone = 'America/New_York'")
    world.database.execute("alter table mart add column started_at timestamptz")
    world.has(*DAYS, due=DAYS)
    world.database.execute("insert into mart values (?, 'a', 1.0, '2026-11-01 10:00:00Z')", [DAYS[0]])
    world.publish()
    schema = pq.read_schema(world.store.root / mart_key("mart", DAYS[0]))
    assert schema.field("started_at").type.tz == "UTC"


def test_a_file_that_was_altered_or_removed_is_written_again(world):
    world.has(*DAYS, due=DAYS)
    for day in DAYS:
        world.row(day, "a")
    world.publish()
    world.has(*DAYS, due=[])
    before = world.stamps()
    (world.store.root / mart_key("mart", DAYS[0])).write_bytes(b"not what it was")
    world.store.remove(mart_key("mart", DAYS[1]))
    assert world.publish() == 2
    assert [world.ids(day) for day in DAYS] == [["a"]] * 3
    assert world.stamps()[mart_key("mart", DAYS[2])] == before[mart_key("mart", DAYS[2])]


def test_files_that_were_copied_to_another_disk_are_known_by_their_bytes(world):
    world.has(*DAYS, due=DAYS)
    world.row(DAYS[0], "a")
    world.publish()
    for day in DAYS:
        (world.store.root / mart_key("mart", day)).touch()
    before = world.stamps()
    world.has(*DAYS, due=[])
    assert world.publish() == 0
    assert world.stamps() == before
    known = world.database.execute("select tag from builds.published").fetchall()
    assert {tag for (tag,) in known} == set(dict(world.store.tags("marts/mart/")).values())


def test_what_belongs_to_no_day_goes(world):
    world.has(*DAYS, due=DAYS)
    world.row(DAYS[0], "a")
    world.store.put("marts/mart/part-0.parquet", b"as one file, of an earlier version")
    world.publish()
    assert set(world.stamps()) == {mart_key("mart", day) for day in DAYS}
    world.database.execute("delete from mart")
    world.has(*DAYS[1:], due=[])
    world.publish()
    assert set(world.stamps()) == {mart_key("mart", day) for day in DAYS[1:]}


def test_a_large_day_has_row_groups_of_fixed_length(world, monkeypatch):
    monkeypatch.setattr(publishing, "ROW_GROUP_ROWS", 3_000)
    world.has(DAYS[0], due=DAYS)
    world.database.execute("insert into mart select ?, 'r' || i, i from range(10_000) as numbers(i)", [DAYS[0]])
    world.publish()
    metadata = pq.ParquetFile(world.store.root / mart_key("mart", DAYS[0])).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [3_000, 3_000, 3_000, 1_000]
