"""Times a piece of work inside its process, so that the interpreter's start and imports, once per run, do not count."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def measured() -> Iterator[None]:
    """Print wall and CPU seconds of the context, and the MB of 10^6 by which resident memory rose at its highest."""
    base = _forget_peak()
    began, cpu_began = time.monotonic(), time.process_time()
    yield
    figures = {"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu_began}
    if base is not None:
        figures["memory_mb"] = (_status("VmHWM") - base) / 10**6
    print(json.dumps(figures))


def _forget_peak() -> int | None:
    """Resident bytes now, as the base of the peak to come; None where there is no /proc."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _status("VmRSS")
    except OSError:
        return None


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(name)
