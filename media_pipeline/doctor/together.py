"""Runs checks side by side within a bounded time, whatever hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any


class Overdue(Exception):
    """A check that was not done in time."""


def together(checks: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
    """Results by name; an Exception in place of the result of a check that raised it, Overdue of one still at work.

    Threads are daemons: name resolution and disks that hang have no timeout of their own, and must not hold up the end.
    """
    results: dict[str, Any] = {}
    lock = threading.Lock()

    def run(name: str, check: Callable[[], Any]) -> None:
        try:
            found = check()
        except Exception as error:  # told to whoever asked, who knows what may happen
            found = error
        with lock:
            results.setdefault(name, found)

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in checks.items()]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    with lock:
        return {name: results.setdefault(name, Overdue(f"no answer within {seconds:.0f} s")) for name in checks}
