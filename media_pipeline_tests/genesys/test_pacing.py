"""Waiting: Retry-After in its forms, the deadline and the attempt limit."""

import datetime as dt
import time
from email.utils import format_datetime

import pytest

from media_pipeline.genesys.pacing import CallStats, Pacer, Patience, TryAgain, retry_after_seconds


def test_retry_after_is_read_in_its_three_forms():
    assert retry_after_seconds({"Retry-After": "7"}) == 7
    assert retry_after_seconds({"Retry-After": "1.5"}) == 1.5
    in_ten = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=10), usegmt=True)
    assert 8 < retry_after_seconds({"Retry-After": in_ten}) <= 10
    assert retry_after_seconds({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}) == 0
    assert retry_after_seconds({}, "Rate limit exceeded. Retry the request in [42] seconds") == 42
    for nothing in ({}, *({"Retry-After": value} for value in ("soon", "-1", f"Mon, 01 Jan {10**20} 00:00:00 GMT"))):
        assert retry_after_seconds(nothing) is None


def test_five_retries_and_no_more():
    tries = []

    def attempt():
        tries.append(1)
        raise TryAgain(ValueError("the last error"))

    stats = CallStats()
    with pytest.raises(ValueError, match="the last error"):
        Patience(first_wait_seconds=0.001).run(attempt, "media", stats)
    assert len(tries) == 6
    assert stats.retries["media"] == 5


def test_the_waits_are_1_2_4_8_16_with_a_little_jitter(monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)

    def attempt():
        raise TryAgain(ValueError())

    with pytest.raises(ValueError):  # noqa: PT011  the error is the test's own
        Patience().run(attempt, "media", CallStats())
    assert [int(wait) for wait in waits] == [1, 2, 4, 8, 16]
    assert all(wait - int(wait) <= 0.25 for wait in waits)


@pytest.mark.parametrize(("said", "waited"), [(0, [1, 2, 4, 8, 16]), (1, [1, 1, 1, 1, 1]), (5, [5, 5, 5, 5, 5])])
def test_retry_after_goes_before_the_waits_unless_it_says_at_once(monkeypatch, said, waited):
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)

    def attempt():
        raise TryAgain(ValueError(), retry_after_seconds=said)

    with pytest.raises(ValueError):  # noqa: PT011  the error is the test's own
        Patience().run(attempt, "media", CallStats())
    assert [int(wait) for wait in waits] == waited


def test_a_wait_past_the_deadline_is_not_begun():
    started = time.monotonic()

    def attempt():
        raise TryAgain(ValueError("told to wait"), retry_after_seconds=500)

    with pytest.raises(ValueError, match="told to wait"):
        Patience().run(attempt, "media", CallStats())
    assert time.monotonic() - started < 1


def test_waiting_for_the_budget_is_not_part_of_the_deadline():
    tries, queued = [], [0.0]

    def attempt():
        tries.append(1)
        queued[0] += 0.3
        time.sleep(0.3)
        raise TryAgain(ValueError("busy"))

    with pytest.raises(ValueError, match="busy"):
        Patience(first_wait_seconds=0.001, deadline_seconds=0.25).run(attempt, "media", CallStats(), lambda: queued[0])
    assert len(tries) == 6


def test_no_budget_means_no_waiting_and_no_file():
    pacer = Pacer(0)
    started = time.monotonic()
    for _ in range(10_000):
        pacer.acquire()
    pacer.learned(429, {"Retry-After": "60"})
    pacer.acquire()
    assert time.monotonic() - started < 1
