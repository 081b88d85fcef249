"""Objects as files below one folder: written beside their final place, synced, then renamed."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from media_pipeline.storage.base import Stat, StorageError, checked_key

STAGING = ".staging"
"""Unfinished objects lie in this folder of the root, on the same file system as their final place."""
STALE_STAGING_SECONDS = 24 * 3600


class LocalStore:
    """ObjectStore over a folder, which is made when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = str(self.root)
        self._folders = _Folders()

    @contextmanager
    def writer(self, key: str) -> Iterator[_FileWriter]:
        target = f"{self.url}/{checked_key(key)}"
        writer = _FileWriter(self.root, self._staged(), target, self._folders)
        try:
            yield writer
        finally:
            writer.close()

    def put(self, key: str, data: bytes) -> None:
        with self.writer(key) as writer:
            writer.write(data)
            writer.commit()

    def open(self, key: str) -> IO[bytes] | None:
        try:
            return (self.root / checked_key(key)).open("rb")
        except (FileNotFoundError, IsADirectoryError):
            return None

    def sizes(self, prefix: str, suffix: str = "") -> dict[str, int]:
        return {key: stat.size for key, stat in self.stats(prefix) if key.endswith(suffix)}

    def stats(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        pending = [(self.root / checked_key(prefix.rstrip("/")), prefix)]
        while pending:
            folder, key = pending.pop()
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((folder / entry.name, f"{key}{entry.name}/"))
                    else:
                        with suppress(FileNotFoundError):  # gone since, or a link to nowhere
                            facts = entry.stat()
                            yield key + entry.name, Stat(facts.st_size, facts.st_mtime)

    def check_writable(self) -> None:
        with _explained(self.root):
            staging = self.root / STAGING
            staging.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=staging):
                pass
            self._remove_stale(staging)

    def free_bytes(self) -> int | None:
        with _explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            return shutil.disk_usage(self.root).free

    def _staged(self) -> IO[bytes]:
        name = f"{self.url}/{STAGING}/{_HOST}.{os.getpid()}.{secrets.token_hex(8)}"
        with _explained(self.root):
            try:
                return open(name, "xb", buffering=0)  # noqa: PTH123
            except FileNotFoundError:
                (self.root / STAGING).mkdir(parents=True, exist_ok=True)
                return open(name, "xb", buffering=0)  # noqa: PTH123

    def _remove_stale(self, staging: Path) -> None:
        """Remove what killed runs left: of dead processes of this host, and of other hosts what is old."""
        limit = time.time() - STALE_STAGING_SECONDS
        for leftover in staging.iterdir():
            with suppress(FileNotFoundError):
                if _writer_is_dead(leftover.name) or leftover.stat().st_mtime < limit:
                    leftover.unlink()


class _FileWriter:
    """Few system calls, as each lets go of the interpreter's lock and may have to wait for it afterwards; and paths as
    text, as pathlib took a twentieth of the CPU of a short call's export."""

    def __init__(self, root: Path, file: IO[bytes], target: str, folders: _Folders) -> None:
        self._root = root
        self._file = file
        self._target = target
        self._folders = folders
        self._size = 0
        self._committed = False

    def write(self, data: bytes) -> int:
        with _explained(self._root):
            rest = memoryview(data)
            while rest:  # an unbuffered write may be partial
                rest = rest[self._file.write(rest) :]
        self._size += len(data)
        return len(data)

    def commit(self) -> int:
        with _explained(self._root):
            os.fsync(self._file.fileno())
            try:
                os.rename(self._file.name, self._target)  # noqa: PTH104
            except FileNotFoundError:
                Path(self._target).parent.mkdir(parents=True, exist_ok=True)
                os.rename(self._file.name, self._target)  # noqa: PTH104
            self._committed = True
            self._folders.sync(self._target.rpartition("/")[0])
        return self._size

    def close(self) -> None:
        self._file.close()
        if not self._committed:
            Path(self._file.name).unlink(missing_ok=True)


class _Folders:
    """Makes names durable, with one fsync for all that were given while the last one was under way."""

    def __init__(self) -> None:
        self._syncs: dict[str, _Sync] = {}

    def sync(self, folder: str) -> None:
        """Return when the names given in this folder so far are durable."""
        self._syncs.setdefault(folder, _Sync()).run(folder)


class _Sync:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = self._done = 0

    def run(self, folder: str) -> None:
        begun = self._begun
        with self._lock:
            if self._done > begun:  # one that began after our name was given has succeeded
                return
            self._begun += 1
            number = self._begun
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            self._done = number


def _writer_is_dead(name: str) -> bool:
    host, _, rest = name.partition(".")
    pid = rest.partition(".")[0]
    if host != _HOST or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


@contextmanager
def _explained(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"No space is left at MEDIA_ROOT={root}: free space or choose another place, then run the day again; "
                "what was stored stays."
            ) from error
        raise StorageError(
            f"MEDIA_ROOT={root} cannot be written ({error.strerror}): correct its permissions or set MEDIA_ROOT to a "
            "folder this user may write."
        ) from error
