"""Works on many items in threads and hands the results back in the items' order, in bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW_ITEMS = 2_000
"""Results not yet handed back: how far the others may run ahead of a slow one."""
LOOK_SECONDS = 0.02
"""How often results are collected. Being woken for each took more CPU than a short recording's request."""


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, abandon: Callable[[], None] | None = None
) -> Iterator[Result]:
    """Results in the order of items, which the threads draw; after the first error nothing more is begun, and it is
    raised in its turn, after `abandon` was called.
    """
    team = _Team(work, items)
    team.start(threads)
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
    def __init__(self, work: Callable[[Item], Result], items: Iterable[Item]) -> None:
        self._work = work
        self._items = iter(items)
        self._places: deque[_Place[Result]] = deque()
        self._room = threading.Semaphore(WINDOW_ITEMS)
        self._drawing = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self._working = 0
        self._over = threading.Event()

    def start(self, threads: int) -> None:
        self._working = threads
        for number in range(threads):
            self._threads.append(threading.Thread(target=self._run, name=f"recording-{number}", daemon=True))
            self._threads[-1].start()

    def stop(self) -> None:
        self._stopping = True
        self._room.release(len(self._threads))
        for thread in self._threads:
            thread.join()

    def results(self) -> Iterator[Result]:
        over = False
        while not over:
            over = self._over.wait(LOOK_SECONDS)
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
