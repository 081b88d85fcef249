"""What C libraries free goes back to the system: else a run keeps the most that each of its threads ever held."""

from __future__ import annotations

import ctypes
import sys

_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's malloc.h."""


def share_one_heap() -> None:
    """Let threads that begin from now on take memory from one heap, not from one each: glibc makes 8 per core.

    Nothing where there is no glibc. What threads allocate here is short-lived, and mostly under Python's lock.
    """
    _glibc("mallopt", _ARENA_MAX, 1)


def give_back() -> None:
    """Return what is free to the system; it takes milliseconds. Nothing where there is no glibc."""
    _glibc("malloc_trim", 0)


def _glibc(name: str, *arguments: int) -> None:
    if sys.platform == "linux" and (function := getattr(ctypes.CDLL(None), name, None)) is not None:
        function(*arguments)
