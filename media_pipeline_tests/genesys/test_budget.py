"""The rate budget of a machine: what it lets through, what it learns, and what it survives."""

import multiprocessing
import os
import random
import stat
import subprocess
import sys
import threading
import time
from itertools import chain, pairwise
from statistics import median

import pytest

from media_pipeline.genesys import budget as budget_module
from media_pipeline.genesys.budget import Budget, Lesson, Place, budget_file, now
from media_pipeline.genesys.endpoints import Endpoints
from media_pipeline.genesys.pacing import CallStats, Pacer, Patience
from media_pipeline.genesys.transport import Transport
from media_pipeline_tests.genesys.rate_contest import Limit, Server, compete

SPACED = 1 + budget_module.MARGIN


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.budget"


def ahead(place: Place) -> float:
    return place.at - now()


def taken(budget: Budget, count: int) -> list[float]:
    return [budget.place().at for _ in range(count)]


def test_a_minutes_worth_at_once_then_evenly_and_never_more_in_any_minute(file):
    began = now()
    times = taken(Budget(file, 50), 200)
    assert times[49] < began + 1
    assert times[50] - times[0] == pytest.approx(60 * SPACED)
    assert all(b - a == pytest.approx(60 * SPACED / 50) for a, b in pairwise(times[50:]))
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[50:], strict=False))


def test_a_place_waits_its_turn_behind_those_of_other_processes_and_forks(file):
    first = taken(Budget(file, 10), 10)[0]
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        places = pool.starmap(taken, [(Budget(file, 10), 5)] * 4)
    times = sorted(chain.from_iterable(places))
    assert len(set(times)) == 20
    assert Budget(file, 10).place().at - first == pytest.approx(60 * SPACED * 3)


def test_threads_share_it_and_wait(file):
    pacer = Pacer(50, file)
    passed = []

    def ask():
        for _ in range(10):
            pacer.acquire()
            passed.append(time.monotonic())

    for _ in range(8):
        threading.Thread(target=ask, daemon=True).start()
    time.sleep(1)
    assert len(passed) == 50, "80 asked, 50 a minute are allowed"


def test_who_waits_is_served_in_the_order_of_asking(file):
    pacer, served = Pacer(20, file, period_seconds=1), []
    for _ in range(20):
        pacer.acquire()

    def ask(name):
        pacer.acquire()
        served.append(name)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert served == list(range(10))


def test_a_429_pauses_all_and_the_queue_goes_on_evenly_afterwards(file):
    mine, theirs = Budget(file, 300), Budget(file, 300)
    held = theirs.place()
    mine.learn(now(), Lesson(pause_seconds=30))
    assert ahead(theirs.place(held)) == pytest.approx(30, abs=0.5), "a place from before the pause is void"
    assert ahead(mine.place()) == pytest.approx(30 + 60 * SPACED / 300, abs=0.5)
    mine.learn(now(), Lesson(pause_seconds=5))
    assert ahead(mine.place()) > 29, "the longer pause counts"


def test_no_pause_is_longer_than_two_minutes(file):
    budget = Budget(file, 300)
    budget.learn(now(), Lesson(pause_seconds=86_400))
    assert ahead(budget.place()) == pytest.approx(120, abs=0.5)


def test_a_lower_limit_of_the_server_slows_all_down_until_it_is_not_heard_any_more(file):
    mine, theirs = Budget(file, 20, period_seconds=0.4), Budget(file, 20, period_seconds=0.4)
    mine.learn(now(), Lesson(allowed=5))
    mine.learn(now(), Lesson(allowed=20))
    assert [ahead(place) > 0 for place in (theirs.place() for _ in range(6))] == [False] * 5 + [True]
    time.sleep(0.9)
    mine.learn(now(), Lesson(allowed=20))
    assert ahead([theirs.place() for _ in range(20)][-1]) <= 0


def test_the_server_does_not_raise_what_is_configured(file):
    budget = Budget(file, 5)
    budget.learn(now(), Lesson(allowed=300, counted=1, reset_seconds=60))
    assert ahead([budget.place() for _ in range(6)][-1]) > 55


def test_calls_of_others_use_the_window_up(file):
    budget = Budget(file, 300)
    called = budget.place().at
    budget.learn(called, Lesson(allowed=300, counted=200, reset_seconds=20))
    assert ahead(budget.place()) <= 0
    budget.learn(called, Lesson(allowed=300, counted=299, reset_seconds=20))  # one more is under way
    assert ahead(budget.place()) == pytest.approx(20, abs=0.5)


def test_our_own_calls_do_not_look_like_those_of_others(file):
    budget = Budget(file, 300)
    times = taken(budget, 295)
    budget.learn(times[285], Lesson(allowed=300, counted=290, reset_seconds=20))
    assert ahead(budget.place()) <= 0


def test_another_limit_for_the_same_client_keeps_the_calls_that_were_made(file):
    taken(Budget(file, 300), 300)
    larger = Budget(file, 5000)
    assert ahead([larger.place() for _ in range(4700)][-1]) <= 0
    assert ahead(larger.place()) > 55
    assert ahead(Budget(file, 300).place()) > 55


def test_a_damaged_file_begins_anew(file):
    for content in (b"", b"\0" * 40, os.urandom(4096), b"mpbudg01" + b"\xff" * 100):
        file.write_bytes(content)
        assert ahead(Budget(file, 1).place()) <= 0
        assert ahead(Budget(file, 1).place()) > 55


