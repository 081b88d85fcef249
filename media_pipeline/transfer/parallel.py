"""Works on many items in threads and hands the results back in the items' order, in bounded memory.

A few threads begin, and more join while the process leaves its cores idle: on two cores that hash and compress, eight
threads get less done than four, and thirty-two that wait for a distant server eight times as much.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW_ITEMS = 2_000
"""Results not yet handed back: how far the others may run ahead of a slow one."""
FIRST_THREADS = 4
IDLE_SHARE = 0.5
"""Of the cores' time: below it more threads join."""
JOIN_SECONDS = 0.06
LOOK_SECONDS = 0.02
"""How often results are collected. Being woken for each took more CPU than a short recording's request."""

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, abandon: Callable[[], None] | None = None
) -> Iterator[Result]:
    """Results in the order of items, which at most so many threads draw; after the first error nothing more is begun,
    and it is raised in its turn, after `abandon` was called.
    """
    team = _Team(work, items, threads)
    try:
        yield from team.results()
    except BaseException:
        if abandon is not None:
            abandon()
        raise
    finally:
        team.stop()


class _Place(Generic[Result]):
    """Of one item, in their order."""

    __slots__ = ("done", "error", "result")

    def __init__(self) -> None:
        self.done = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class _Team(Generic[Item, Result]):
    def __init__(self, work: Callable[[Item], Result], items: Iterable[Item], most: int) -> None:
        self._work = work
        self._most = most
        self._items = iter(items)
        self._places: deque[_Place[Result]] = deque()
        self._room = threading.Semaphore(WINDOW_ITEMS)
        self._drawing = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self._working = 0
        self._over = threading.Event()

    def _join(self, threads: int) -> None:
        with self._drawing:
            self._working += threads
        for _ in range(threads):
            thread = threading.Thread(target=self._run, name=f"recording-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._room.release(len(self._threads))
        for thread in self._threads:
            thread.join()

    def results(self) -> Iterator[Result]:
        self._join(min(FIRST_THREADS, self._most))
        over, looked, used = False, time.monotonic(), time.process_time()
        while not over:
            over = self._over.wait(LOOK_SECONDS)
            now = time.monotonic()
            if now - looked >= JOIN_SECONDS and not self._stopping:
                before, used = used, time.process_time()
                if used - before < (now - looked) * _CORES * IDLE_SHARE:
                    self._join(min(len(self._threads), self._most - len(self._threads)))
                looked = now
            while self._places and self._places[0].done:
                place = self._places.popleft()
                self._room.release()
                if place.error is not None:
                    raise place.error
                yield place.result  # type: ignore[misc]  # it is done

    def _run(self) -> None:
        while (drawn := self._drawn()) is not None:
            item, place = drawn
            try:
                place.result = self._work(item)
            except BaseException as error:
                place.error = error
                self._stopping = True
            place.done = True
        with self._drawing:
            self._working -= 1
            if not self._working:
                self._over.set()

    def _drawn(self) -> tuple[Item, _Place[Result]] | None:
        self._room.acquire()
        with self._drawing:
            if self._stopping:
                return None
            place: _Place[Result] = _Place()
            try:
                item = next(self._items)
            except StopIteration:
                self._stopping = True
                return None
            except BaseException as error:
                place.error, place.done, self._stopping = error, True, True
                self._places.append(place)
                return None
            self._places.append(place)
            return item, place
