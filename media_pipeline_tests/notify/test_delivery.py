"""Delivery over real HTTP: retries, Retry-After, dead letters, several receivers, one deliverer at a time."""

import datetime as dt
import fcntl
import logging
import resource
import signal
import socket
import threading
import time

import pytest

from media_pipeline.notify.completed_days import begin_check, broken_off_checks
from media_pipeline.notify.delivery import FAILURES_IN_A_ROW, Deliverer, Outcome, Rules
from media_pipeline.notify.events import METADATA_PARSED, Message
from media_pipeline.notify.queue import DEAD, DELIVERED, DROPPED, PENDING, Queue
from media_pipeline.notify.webhooks import Answer, Webhook
from media_pipeline.storage.base import SMALL_BYTES, StorageError
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.opening import open_store
from media_pipeline_tests.notify.test_announcer import DAY, announced
from media_pipeline_tests.receiver import SECRET_PATH, Reply, receiving

DAY_SECONDS = 24 * 3600


class Deployment:
    """An archive with a queue whose clock can be moved."""

    def __init__(self, folder, *urls):
        self.store, self.now = LocalStore(folder / "root"), time.time()
        self.queue = Queue(folder / "spool", self.store.url, clock=lambda: self.now)
        self.receivers = [Webhook(url) for url in urls]

    def announce(self, *subjects):
        return [event.id for event in announced(self.store, dict.fromkeys(subjects, 1))]

    def deliver(self, seconds=20.0, **rules) -> Outcome:
        return Deliverer(self.store, self.queue, self.receivers, Rules(**rules)).deliver(seconds)

    def states(self):
        return {each.message_id: each.state for each in self.queue.all(PENDING, DELIVERED, DEAD, DROPPED)}


@pytest.fixture
def deployment(tmp_path, receiver):
    deployment = Deployment(tmp_path, receiver.url)
    yield deployment
    deployment.queue.close()


def test_each_message_arrives_once_and_the_outbox_is_empty(deployment, receiver):
    ids = deployment.announce("a", "b", "c")
    assert deployment.deliver().delivered == 3
    assert sorted(post.id for post in receiver.posts) == sorted(ids)
    assert list(deployment.store.sizes("outbox/")) == []
    assert deployment.deliver().delivered == 0
    assert len(receiver.posts) == 3


def test_a_damaged_queue_is_to_be_moved_away(tmp_path):
    with Queue(tmp_path, "root") as queue:
        path = queue.path
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match=r"is damaged \(file is not a database\): move it away") as told:
        Queue(tmp_path, "root")
    assert str(path) in str(told.value)
    assert "free space" not in str(told.value)
    path.unlink()
    Queue(tmp_path, "root").close()


def test_a_batch_that_comes_twice_is_delivered_once(deployment, receiver):
    deployment.announce("a")
    (key,) = deployment.store.sizes("outbox/")
    data = deployment.store.get_small(key).data
    deployment.deliver()
    deployment.store.put(key, data)  # as when a kill came between the queue and the removal
    deployment.deliver()
    assert len(receiver.posts) == 1


def test_waits_grow_and_after_the_last_try_it_is_dead(deployment, receiver):
    receiver.status = 500
    (message_id,) = deployment.announce("a")
    waits = []
    for _ in range(14):
        deployment.deliver()
        (delivery,) = deployment.queue.all(PENDING, DEAD)
        waits.append(delivery.due - deployment.now)
        assert deployment.deliver().failed == 0, "not before its time"
        deployment.now = max(deployment.now, delivery.due)
    assert len(receiver.posts) == 14
    assert deployment.states() == {message_id: DEAD}
    for number, wait in enumerate(waits[:-1]):
        base = min(15 * 4**number, 8 * 3600)
        assert base * 0.75 <= wait <= base * 1.25
    assert sum(waits[:-1]) > 2 * DAY_SECONDS
    assert "answered 500" in next(deployment.queue.all(DEAD)).problem


def test_waits_of_many_messages_are_spread(deployment):
    pending = [Rules().wait_seconds(delivery, Answer("x")) for delivery in some(deployment, 50)]
    assert len(set(pending)) == 50


def some(deployment, count):
    deployment.announce(*map(str, range(count)))
    Deliverer(deployment.store, deployment.queue, deployment.receivers).take_in(time.monotonic() + 5, Outcome())
    return list(deployment.queue.all(PENDING))


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_for_the_whole_receiver(deployment, receiver, status):
    receiver.answer = lambda message_id: Reply(status, {"Retry-After": "600"})
    deployment.announce("a")
    deployment.deliver()
    (delivery,) = deployment.queue.all(PENDING)
    assert delivery.due - deployment.now == pytest.approx(600, abs=1)
    deployment.announce("b")
    asked = len(receiver.posts)
    deployment.deliver()
    assert len(receiver.posts) == asked, "another message waits as well"
    receiver.answer = None
    deployment.now += 601
    assert deployment.deliver().delivered == 2


