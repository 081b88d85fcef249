"""Local leftovers of runs and requests that were killed: what is old, that nobody holds, is removed.

Looked at are partial downloads, films and sweeps in MEDIA_SPOOL, staging below a local MEDIA_ROOT, and in MEDIA_INBOX
what was being received, halves of our own pairs and old receipts. Ledgers, audit logs, leases and whatever else lies
there is no leftover and stays.

In flight is a file that a process has locked or open: locks are asked for by taking them, open files by Linux' /proc,
which shows this user's processes. Both stand beside the age, which alone protects where neither is to be had.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from media_pipeline.messaging.inbox import INCOMING, METADATA_SUFFIX, RECEIPTS
from media_pipeline.messaging.receipts import KEEP_SECONDS
from media_pipeline.storage.lock import removed_unless_locked
from media_pipeline.storage.staging import STAGING, STALE_STAGING_SECONDS
from media_pipeline.transfer.spool import IDENTITY, MAX_AGE_SECONDS, PART

MIN_AGE_SECONDS = 3600.0
"""Whatever a caller asks for: younger files may be between two steps of a run, locked by nobody."""
SPOOL_FOLDERS = {"partial": MAX_AGE_SECONDS, "films": STALE_STAGING_SECONDS}
_SWEEP = re.compile(r"retention-[a-z0-9_]{8}\Z")
"""Temporary folders of the weekly retention sweep."""
_OURS = re.compile(r"[0-9a-f]{32}\.(?:mp3|wav|ogg)\Z")


@dataclass(frozen=True, slots=True)
class Purged:
    """How many files are gone, how many bytes that freed, and how many old files were in flight and stayed."""

    files: int
    bytes: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class _Leftover:
    path: Path
    max_age_seconds: float


def purge(
    spool: Path,
    root: Path | None,
    inbox: Path | None,
    older_than_seconds: float | None = None,
    now: float | None = None,
) -> Purged:
    """Remove leftovers that have not changed for that long, by default a week for what can be continued, else a day.

    `root` is a local MEDIA_ROOT, None where it is a bucket. Raises nothing for files that vanish or cannot be removed.
    """
    now = time.time() if now is None else now
    held = _open_files()
    files = freed = in_flight = 0
    for leftover in _leftovers(spool, root, inbox):
        age = leftover.max_age_seconds
        if older_than_seconds is not None:  # receipts keep what was promised to who has them
            age = max(older_than_seconds, KEEP_SECONDS) if leftover.path.parent.name == RECEIPTS else older_than_seconds
        with contextlib.suppress(OSError):
            facts = leftover.path.lstat()
            if not stat.S_ISREG(facts.st_mode) or now - facts.st_mtime < max(age, MIN_AGE_SECONDS):
                continue
            if (facts.st_dev, facts.st_ino) in held or not removed_unless_locked(leftover.path, facts):
                in_flight += 1
                continue
            files, freed = files + 1, freed + facts.st_size
    _remove_empty_folders(spool, now)
    return Purged(files, freed, in_flight)


def _leftovers(spool: Path, root: Path | None, inbox: Path | None) -> Iterator[_Leftover]:
    places = {spool / name: age for name, age in SPOOL_FOLDERS.items()}
    places |= dict.fromkeys(_sweeps(spool), STALE_STAGING_SECONDS)
    if root is not None:
        places[root / STAGING] = STALE_STAGING_SECONDS
    if inbox is not None:
        places |= {inbox / INCOMING: STALE_STAGING_SECONDS, inbox / RECEIPTS: KEEP_SECONDS}
        with contextlib.suppress(OSError):
            for path in inbox.iterdir():
                if _OURS.match(path.name) and not path.with_suffix(METADATA_SUFFIX).exists():
                    yield _Leftover(path, STALE_STAGING_SECONDS)
    for place, age in places.items():
        if place.is_symlink():  # links below it are not followed either
            continue
        for folder, _, names in os.walk(place):
            for name in sorted(names, key=lambda name: name.endswith(IDENTITY)):  # after the file it belongs to
                path = Path(folder) / name
                if name[0] != "." and not (name.endswith(IDENTITY) and path.with_suffix(PART).exists()):
                    yield _Leftover(path, age)


def _sweeps(spool: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (path for path in spool.iterdir() if _SWEEP.match(path.name))


def _open_files() -> set[tuple[int, int]]:
    """Device and inode of each file that a process of this user has open; empty where there is no /proc."""
    found = set()
    processes = [path for path in Path("/proc").iterdir() if path.name.isdecimal()] if Path("/proc").is_dir() else []
    for process in processes:
        with contextlib.suppress(OSError), os.scandir(process / "fd") as entries:  # ended, or another user's
            for entry in entries:
                with contextlib.suppress(OSError):  # closed meanwhile
                    facts = entry.stat()
                    if stat.S_ISREG(facts.st_mode):
                        found.add((facts.st_dev, facts.st_ino))
    return found


def _remove_empty_folders(spool: Path, now: float) -> None:
    """Not young ones: a run may just have made them."""
    kept = [spool / name for name in SPOOL_FOLDERS]
    for place in (*kept, *_sweeps(spool)):
        for name, _, _ in os.walk(place, topdown=False):
            folder = Path(name)
            with contextlib.suppress(OSError):
                if folder not in kept and now - folder.stat().st_mtime > MIN_AGE_SECONDS:
                    folder.rmdir()  # refuses one that is not empty