def test_kills_at_any_instant_neither_block_nor_damage_it(file):
    code = (
        "import sys; from pathlib import Path; from media_pipeline.genesys.budget import *\n"
        "budget = Budget(Path(sys.argv[1]), 10**6); print(flush=True)\n"
        "while True: budget.learn(budget.place().at, Lesson(allowed=10**6))"
    )
    budget, booked = Budget(file, 10**6), 0
    for _ in range(5):
        processes = [
            subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE) for _ in range(2)
        ]
        for process in processes:
            assert process.stdout.readline()
        time.sleep(random.uniform(0.05, 0.1))
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
        began = time.monotonic()
        assert ahead(budget.place()) <= 0
        assert time.monotonic() - began < 1
        with budget._ring() as ring:
            assert ring.state.booked > booked, "what was booked before is still there"
            booked = ring.state.booked


def test_a_killed_process_leaves_one_place_unused_however_many_threads_wait(file):
    code = (
        "import sys, threading; from pathlib import Path; from media_pipeline.genesys.pacing import Pacer\n"
        "pacer = Pacer(6, Path(sys.argv[1]))\n"
        "for _ in range(20): threading.Thread(target=pacer.acquire).start()\n"
        "print(flush=True)"
    )
    taken(Budget(file, 6), 6)
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        time.sleep(0.2)
        process.kill()
    assert ahead(Budget(file, 6).place()) == pytest.approx(60 * SPACED + 10 * SPACED, abs=2)


def test_a_holder_that_was_stopped_does_not_stop_the_others_for_ever(file, monkeypatch):
    monkeypatch.setattr(budget_module, "LOCK_SECONDS", 0.1)
    pacer = Pacer(10, file)
    with Budget(file, 10)._ring():
        began = time.monotonic()
        pacer.acquire()
        pacer.learned(429, {"Retry-After": "5"})
        assert time.monotonic() - began < 1


def test_the_file_names_neither_client_nor_host_and_is_the_users_own(tmp_path):
    folder = tmp_path / "spool" / "rate"
    one = budget_file(folder, "the-client", "https://api.mypurecloud.de")
    Budget(one, 300).place()
    assert {budget_file(folder, "the-client", "https://api.mypurecloud.de")} == {one}
    assert budget_file(folder, "the-client", "https://api.mypurecloud.com") != one
    assert budget_file(folder, "other-client", "https://api.mypurecloud.de") != one
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert "client" not in one.name
    assert "purecloud" not in one.name
    assert b"client" not in one.read_bytes()


def test_another_boot_begins_anew_and_old_files_go(tmp_path, monkeypatch):
    one = budget_file(tmp_path, "c", "https://api.mypurecloud.com")
    Budget(one, 1).place()
    monkeypatch.setattr(budget_module, "BOOT", "another")
    assert budget_file(tmp_path, "c", "https://api.mypurecloud.com") != one
    assert one.exists()
    os.utime(one, (time.time() - 2 * 86_400,) * 2)
    budget_file(tmp_path, "c", "https://api.mypurecloud.com")
    assert not one.exists()


@pytest.mark.parametrize("headers", [{"Retry-After": "7"}, {}, {"inin-ratelimit-reset": "6"}])
def test_headers_of_a_429_become_a_pause(file, headers):
    pacer = Pacer(300, file)
    pacer.acquire()
    message = "" if headers else "Rate limit exceeded the maximum. Retry the request in [7] seconds"
    pacer.learned(429, headers, message)
    assert ahead(Budget(file, 300).place()) == pytest.approx(7, abs=0.5)


def test_headers_that_make_no_sense_teach_nothing(file):
    pacer = Pacer(300, file)
    for value in ("", "-1", "many", "1e9", "0"):
        pacer.acquire()
        pacer.learned(200, {f"inin-ratelimit-{name}": value for name in ("allowed", "count", "reset")})
    assert ahead(Budget(file, 300).place()) <= 0


def test_a_refused_request_is_sent_again_and_the_others_wait_with_it(file):
    limit = Limit(3, 2.0)
    with Server(limit) as server:
        transport = Transport(
            Endpoints.of(region="mypurecloud.com", base_url=server.url),
            client_id="client",
            client_secret="secret",
            credential_style="form",
            pacer=Pacer(300, file, period_seconds=2.0),
            stats=CallStats(),
            patience=Patience(),
            connections=4,
        )
        for _ in range(3):
            limit.judge("/others")
        for _ in range(4):
            assert transport.get_json("contest", "/x", permission="none") == {}
        transport.close()
    statuses = [status for _, status, path in limit.replies if path == "/x"]
    assert statuses == [429, 200, 200, 200, 200]


def test_four_processes_use_the_limit_while_holders_of_the_lock_are_killed(tmp_path):
    figures = compete(tmp_path, Limit(200, 10.0), configured=200, periods=2, disturb=True)
    assert figures.used >= 0.9, figures
    assert figures.refused <= 0.01, figures
    assert len(figures.calls) == 16, "every thread got through"
    # Not the most: what was saved up while the machine stood still is had by who wakes first.
    assert median(figures.calls.values()) <= 2 * min(figures.calls.values()), figures


def test_four_processes_learn_that_less_is_allowed_than_configured(tmp_path):
    figures = compete(tmp_path, Limit(180, 10.0), configured=300, periods=2)
    assert figures.used >= 0.9, figures
    assert figures.refused <= 0.01, figures
