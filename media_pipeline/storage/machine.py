"""Where this process runs, for those who find what it left: machines and containers may share a host name."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def machine_id() -> str:
    """The machine's own id; empty where the system keeps none."""
    with suppress(OSError):
        return Path("/etc/machine-id").read_text().strip()
    return ""


def process_space() -> str:
    """Which processes this one sees: containers have namespaces of their own; the first is alike on all machines."""
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""
