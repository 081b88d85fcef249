"""Files that survive a crash: synced, given their name at once, in folders that are synced too."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

COPY_BYTES = 1024 * 1024
FILE_MODE = 0o666
"""Less the umask: of objects, and of the spool's files that become objects; their folder there is private."""
MOST_PIECES = 1_000
"""Of one writev: IOV_MAX is 1,024."""
SOON_SECONDS = 1.0
"""How long a name may wait for its folder's fsync: each costs as much as that of a short recording's bytes."""
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}


class Folders:
    """Makes names durable, with one fsync for all that were given in a folder while the last one was under way."""

    def __init__(self) -> None:
        self._syncs: dict[str, _Sync] = {}

    def sync(self, folder: str) -> None:
        """Return when the names given in this folder so far are durable."""
        self._syncs.setdefault(folder, _Sync()).run(folder)

    def sync_soon(self, folder: str) -> None:
        """The same if that is due after a second; else leave it to the next call, or to `flush`."""
        sync = self._syncs.get(folder) or self._syncs.setdefault(folder, _Sync())
        sync.is_waiting = True
        if time.monotonic() >= sync.due:
            sync.run(folder)

    def flush(self) -> None:
        """Return when all names given so far are durable."""
        for folder, sync in list(self._syncs.items()):
            if sync.is_waiting:
                sync.run(folder)


class _Sync:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = self._done = 0
        self.is_waiting = False
        """Whether there are names that the last fsync may not have seen."""
        self.due = 0.0

    def run(self, folder: str) -> None:
        begun = self._begun
        with self._lock:
            if self._done > begun:  # one that began after our name was given has succeeded
                return
            self._begun += 1
            number = self._begun
            self.is_waiting = False
            try:
                sync_folder(folder)
            except BaseException:
                self.is_waiting = True
                raise
            self._done, self.due = number, time.monotonic() + SOON_SECONDS


class NoHardLinks(Exception):
    """This file system cannot give a file a second name."""


def place(temporary: str, target: str, folders: Folders, *, soon: bool = False) -> None:
    """Give a synced file its final name durably, or soon so, replacing what has it; raises OSError (EXDEV between file
    systems).
    """
    rename(temporary, target)
    folder = target.rpartition("/")[0]
    if soon:
        folders.sync_soon(folder)
    else:
        folders.sync(folder)


def rename(temporary: str, target: str) -> None:
    """Give a file another name, in a folder that is made if need be. Text and few system calls: every object's way."""
    try:
        os.rename(temporary, target)  # noqa: PTH104
    except FileNotFoundError:
        make_folder(Path(target).parent)
        os.rename(temporary, target)  # noqa: PTH104


def place_new(temporary: Path, target: Path) -> bool:
    """The same unless the name is taken; False, and the file stays, when it is. Raises NoHardLinks."""
    make_folder(target.parent)
    try:
        os.link(temporary, target)  # unlike rename, it never replaces
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise NoHardLinks from error
        raise
    sync_folder(target.parent)
    temporary.unlink()
    return True


def sync_file(path: Path) -> int:
    """Flush a file to the disk; returns its size in bytes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        return os.fstat(handle).st_size
    finally:
        os.close(handle)


def write_all(file: io.FileIO, data: bytes | memoryview) -> None:
    """Write all of it: an unbuffered write may take a part, on a nearly full disk for one."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def write_pieces(handle: int, pieces: Sequence[bytes]) -> int:
    """Write up to MOST_PIECES one after another, in one system call if the disk takes all; their size in bytes."""
    size = sum(map(len, pieces))
    written = os.writev(handle, pieces)
    if written < size:  # a nearly full disk takes a part; the rest says why
        rest = memoryview(b"".join(pieces))[written:]
        while rest:
            rest = rest[os.write(handle, rest) :]
    return size


def copy_synced(source: Path, file: io.FileIO) -> None:
    """Append a file to another one and flush that."""
    with source.open("rb", buffering=0) as reader:
        while piece := reader.read(COPY_BYTES):
            write_all(file, piece)
    os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each entered durably where it lies."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)


def sync_folder(folder: str | Path) -> None:
    """Flush a folder's entries to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def removed_after(path: Path) -> Iterator[Path]:
    """Remove a file, if it is still there, whatever happens."""
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
