"""Objects as files below one folder: written beside their final place, synced, then renamed.

A file keeps nothing beside its bytes: the digests of its source are in the tables.
"""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import IO

from media_pipeline.storage.base import (
    SMALL_BYTES,
    Small,
    Stat,
    StorageError,
    StorageUnavailable,
    Version,
    checked_key,
    checked_range,
)
from media_pipeline.storage.files import (
    Folders,
    NoHardLinks,
    copy_synced,
    make_folder,
    place,
    place_new,
    removed_after,
    sync_file,
    write_all,
)
from media_pipeline.storage.lock import locked

STAGING = ".staging"
"""Unfinished objects lie in this folder of the root, on the same file system as their final place."""
STALE_STAGING_SECONDS = 24 * 3600
CLOCK_TICK_NS = 50_000_000
"""File systems tell times by the kernel's tick, at most 10 ms, some by more."""
LOCK = ".lock"
"""Held while an object is compared and swapped."""


class LocalStore:
    """ObjectStore over a folder, which is made when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = str(self.root)
        self._folders = Folders()

    def writer(self, key: str) -> _FileWriter:
        target = f"{self.url}/{checked_key(key)}"
        with _explained(self.root):
            return _FileWriter(self.root, self._staged(), target, self._folders)

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        if not durable:
            self._put_in_place(f"{self.url}/{checked_key(key)}", data)
            return
        with self.writer(key) as writer:
            writer.write(data)
            writer.commit()

    def publish(self, path: Path, key: str, *, sha256: str | None = None, soon: bool = False) -> int:
        target = f"{self.url}/{checked_key(key)}"
        size = _synced(path)
        with _explained(self.root):
            try:
                place(str(path), target, self._folders, soon=soon)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with self._copied(path) as copy:
                    place(str(copy), target, self._folders)
                path.unlink()
        return size

    def flush(self) -> None:
        with _explained(self.root):
            self._folders.flush()

    def publish_new(self, path: Path, key: str, *, sha256: str | None = None) -> bool:
        target = self.root / checked_key(key)
        _synced(path)
        with _explained(self.root):
            try:
                return self._moved_new(path, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with self._copied(path) as copy:
                    created = self._place_new(copy, target)
                if created:
                    path.unlink()
                return created

    def get_small(self, key: str, most_bytes: int = SMALL_BYTES) -> Small | None:
        file = self.open(key)
        if file is None:
            return None
        with file:
            data = file.read()
        return Small(data, _tag(data))

    def put_if(self, key: str, data: bytes, tag: str | None) -> str | None:
        target = self.root / checked_key(key)
        with _explained(self.root), self._staged() as file, removed_after(Path(file.name)) as temporary:
            file.write(data)
            os.fsync(file.fileno())
            if tag is None:
                return _tag(data) if self._place_new(temporary, target) else None
            with locked(self.root / LOCK):
                present = self.get_small(key)
                if present is None or present.tag != tag:
                    return None
                place(str(temporary), str(target), self._folders)
        return _tag(data)

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
            raise _unreadable(self.root, error) from error

    def version(self, key: str) -> Version | None:
        try:
            handle = os.open(f"{self.url}/{checked_key(key)}", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(self.root, error) from error
        facts = os.fstat(handle)
        if not S_ISREG(facts.st_mode):
            os.close(handle)
            return None
        return _OpenFile(self.root, handle, Stat(facts.st_size, facts.st_mtime))

    def sizes(self, prefix: str, suffix: str = "") -> dict[str, int]:
        return {key: stat.size for key, stat in self.stats(prefix) if key.endswith(suffix)}

    def stats(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        for key, facts in self._walked(prefix):
            yield key, Stat(facts.st_size, facts.st_mtime)

    def tags(self, prefix: str) -> Iterator[tuple[str, str]]:
        for key, facts in self._walked(prefix):
            tag = f"{facts.st_size}-{facts.st_mtime_ns}"
            if facts.st_mtime_ns > time.time_ns() - CLOCK_TICK_NS:
                tag += f"-{secrets.token_hex(4)}"  # what replaces it in this tick may look the same
            yield key, tag

    def _walked(self, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        pending = [(self.root / checked_key(prefix.rstrip("/")), prefix)]
        while pending:
            folder, key = pending.pop()
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((folder / entry.name, f"{key}{entry.name}/"))
                    else:
                        with suppress(FileNotFoundError):  # gone since, or a link to nowhere
                            yield key + entry.name, entry.stat()

    def remove(self, key: str) -> None:
        with _explained(self.root):
            (self.root / checked_key(key)).unlink(missing_ok=True)

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

    def _put_in_place(self, target: str, data: bytes) -> None:
        """No staging: renames out of another folder wait for each other, those of the objects too."""
        with _explained(self.root):
            try:
                file = io.FileIO(target, "w")
            except FileNotFoundError:
                make_folder(Path(target).parent)
                file = io.FileIO(target, "w")
            with file:
                write_all(file, data)

    def _staged(self) -> io.FileIO:
        """A new file to write, on the same file system as the objects."""
        name = f"{self.url}/{STAGING}/{_HOST}.{os.getpid()}.{_STARTED}.{next(_NUMBERS)}"
        try:
            return io.FileIO(name, "x")
        except FileNotFoundError:
            (self.root / STAGING).mkdir(parents=True, exist_ok=True)
            return io.FileIO(name, "x")

    @contextmanager
    def _copied(self, path: Path) -> Iterator[Path]:
        """A synced copy of a file of another file system."""
        with self._staged() as file, removed_after(Path(file.name)) as temporary:
            copy_synced(path, file)
            yield temporary

    def _moved_new(self, path: Path, target: Path) -> bool:
        """Through staging: a crash must not leave the spool's file as a second name of the object, to be written on."""
        with self._staged() as file:
            temporary = Path(file.name)
        with removed_after(temporary):
            path.replace(temporary)
            created = False
            try:
                created = self._place_new(temporary, target)
            finally:
                if not created:
                    temporary.replace(path)
        return created

    def _place_new(self, temporary: Path, target: Path) -> bool:
        try:
            return place_new(temporary, target)
        except NoHardLinks:  # some network and FUSE file systems
            with locked(self.root / LOCK):
                if target.exists():
                    return False
                place(str(temporary), str(target), self._folders)
                return True

    def _remove_stale(self, staging: Path) -> None:
        """Remove what killed runs left: of dead processes of this host, and of other hosts what is old."""
        limit = time.time() - STALE_STAGING_SECONDS
        for leftover in staging.iterdir():
            with suppress(FileNotFoundError):
                if _writer_is_dead(leftover.name) or leftover.stat().st_mtime < limit:
                    leftover.unlink()


