"""A history of builds by hand, of new, repaired, backfilled and removed days, gives what one build of it all gives."""

import datetime as dt
import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.year.generate import write_year
from media_pipeline_tests.reports.conftest import MARTS, Root, built, dbt

FIRST = dt.date(2025, 1, 6)
PER_DAY = 60
PER_RECORDING = ["recording_facts", "speaker_talk_time"]
"""The marts that hold most; they look at no other day."""


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def export(root: Root, number: int, *, seed: int = 1) -> None:
    """Write the tables of a day, as another run would with another seed."""
    for table in root.path.glob(f"tables/*/date={day(number)}"):
        shutil.rmtree(table)
    list(write_year(root.path, day(number), 1, PER_DAY, 4.0, seed=seed))


def stamps(root: Root) -> dict:
    """What tells whether a mart's file was written again."""
    return {str(path.relative_to(root.path)): path.stat().st_ino for path in root.parts(*MARTS)}


def written(root: Root, before: dict, marts: list[str]) -> set[tuple[str, str]]:
    """Marts and days whose files are others than before."""
    changed = [path.split("/") for path, stamp in stamps(root).items() if before.get(path) != stamp]
    return {(mart, day.removeprefix("date=")) for _, mart, day, _ in changed if mart in marts}


def spoil(root: Root, *numbers: int) -> dict:
    """Make files unreadable without anybody seeing it in a listing; what they were."""
    kept = {}
    for number in numbers:
        for path in root.path.glob(f"tables/*/date={day(number)}/*.parquet"):
            facts = path.stat()
            kept[path] = (path.read_bytes(), facts.st_mtime_ns)
            path.write_bytes(b"x" * facts.st_size)
            os.utime(path, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    return kept


def restore(kept: dict) -> None:
    for path, (content, modified) in kept.items():
        path.write_bytes(content)
        os.utime(path, ns=(modified, modified))


def rows(root: Root) -> dict:
    return {mart: root.query(f"select * from {mart} order by all") for mart in MARTS}  # noqa: S608


@pytest.fixture(scope="module")
def history(new_folder) -> Root:
    """Five days of seven, built; then stories follow on it, any of them alone too."""
    root = Root(new_folder())
    for number in (0, 1, 2, 3, 6):
        export(root, number)
    return built(root)


def test_a_new_day_a_repaired_one_and_a_backfill_are_taken_in_and_no_other_file_is_opened(history):
    before = stamps(history)
    kept = spoil(history, 0, 2, 3, 6)
    export(history, 1, seed=2)
    export(history, 5)
    export(history, 7)
    built(history)
    taken_in = {str(day(number)) for number in (1, 5, 7)}
    assert set(history.query("select date from raw.due_days").date.astype(str)) == taken_in
    assert written(history, before, PER_RECORDING) == {(mart, day) for mart in PER_RECORDING for day in taken_in}
    later = written(history, before, ["storage_utilization_daily"])
    summed = {str(day(number)) for number in (2, 3, 6)}
    assert {date for _, date in later} == taken_in | summed, "the sums of later days hold the repaired one"
    restore(kept)


def test_nothing_new_writes_nothing(history):
    before = stamps(history)
    built(history)
    assert history.query("select * from raw.due_days").empty
    assert stamps(history) == before


def test_a_build_that_fails_publishes_nothing_and_its_days_are_taken_in_by_the_next(history):
    before = stamps(history)
    (file,) = history.path.glob(f"tables/recording_inventory/date={day(2)}/*.parquet")
    facts, content = file.stat(), file.read_bytes()
    table = pq.ParquetFile(file).read()
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), file)
    done = dbt(history.path, history.folder)
    assert done.returncode == 1
    assert "unique_key_stg_recording_inventory" in done.stdout
    assert stamps(history) == before
    file.write_bytes(content)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    built(history)
    assert list(history.query("select date from raw.due_days").date.astype(str)) == [str(day(2))]
    assert stamps(history) == before, "it is what it was"


def test_one_mart_alone_does_not_count_as_a_build(history):
    export(history, 3, seed=3)
    done = dbt(history.path, history.folder, "build", "--select", "recording_facts")
    assert done.returncode == 0, done.stdout
    before = stamps(history)
    built(history)
    assert list(history.query("select date from raw.due_days").date.astype(str)) == [str(day(3))]
    assert ("speaker_talk_time", str(day(3))) in written(history, before, PER_RECORDING)
    assert ("recording_facts", str(day(3))) not in written(history, before, PER_RECORDING)


def test_a_day_that_is_gone_leaves_the_marts(history):
    for table in history.path.glob(f"tables/*/date={day(1)}"):
        shutil.rmtree(table)
    built(history)
    for mart, found in rows(history).items():
        if mart != "freshness_daily":
            assert str(day(1)) not in set(found.date.astype(str)), mart
    states = history.mart("freshness_daily").set_index("date")["state"]
    assert states[day(1)] == states[day(4)] == "not_exported"


def test_a_full_refresh_gives_what_the_history_gave(history, tmp_path):
    kept, before = rows(history), stamps(history)
    built(history, arguments=("build", "--full-refresh"))
    for mart, found in rows(history).items():
        assert len(found) or mart == "failure_ageing", "there may be no failures"
        assert found.equals(kept[mart]), mart
    assert stamps(history) == before

    anew = built(history.copy(tmp_path))
    for mine, its in zip(history.parts(*MARTS), anew.parts(*MARTS), strict=True):
        assert mine.relative_to(history.path) == its.relative_to(anew.path)
        assert mine.read_bytes() == its.read_bytes(), mine
