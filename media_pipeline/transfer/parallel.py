"""Works on many items in threads and hands the results back in the items' order, in bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW_ITEMS = 2_000
"""Results not yet handed back: how far the others may run ahead of a slow one."""
QUEUED_PER_THREAD = 2
"""Items drawn but not begun: enough that no thread waits, few enough to cost nothing."""


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, abandon: Callable[[], None] | None = None
) -> Iterator[Result]:
    """Results in the order of items; the first error cancels what is not begun, calls `abandon` and is raised."""
    pending: deque[Future[Result]] = deque()
    room = threading.Semaphore(threads * (QUEUED_PER_THREAD + 1))

    def begun(item: Item) -> Result:
        try:
            return work(item)
        finally:
            room.release()

    with ThreadPoolExecutor(threads, thread_name_prefix="recording") as pool:
        try:
            for item in items:
                room.acquire()
                pending.append(pool.submit(begun, item))
                while pending and (pending[0].done() or len(pending) >= WINDOW_ITEMS):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BaseException:
            if abandon is not None:
                abandon()
            raise
        finally:
            for future in pending:
                future.cancel()