class _OpenFile:
    """A version as an open file, which keeps its bytes when its name is given to another one."""

    def __init__(self, root: Path, handle: int, stat: Stat) -> None:
        self.stat = stat
        self._root = root
        self._handle: int | None = handle

    def read_range(self, start: int, length: int) -> bytes | None:
        checked_range(start, length)
        if self._handle is None:
            raise ValueError("The version was closed.")
        try:
            return _read_at(self._handle, start, length)
        except OSError as error:
            raise _unreadable(self._root, error) from error

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __del__(self) -> None:
        self.close()


class _FileWriter:
    """Few system calls, as each lets go of the interpreter's lock and may have to wait for it afterwards; and paths as
    text, as pathlib took a twentieth of the CPU of a short call's export."""

    def __init__(self, root: Path, file: io.FileIO, target: str, folders: Folders) -> None:
        self._root = root
        self._file = file
        self._name = str(file.name)
        self._target = target
        self._folders = folders
        self._size = 0
        self._committed = False

    def __enter__(self) -> _FileWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self._committed:
            Path(self._name).unlink(missing_ok=True)

    def write(self, data: bytes) -> int:
        with _explained(self._root):
            write_all(self._file, data)
        self._size += len(data)
        return len(data)

    def commit(self, *, sha256: str | None = None, soon: bool = False) -> int:
        with _explained(self._root):
            os.fsync(self._file.fileno())
            place(self._name, self._target, self._folders, soon=soon)
        self._committed = True
        return self._size


def _synced(path: Path) -> int:
    try:
        return sync_file(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read or written ({error.strerror}): check the disk of MEDIA_SPOOL, then run again."
        ) from error


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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


_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
_STARTED = secrets.token_hex(8)
"""An earlier process with this one's id may have left files."""
_NUMBERS = itertools.count()


class _explained:  # used as a function; a generator's context costs four times as much
    """Turns what the disk says into a StorageError that says what to do."""

    __slots__ = ("_root",)

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError):
            raise _sentence(self._root, error) from error


def _unreadable(root: Path, error: OSError) -> StorageError:
    return StorageError(
        f"MEDIA_ROOT={root} cannot be read ({error.strerror}): correct its permissions or check its disk."
    )


def _sentence(root: Path, error: OSError) -> StorageError:
    if isinstance(error, TimeoutError):
        return StorageUnavailable(
            f"MEDIA_ROOT={root} is locked by another process ({error}): end the process that hangs, then run again."
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"No space is left at MEDIA_ROOT={root}: free space or choose another place, then run the day again; "
            "what was stored stays."
        )
    return StorageError(
        f"MEDIA_ROOT={root} cannot be written ({error.strerror}): correct its permissions or set MEDIA_ROOT to a "
        "folder this user may write."
    )