def test_gone_ends_it_at_once_and_a_redirect_is_not_followed(deployment, receiver):
    receiver.status = 410
    (gone,) = deployment.announce("a")
    assert deployment.deliver().dead == 1
    assert deployment.states() == {gone: DEAD}
    receiver.answer = lambda message_id: Reply(302, {"Location": receiver.url})
    deployment.announce("b")
    assert deployment.deliver().failed == 1
    assert len(receiver.posts) == 2


def test_a_receiver_that_is_down_costs_a_few_tries_and_keeps_nothing_from_the_other(tmp_path):
    with receiving() as good, receiving() as bad:
        bad.status = 500
        deployment = Deployment(tmp_path, bad.url, good.url)
        ids = deployment.announce(*map(str, range(40)))
        outcome = deployment.deliver()
        deployment.queue.close()
    assert sorted(post.id for post in good.posts) == sorted(ids)
    assert FAILURES_IN_A_ROW <= len(bad.posts) <= FAILURES_IN_A_ROW + 8
    assert outcome.problems == {"the webhook at 127.0.0.1 answered 500": len(bad.posts)}


def test_a_slow_receiver_holds_up_no_other(tmp_path):
    with receiving() as good, receiving() as slow:
        slow.answer = lambda message_id: Reply(hang_seconds=0.7)
        deployment = Deployment(tmp_path, slow.url, good.url)
        ids = deployment.announce(*map(str, range(60)))
        outcome = deployment.deliver(seconds=2)
        deployment.queue.close()
    assert sorted(post.id for post in good.posts) == sorted(ids)
    assert outcome.left
    assert len(slow.posts) >= 8, "it has its share all the same"


def test_one_message_that_is_never_taken_holds_up_no_other(deployment, receiver):
    poison = deployment.announce("poison")[0]
    receiver.answer = lambda message_id: Reply(400 if message_id == poison else 204)
    others = deployment.announce(*map(str, range(30)))
    deployment.deliver()
    assert sorted(post.id for post in receiver.taken) == sorted(others)
    assert deployment.states()[poison] == PENDING


def test_a_receiver_that_hangs_ends_in_time(deployment, receiver):
    receiver.answer = lambda message_id: Reply(hang_seconds=30)
    deployment.announce(*map(str, range(20)))
    began = time.monotonic()
    outcome = deployment.deliver(seconds=3, answer_seconds=0.5)
    assert time.monotonic() - began < 8, "far below its 30 s a message, let alone 20 of them"
    assert outcome.failed >= FAILURES_IN_A_ROW
    assert next(iter(outcome.problems)) == "the webhook at 127.0.0.1 cannot be reached (TimeoutError)"


def test_what_is_never_tried_is_given_up_by_age_and_says_so(deployment, tmp_path):
    deployment.announce("a")
    deployment.receivers = [Webhook("http://127.0.0.1:9/one")]
    deployment.deliver()
    deployment.receivers = [Webhook("http://127.0.0.1:9/another")]
    deployment.now += 4 * DAY_SECONDS + 60
    assert deployment.deliver().dead == 1
    (dead,) = deployment.queue.all(DEAD)
    assert "cannot be reached" in dead.problem


def test_dead_ones_can_be_retried_and_dropped(deployment, receiver):
    receiver.status = 410
    one, other = deployment.announce("a", "b")
    deployment.deliver()
    receiver.status = 204
    assert deployment.queue.retry([one, "no such"]) == 1
    assert deployment.deliver().delivered == 1
    assert deployment.queue.drop(None) == 1
    assert deployment.states() == {one: DELIVERED, other: DROPPED}
    assert deployment.queue.retry(None) == 0


def test_a_retry_by_hand_does_not_wait_for_a_receivers_pause(deployment, receiver):
    receiver.answer = lambda message_id: Reply(503, {"Retry-After": "7200"})
    (message_id,) = deployment.announce("a")
    deployment.deliver()
    receiver.answer = None
    assert deployment.deliver().delivered == 0
    assert deployment.queue.retry([message_id]) == 1
    assert deployment.deliver().delivered == 1


