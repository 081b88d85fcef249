"""Results come back in order, in bounded memory, and the first error stops the rest."""

import threading
import time

import pytest

from media_pipeline.transfer.parallel import FIRST_THREADS, WINDOW_ITEMS, ordered_map


def test_results_come_in_the_order_of_the_items_whoever_finishes_first():
    def work(n: int) -> int:
        time.sleep(0.02 if n % 7 == 0 else 0)
        return n

    assert list(ordered_map(work, range(200), threads=8)) == list(range(200))


def test_no_more_items_are_drawn_than_the_window_holds():
    release = threading.Event()
    drawn = 0

    def items():
        nonlocal drawn
        for n in range(WINDOW_ITEMS * 3):
            drawn += 1
            yield n

    def work(n: int) -> int:
        if n == 0:
            release.wait(10)
        return n

    results = ordered_map(work, items(), threads=4)
    first = threading.Thread(target=lambda: next(results))
    first.start()
    time.sleep(0.5)
    assert drawn <= WINDOW_ITEMS
    release.set()
    first.join()


def test_the_first_error_is_raised_and_what_is_not_begun_never_begins():
    begun = []
    abandoned = threading.Event()

    def work(n: int) -> int:
        begun.append(n)
        time.sleep(0.01)
        if n == 3:
            raise RuntimeError("no space")
        return n

    with pytest.raises(RuntimeError, match="no space"):
        list(ordered_map(work, range(1000), threads=2, abandon=abandoned.set))
    assert abandoned.is_set()
    assert len(begun) < 50


def most_at_once(threads: int) -> int:
    lock, at_work, most = threading.Lock(), 0, 0

    def work(_: int) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.05)
        with lock:
            at_work -= 1

    list(ordered_map(work, range(300), threads=threads))
    return most


def test_threads_join_while_the_cores_are_idle():
    assert most_at_once(32) == 32
    assert most_at_once(3) == 3


def test_few_threads_work_while_they_keep_the_cores_busy(monkeypatch):
    monkeypatch.setattr("media_pipeline.transfer.parallel.time.process_time", lambda: time.monotonic() * 1_000)
    assert most_at_once(32) == FIRST_THREADS


def test_an_error_of_the_items_is_raised_in_its_turn():
    def items():
        yield from range(3)
        raise OSError("torn")

    done = []
    with pytest.raises(OSError, match="torn"):
        for result in ordered_map(lambda n: n, items(), threads=2):
            done.append(result)
    assert done == [0, 1, 2]


def test_leaving_early_ends_the_threads():
    before = threading.active_count()
    results = ordered_map(lambda n: n, range(10_000), threads=8)
    assert next(results) == 0
    results.close()
    assert threading.active_count() == before
