"""Objects as files below one folder: written beside their final place, synced, then renamed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from media_pipeline.storage.base import Stat, StorageError, checked_key, checked_range

STAGING = ".staging"
"""Unfinished objects lie in this folder of the root, on the same file system as their final place."""
STALE_STAGING_SECONDS = 24 * 3600


class LocalStore:
    """ObjectStore over a folder, which is made when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = str(self.root)

    @contextmanager
    def writer(self, key: str) -> Iterator[_FileWriter]:
        with _explained(self.root):
            staging = self.root / STAGING
            staging.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f"{_HOST}.{os.getpid()}.", dir=staging)
        with os.fdopen(handle, "wb", buffering=0) as file:
            try:
                yield _FileWriter(self.root, file, Path(name), self.root / checked_key(key))
            finally:
                Path(name).unlink(missing_ok=True)

    def put(self, key: str, data: bytes) -> None:
        with self.writer(key) as writer:
            writer.write(data)
            writer.commit()

    def open(self, key: str) -> IO[bytes] | None:
        try:
            return (self.root / checked_key(key)).open("rb")
        except (FileNotFoundError, IsADirectoryError):
            return None

    def read_range(self, key: str, start: int, length: int) -> bytes | None:
        checked_range(start, length)
        try:
            with (self.root / checked_key(key)).open("rb", buffering=0) as file:
                return _read_at(file.fileno(), start, length)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(
                f"MEDIA_ROOT={self.root} cannot be read ({error.strerror}): correct its permissions or check its disk."
            ) from error

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

    def _remove_stale(self, staging: Path) -> None:
        """Remove what killed runs left: of dead processes of this host, and of other hosts what is old."""
        limit = time.time() - STALE_STAGING_SECONDS
        for leftover in staging.iterdir():
            with suppress(FileNotFoundError):
                if _writer_is_dead(leftover.name) or leftover.stat().st_mtime < limit:
                    leftover.unlink()


class _FileWriter:
    def __init__(self, root: Path, file: IO[bytes], temporary: Path, target: Path) -> None:
        self._root = root
        self._file = file
        self._temporary = temporary
        self._target = target

    def write(self, data: bytes) -> int:
        with _explained(self._root):
            rest = memoryview(data)
            while rest:  # an unbuffered write may be partial
                rest = rest[self._file.write(rest) :]
        return len(data)

    def commit(self) -> int:
        with _explained(self._root):
            os.fsync(self._file.fileno())
            size = os.fstat(self._file.fileno()).st_size
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.chmod(0o666 & ~_UMASK)  # mkstemp's 0600 would hide the archive from analysts
            self._temporary.replace(self._target)
            _sync_folder(self._target.parent)
        return size


def _read_at(handle: int, start: int, length: int) -> bytes:
    pieces: list[bytes] = []
    while length and (piece := os.pread(handle, length, start)):  # Linux reads at most 2 GiB at once
        pieces.append(piece)
        start += len(piece)
        length -= len(piece)
    return b"".join(pieces)


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


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
_UMASK = os.umask(0)
os.umask(_UMASK)


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
