"""Runs one contender in processes of its own, takes its figures, and proves what it stored."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isal import igzip

from benchmarks.throughput.contenders import CONTENDERS, Job
from benchmarks.throughput.corpus import Item, read_manifest

PIECE_BYTES = 1 << 20
BYTES_PER_MB = 10**6
SETTLING_SECONDS = 0.5
CALM_SECONDS = 30e-6
"""What making a file takes at most where nothing was deleted lately: 16 us here, and up to 400 after a benchmark."""
PROBES = 200
LONGEST_WAIT_SECONDS = 400.0
LOOK_AGAIN_SECONDS = 20.0
_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run took: source bytes, wall and CPU seconds, MB of 10^6 of memory where the contender tells it."""

    size: int
    files: int
    seconds: float
    cpu: float
    memory_mb: float | None

    @property
    def rate(self) -> float:
        """MB of source a second."""
        return self.size / BYTES_PER_MB / self.seconds


def adopt_orphans() -> None:
    """Processes whose parents end become this one's children: bash does not wait for what `tee >(...)` starts."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_calm(home: Path) -> None:
    """Return when files are made as fast there as on a disk where nothing was deleted for five minutes."""
    limit = time.monotonic() + LONGEST_WAIT_SECONDS
    while (took := _making(home / f"probe-{time.monotonic_ns()}")) > CALM_SECONDS and time.monotonic() < limit:
        print(f"Making a file takes {took * 1e6:.0f} us after deletions on this disk; waiting ...", file=sys.stderr)
        time.sleep(LOOK_AGAIN_SECONDS)


def _making(folder: Path) -> float:
    folder.mkdir()
    began = time.perf_counter()
    for number in range(PROBES):
        (folder / str(number)).touch()
    return (time.perf_counter() - began) / PROBES


def run(name: str, job: Job) -> Figures:
    """Do the job; raises RuntimeError when the contender fails or stored anything but the source's bytes."""
    items = read_manifest(job.manifest, job.count)
    job.out.mkdir()
    _settled()
    links = [f"{item.stored_as.removesuffix('.gz')} {job.base_url}/{item.path}\n" for item in items]
    job.links.write_text("".join(links), encoding="ascii")
    try:
        told, seconds, cpu = _measured(CONTENDERS[name].command(job))
        _verify(name, items, job.out)
    finally:
        _emptied(job.out)
    size = sum(item.size for item in items)
    return Figures(size, len(items), told.get("seconds", seconds), told.get("cpu", cpu), told.get("memory_mb"))


def _measured(command: list[str]) -> tuple[dict[str, float], float, float]:
    """What the process printed as JSON, wall seconds, and CPU seconds of all processes of its session."""
    began, before = time.monotonic(), _cpu()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        code = process.wait()
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-process.pid, 0)  # orphans of its group
    seconds, cpu = time.monotonic() - began, _cpu() - before
    if code:
        raise RuntimeError(f"{' '.join(command)[:200]} ended with code {code}.")
    lines = output.decode().splitlines()
    return (json.loads(lines[-1]) if lines else {}), seconds, cpu


def _settled() -> None:
    """Let the disk finish what others left to it: whoever syncs would wait for what the one before did not sync."""
    os.sync()
    time.sleep(SETTLING_SECONDS)


def _emptied(folder: Path) -> None:
    """Give the space back but keep the names until the end: ext4 without a journal passes over inodes deleted within
    five minutes one by one, which took a third of the next contenders' CPU."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.truncate(path, 0)
    folder.rename(folder.with_name(f"done-{time.monotonic_ns()}"))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _verify(name: str, items: list[Item], out: Path) -> None:
    def wrong(item: Item) -> bool:
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with igzip.open(out / item.stored_as) as file:  # type: ignore[no-untyped-call]
                while piece := file.read(PIECE_BYTES):
                    digest.update(piece)
        except (OSError, EOFError):
            return True
        return digest.hexdigest() != item.md5

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bad = [item.path for item, failed in zip(items, pool.map(wrong, items), strict=True) if failed]
    if bad:
        raise RuntimeError(f"{name}: {len(bad)} of {len(items)} objects are not the source's bytes, {bad[0]} first.")
