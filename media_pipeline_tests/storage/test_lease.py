"""One run at a time per day: the second waits or refuses, a dead holder blocks nobody, a slow one notices."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from media_pipeline.storage import lease as subject
from media_pipeline.storage.base import StorageError, SwapsUnsupported
from media_pipeline.storage.lease import Holder, Lease, LeaseHeld, LeaseLost
from media_pipeline.storage.local import LocalStore

KEY, DAY = "leases/date=2026-11-20.json", "2026-11-20"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(subject, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(subject, "LOOK_SECONDS", 0.02)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path)


def holder(store):
    return Holder.of(store.get_small(KEY).data)


def test_a_second_run_is_refused_in_a_sentence_that_names_the_first(store):
    first = Lease(store, KEY, DAY, "first")
    first.acquire()
    with pytest.raises(LeaseHeld, match="2026-11-20 is being worked on by the run first"):
        Lease(store, KEY, DAY, "second").acquire(wait_seconds=0.3)
    assert holder(store).run_id == "first"
    first.release()


def test_a_second_run_waits_for_the_end_of_the_first(store):
    first, second = Lease(store, KEY, DAY, "first"), Lease(store, KEY, DAY, "second")
    first.acquire()
    threading.Timer(0.3, first.release).start()
    second.acquire(wait_seconds=10)
    assert holder(store).run_id == "second"
    second.release()
    assert holder(store).run_id == ""


def test_a_step_of_the_same_run_may_hold_it_again(store):
    Lease(store, KEY, DAY, "run").acquire()
    Lease(store, KEY, DAY, "run").acquire(wait_seconds=0)


def test_of_many_that_want_it_one_has_it(store):
    won, lost = [], []

    def want(number):
        lease = Lease(store, KEY, DAY, f"run {number}")
        try:
            lease.acquire(wait_seconds=0.5)
            won.append(number)
        except LeaseHeld:
            lost.append(number)

    threads = [threading.Thread(target=want, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 7


def test_a_holder_of_another_machine_that_stands_still_expires(store):
    theirs = Holder("elsewhere", "another-host", "boot", 1, "1")
    store.put_if(KEY, theirs.encode(), None)
    began = time.monotonic()
    ours = Lease(store, KEY, DAY, "ours")
    ours.acquire(wait_seconds=10, expires_seconds=0.4)
    assert time.monotonic() - began >= 0.4
    assert holder(store).run_id == "ours"
    ours.release()


def test_a_holder_of_another_machine_that_renews_does_not_expire(store):
    theirs = Holder("elsewhere", "another-host", "boot", 1, "1")
    tag = store.put_if(KEY, theirs.encode(), None)
    ended = threading.Event()

    def renew():
        nonlocal tag
        for number in range(1, 100):
            if ended.wait(0.05):
                return
            tag = store.put_if(KEY, theirs.encode(number), tag)

    thread = threading.Thread(target=renew)
    thread.start()
    with pytest.raises(LeaseHeld):
        Lease(store, KEY, DAY, "ours").acquire(wait_seconds=1.0, expires_seconds=0.4)
    ended.set()
    thread.join()


def test_after_a_reboot_the_lease_is_free_at_once(store, monkeypatch):
    monkeypatch.setattr(subject, "_place", lambda: "machine:processes")
    before = Holder("before", Holder.this("x").host, "another boot", os.getpid(), "1", place="machine:others")
    store.put_if(KEY, before.encode(), None)
    lease = Lease(store, KEY, DAY, "after")
    lease.acquire(wait_seconds=0)
    lease.release()


@pytest.mark.parametrize(
    ("boot", "place"),
    [
        ("another boot", "another machine:processes"),  # two machines of one name
        ("another boot", ":processes"),  # a container does not know its machine
        (None, "machine:other processes"),  # two containers of one name: their processes do not see each other
    ],
)
def test_one_host_name_does_not_make_a_living_holder_dead(store, monkeypatch, boot, place):
    monkeypatch.setattr(subject, "_place", lambda: "machine:processes")
    this = Holder.this("theirs")
    store.put_if(KEY, Holder("theirs", this.host, boot or this.boot, 999_999, "1", place=place).encode(), None)
    with pytest.raises(LeaseHeld, match="worked on by the run theirs"):
        Lease(store, KEY, DAY, "ours").acquire(wait_seconds=0)


def test_a_run_that_wakes_looks_before_it_says_that_the_day_is_its_own(store, monkeypatch):
    monkeypatch.setattr(subject, "RENEW_SECONDS", 1_000.0)
    woken = Lease(store, KEY, DAY, "woken")
    woken.acquire()
    store.put_if(KEY, Holder("quick", "elsewhere", "b", 1, "1").encode(), store.get_small(KEY).tag)
    woken.check()  # just renewed
    woken._renewed -= subject.STALE_SECONDS
    with pytest.raises(LeaseLost, match="taken over by the run quick"):
        woken.check()
    woken.release()
    assert holder(store).run_id == "quick"


def unheard(put_if):
    """Writes, and the reply is lost."""

    def without_reply(*arguments):
        put_if(*arguments)
        raise StorageError("no reply")

    return without_reply


def test_a_renewal_whose_reply_was_lost_is_no_loss(store, monkeypatch):
    monkeypatch.setattr(subject, "RENEW_SECONDS", 1_000.0)
    lease = Lease(store, KEY, DAY, "ours")
    lease.acquire()
    honest = store.put_if
    monkeypatch.setattr(store, "put_if", unheard(honest))
    lease._renewed -= subject.STALE_SECONDS
    lease.check()
    monkeypatch.setattr(store, "put_if", honest)
    lease.check()
    assert lease.lost_to is None
    lease.release()
    assert holder(store).run_id == ""


def test_after_a_lost_reply_the_next_renewal_is_a_new_sign_of_life(store, monkeypatch):
    """A waiter may have looked at the write whose reply was lost: it must not find that one again for 90 s."""
    monkeypatch.setattr(subject, "RENEW_SECONDS", 1_000.0)
    lease = Lease(store, KEY, DAY, "ours")
    lease.acquire()
    acquired = store.get_small(KEY).tag
    lease._renewed -= subject.STALE_SECONDS
    renewed = lease._renewed
    with monkeypatch.context() as patched:
        patched.setattr(store, "put_if", unheard(store.put_if))
        lease.check()
    seen = store.get_small(KEY).tag
    assert seen != acquired
    assert lease._renewed == renewed, "nothing tells that it was written"
    lease.check()
    assert store.get_small(KEY).tag != seen
    assert lease._renewed > renewed
    lease.release()


def test_a_renewal_that_only_finds_an_old_write_of_its_own_does_not_count(store, monkeypatch):
    monkeypatch.setattr(subject, "RENEW_SECONDS", 1_000.0)
    lease = Lease(store, KEY, DAY, "ours")
    lease.acquire()
    lease._renewed -= subject.STALE_SECONDS
    renewed = lease._renewed
    with monkeypatch.context() as patched:
        patched.setattr(store, "put_if", lambda *_: None)
        lease.check()
    assert lease._renewed == renewed
    assert lease.is_held
    lease.release()


def test_a_lease_is_held_from_its_claim_until_it_is_lost(store, monkeypatch):
    monkeypatch.setattr(subject, "RENEW_SECONDS", 1_000.0)
    lease = Lease(store, KEY, DAY, "ours")
    assert not lease.is_held
    lease.acquire()
    assert lease.is_held
    store.put_if(KEY, Holder("quick", "elsewhere", "b", 1, "1").encode(), store.get_small(KEY).tag)
    lease._renewed -= subject.STALE_SECONDS
    with pytest.raises(LeaseLost):
        lease.check()
    assert not lease.is_held
    lease.release()


def test_where_the_store_cannot_swap_nothing_is_held_and_nothing_lost(store, monkeypatch):
    def unable(*_):
        raise SwapsUnsupported("no conditional writes here")

    monkeypatch.setattr(store, "put_if", unable)
    lease = Lease(store, KEY, DAY, "ours")
    lease.acquire(wait_seconds=0)
    assert not lease.is_held
    lease.check()
    lease.release()
    assert store.get_small(KEY) is None


def test_a_server_that_refuses_every_claim_is_told_in_bounded_time(store, monkeypatch):
    asked = []
    monkeypatch.setattr(store, "put_if", lambda *_: asked.append(1))
    with pytest.raises(LeaseHeld, match="nobody works on it"):
        Lease(store, KEY, DAY, "ours").acquire(wait_seconds=0.1)
    assert len(asked) < 10


def test_a_used_again_pid_is_not_taken_for_the_holder(store):
    this = Holder.this("old")
    store.put_if(KEY, Holder("old", this.host, this.boot, this.pid, "1", place=this.place).encode(), None)
    lease = Lease(store, KEY, DAY, "new")
    lease.acquire(wait_seconds=0)
    lease.release()


def test_a_run_that_stood_still_notices_that_it_was_taken_over(store):
    slow = Lease(store, KEY, DAY, "slow")
    slow.acquire()
    present = store.get_small(KEY)
    while store.put_if(KEY, Holder("quick", "elsewhere", "b", 1, "1").encode(), present.tag) is None:
        present = store.get_small(KEY)
    deadline = time.monotonic() + 5
    while slow.lost_to is None and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(LeaseLost, match="taken over by the run quick"):
        slow.check()
    slow.release()
    assert holder(store).run_id == "quick", "what is not ours any more is not given back"


_CHILD = """
import sys, time
from pathlib import Path
from media_pipeline.storage.lease import Lease
from media_pipeline.storage.local import LocalStore
Lease(LocalStore(Path(sys.argv[1])), sys.argv[2], "day", "killed").acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_kill_9_frees_it_at_once_on_the_same_machine(store, tmp_path):
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path), KEY], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    with pytest.raises(LeaseHeld):
        Lease(store, KEY, DAY, "ours").acquire(wait_seconds=0.1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    lease = Lease(store, KEY, DAY, "ours")
    lease.acquire(wait_seconds=0)
    lease.release()


def test_an_unreadable_lease_is_nobodys(store):
    store.put(KEY, b"{ torn")
    lease = Lease(store, KEY, DAY, "ours")
    lease.acquire(wait_seconds=0)
    assert json.loads(store.get_small(KEY).data)["run_id"] == "ours"
    lease.release()
