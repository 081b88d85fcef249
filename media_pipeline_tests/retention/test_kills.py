"""kill -9 of runs over the ledger, a few of those that `make retention-kills` takes; and runs in S3, side by side."""

import datetime as dt
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from media_pipeline.messaging.retention import Ledger, Policy, Subject
from media_pipeline.messaging.retention_days import Days
from media_pipeline.storage.lease import LeaseLost
from media_pipeline_tests.retention.conftest import IN_BOTH
from media_pipeline_tests.retention.kills import kill_runs

KILLS = 5


def test_killed_runs_forget_nothing_delete_nothing_twice_and_break_no_hold(tmp_path):
    scene = kill_runs(tmp_path, KILLS, seed=11, count=60)
    assert scene.held
    assert scene.deleted_at()


def test_killed_runs_in_a_bucket_lose_nothing_either(tmp_path, s3, s3_root):
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    scene = kill_runs(tmp_path, 3, seed=5, count=30, root=s3_root, **aws)
    assert scene.deleted_at()


@IN_BOTH
def test_many_schedule_at_once_and_each_entry_is_taken_in_once(store):
    now, policy = dt.datetime(2026, 3, 1, tzinfo=dt.UTC), Policy(name="p", why="w")

    def schedule(number):
        Ledger(store).schedule(Subject(kind="attachment", id=f"a-{number % 60}", conversation_id="c"), policy, now=now)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(schedule, range(120)))
    days = Days(store)
    assert days.take_in() == 120
    days.save_index()
    assert sorted(row["subject_id"] for row in days.open_rows(now.date())) == sorted(f"a-{n}" for n in range(60))
    assert Days(store).index.days[now.date()].states == {"scheduled": 60}


@IN_BOTH
def test_a_kill_between_table_and_index_takes_the_same_entries_in_again(store, monkeypatch):
    now, policy = dt.datetime(2026, 3, 1, tzinfo=dt.UTC), Policy(name="p", why="w")
    Ledger(store).schedule(Subject(kind="attachment", id="a", conversation_id="c"), policy, now=now)

    def killed(*_):
        raise KeyboardInterrupt

    for method in ("save_index", "update"):
        with monkeypatch.context() as patch:
            patch.setattr(Days, method, killed)
            with suppress(KeyboardInterrupt):
                Days(store).take_in()
        assert store.sizes("retention/new/"), "it is not forgotten"
    days = Days(store)
    days.take_in()
    assert [row["subject_id"] for row in days.open_rows(now.date())] == ["a"]
    assert store.sizes("retention/new/") == {}


@IN_BOTH
def test_a_run_that_lost_its_lease_cannot_undo_what_another_wrote(store):
    now, policy = dt.datetime(2026, 3, 1, tzinfo=dt.UTC), Policy(name="p", why="w")
    Ledger(store).schedule(Subject(kind="attachment", id="a", conversation_id="c"), policy, now=now)
    first = Days(store)
    first.take_in()
    (row,) = first.open_rows(now.date())
    second = Days(store)
    second.update(now.date(), [row | {"state": "marked"}])
    with pytest.raises(LeaseLost):
        first.update(now.date(), [row | {"state": "failed"}])
    assert [row["state"] for row in Days(store).open_rows(now.date())] == ["marked"]
