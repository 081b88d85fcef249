"""Works on many items in threads and hands the results back in the items' order, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW_ITEMS = 2_000
"""Items begun or done but not yet handed back: how far the others may run ahead of a slow one."""


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, abandon: Callable[[], None] | None = None
) -> Iterator[Result]:
    """Results in the order of items; the first error cancels what is not begun, calls `abandon` and is raised."""
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="recording") as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
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