def test_only_one_process_delivers_at_a_time(deployment, receiver):
    deployment.announce("a")
    with deployment.queue.path.with_suffix(".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert deployment.deliver().busy
    assert receiver.posts == []
    assert deployment.deliver().delivered == 1


def test_a_batch_that_is_none_is_named_and_left_and_the_rest_delivered(deployment, receiver):
    deployment.store.put("outbox/0.jsonl", b"{torn")
    deployment.announce("a")
    outcome = deployment.deliver()
    assert outcome.delivered == 1
    assert "outbox/0.jsonl is not a batch of events and was left where it is" in outcome.problems
    assert list(deployment.store.sizes("outbox/")) == ["outbox/0.jsonl"]


def test_a_round_that_ends_before_its_work_says_so(deployment, receiver):
    deployment.announce("a")
    assert deployment.deliver(seconds=-1.0).left, "the batch was not even taken in"
    Deliverer(deployment.store, deployment.queue, deployment.receivers).take_in(time.monotonic() + 5, Outcome())
    assert deployment.deliver(seconds=-1.0).left
    assert receiver.posts == []
    assert not deployment.deliver().left


def test_the_address_of_a_receiver_is_in_no_log_line(deployment, receiver, caplog):
    caplog.set_level(logging.INFO)
    deployment.announce("a")
    assert deployment.deliver().delivered == 1
    assert "HTTP Request: POST http://127.0.0.1:" in caplog.text
    assert SECRET_PATH not in caplog.text


def test_a_name_server_that_hangs_holds_up_no_round(deployment, monkeypatch):
    answers, asked, over = threading.Event(), threading.Event(), threading.Event()

    def hangs(*_: object, **__: object) -> list[object]:
        asked.set()
        answers.wait(30)
        over.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    deployment.receivers = [Webhook("http://hooks.example/1")]
    deployment.announce("a")
    assert deployment.deliver(answer_seconds=0.2).failed == 1
    assert asked.is_set()
    assert not over.is_set(), "it was not waited for"
    answers.set()


def test_a_queue_that_cannot_be_written_says_where_and_what_to_do(deployment):
    deployment.announce("a")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limit[1]))
    try:
        with pytest.raises(StorageError, match="queue of callbacks cannot be kept in"):
            deployment.deliver()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert len(deployment.store.sizes("outbox/")) == 1
    assert deployment.deliver().delivered == 1


def test_what_is_over_is_forgotten_after_a_month_and_dead_letters_after_three(deployment, receiver):
    deployment.announce("a")
    deployment.deliver()
    receiver.status = 410
    deployment.announce("b")
    deployment.deliver()
    deployment.now += 31 * DAY_SECONDS
    deployment.deliver()
    assert list(deployment.states().values()) == [DEAD]
    deployment.now += 60 * DAY_SECONDS
    deployment.deliver()
    assert deployment.states() == {}


def test_a_new_receiver_gets_what_is_announced_from_then_on(tmp_path):
    with receiving() as first, receiving() as second:
        deployment = Deployment(tmp_path, first.url)
        deployment.announce("a")
        deployment.deliver()
        deployment.receivers.append(Webhook(second.url))
        (later,) = deployment.announce("b")
        deployment.deliver()
        deployment.queue.close()
    assert [post.id for post in second.posts] == [later]
    assert len(first.posts) == 2


def test_the_queue_is_the_owners_alone(deployment):
    assert deployment.queue.path.parent.stat().st_mode & 0o077 == 0
    message = Message("m", "day_completed", str(dt.date(2026, 1, 1)), b"{}")
    assert deployment.queue.take([message, message], deployment.receivers) == 1


def test_the_outbox_may_be_in_a_bucket(s3_root, tmp_path, receiver):
    deployment = Deployment(tmp_path, receiver.url)
    deployment.store = open_store(s3_root, tmp_path / "spool", 4)
    (message_id,) = deployment.announce("a")
    assert deployment.announce("a") == []
    begin_check(deployment.store, DAY, "run")
    assert list(broken_off_checks(deployment.store, time.time() - 60)) == []
    assert list(broken_off_checks(deployment.store, time.time() + 60)) == [(DAY, "run")]
    assert deployment.deliver().delivered == 1
    assert [post.id for post in receiver.posts] == [message_id]
    long_ids = {f"{number}{'é' * 150}": 1 for number in range(1_000)}
    announced(deployment.store, long_ids, METADATA_PARSED)
    assert sum(deployment.store.sizes("outbox/").values()) > SMALL_BYTES
    assert deployment.deliver().delivered == 10
    assert list(deployment.store.sizes("outbox/")) == []
    deployment.queue.close()
