"""Objects as files below one folder: written beside their final place, synced, then renamed.

The digests of a file's source are in the tables; one that was published from a file also bears it as an attribute.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISFIFO, S_ISREG
from typing import IO

from media_pipeline.storage.base import (
    SMALL_BYTES,
    Small,
    Stat,
    StorageError,
    Version,
    checked_key,
    checked_range,
)
from media_pipeline.storage.files import (
    FILE_MODE,
    Folders,
    NoHardLinks,
    copy_synced,
    make_folder,
    place,
    place_new,
    removed_after,
    sync_file,
    write_pieces,
)
from media_pipeline.storage.local_errors import explained, unreadable, unwritable
from media_pipeline.storage.lock import locked
from media_pipeline.storage.staging import STAGING, FileWriter, remove_stale, staged, staged_synced

CLOCK_TICK_NS = 50_000_000
"""File systems tell times by the kernel's tick, at most 10 ms, some by more."""
COARSE_TICK_NS = 2_100_000_000
"""Of those that know whole seconds only, or every second one."""
SHA256 = "user.media_pipeline.sha256"
"""An attribute, where the file system has such: what proves an object whose run was killed before it could say so."""
_WRITTEN_OVER = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
LOCK = ".lock"
"""Held while an object is compared and swapped."""


class LocalStore:
    """ObjectStore over a folder, which is made when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = str(self.root)
        self._folders = Folders()

    def writer(self, key: str) -> FileWriter:
        target = f"{self.url}/{checked_key(key)}"
        with explained(self.root):
            return FileWriter(self.root, staged(self.root), target, self._folders)

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        if not durable:
            self._put_in_place(f"{self.url}/{checked_key(key)}", data)
            return
        self.put_pieces(key, [data])

    def put_pieces(self, key: str, pieces: Sequence[bytes], *, sha256: str | None = None, soon: bool = False) -> int:
        target = f"{self.url}/{checked_key(key)}"
        try:  # here and below without a context of its own: a short recording's way
            name, size = staged_synced(self.root, pieces)
            try:
                place(name, target, self._folders, soon=soon)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise unwritable(self.root, error) from error
        return size

    def publish(self, path: Path, key: str, *, sha256: str | None = None, soon: bool = False) -> int:
        target = f"{self.url}/{checked_key(key)}"
        _mark(path, sha256)
        size = _synced(path)
        with explained(self.root):
            try:
                place(str(path), target, self._folders, soon=soon)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with self._copied(path) as copy:
                    _mark(copy, sha256)
                    place(str(copy), target, self._folders)
                path.unlink()
        return size

    def flush(self) -> None:
        with explained(self.root):
            self._folders.flush()

    def publish_new(self, path: Path, key: str, *, sha256: str | None = None) -> bool:
        target = self.root / checked_key(key)
        _synced(path)
        with explained(self.root):
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

    def source_sha256(self, key: str) -> str | None:
        try:
            return os.getxattr(self.root / checked_key(key), SHA256).decode()
        except (OSError, AttributeError, ValueError):  # Python has this call on Linux only
            return None

    def put_if(self, key: str, data: bytes, tag: str | None) -> str | None:
        target = self.root / checked_key(key)
        with explained(self.root), staged(self.root) as file, removed_after(Path(file.name)) as temporary:
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
            file = open(f"{self.url}/{checked_key(key)}", "rb", opener=_unblocked)  # noqa: SIM115  Path's has no opener
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except PermissionError:
            raise
        except OSError as error:  # a link that leads to itself, a disk that fails
            raise unreadable(self.root, error) from error
        if S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
        return None

    def read_range(self, key: str, start: int, length: int) -> bytes | None:
        checked_range(start, length)
        try:
            with open(f"{self.url}/{checked_key(key)}", "rb", buffering=0, opener=_unblocked) as file:
                is_file = S_ISREG(os.fstat(file.fileno()).st_mode)
                return _read_at(file.fileno(), start, length) if is_file else None
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as error:
            raise unreadable(self.root, error) from error

    def version(self, key: str) -> Version | None:
        try:
            handle = os.open(f"{self.url}/{checked_key(key)}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unreadable(self.root, error) from error
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
            tick = CLOCK_TICK_NS if facts.st_mtime_ns % 10**9 else COARSE_TICK_NS
            if facts.st_mtime_ns > time.time_ns() - tick:
                tag += f"-{secrets.token_hex(4)}"  # what replaces it in this tick may look the same
            yield key, tag

    def _walked(self, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        pending = [(self.root / checked_key(prefix.rstrip("/")), prefix)]
        while pending:
            folder, key = pending.pop()
            try:
                with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            pending.append((folder / entry.name, f"{key}{entry.name}/"))
                        else:
                            with suppress(FileNotFoundError):  # gone since, or a link to nowhere
                                facts = entry.stat()
                                if not S_ISFIFO(facts.st_mode):  # opening a pipe would wait for who writes to it
                                    yield key + entry.name, facts
            except OSError as error:
                raise unreadable(self.root, error) from error

    def remove(self, key: str) -> None:
        with explained(self.root):
            (self.root / checked_key(key)).unlink(missing_ok=True)

    def check_writable(self) -> None:
        with explained(self.root):
            staging = self.root / STAGING
            staging.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=staging):
                pass
            remove_stale(staging)

    def drop_unfinished(self, prefix: str) -> None:
        """Nothing is to be done: what is unfinished lies in staging, each file with its writer's name."""

    def free_bytes(self) -> int | None:
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            return shutil.disk_usage(self.root).free

    def _put_in_place(self, target: str, data: bytes) -> None:
        """No staging: renames out of another folder wait for each other, those of the objects too."""
        try:
            try:
                handle = os.open(target, _WRITTEN_OVER, FILE_MODE)
            except FileNotFoundError:
                make_folder(Path(target).parent)
                handle = os.open(target, _WRITTEN_OVER, FILE_MODE)
            try:
                write_pieces(handle, [data])
            finally:
                os.close(handle)
        except OSError as error:
            raise unwritable(self.root, error) from error

    @contextmanager
    def _copied(self, path: Path) -> Iterator[Path]:
        """A synced copy of a file of another file system."""
        with staged(self.root) as file, removed_after(Path(file.name)) as temporary:
            copy_synced(path, file)
            yield temporary

    def _moved_new(self, path: Path, target: Path) -> bool:
        """Through staging: a crash must not leave the spool's file as a second name of the object, to be written on."""
        with staged(self.root) as file:
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
            raise unreadable(self._root, error) from error

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __del__(self) -> None:
        self.close()


def _unblocked(path: str, flags: int) -> int:
    """A pipe in an object's place would wait for who writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _synced(path: Path) -> int:
    try:
        return sync_file(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read or written ({error.strerror}): check the disk of MEDIA_SPOOL, then run again."
        ) from error


def _mark(path: Path, sha256: str | None) -> None:
    if sha256 is not None:
        with suppress(OSError, AttributeError):
            os.setxattr(path, SHA256, sha256.encode())


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read_at(handle: int, start: int, length: int) -> bytes:
    pieces: list[bytes] = []
    while length and (piece := os.pread(handle, length, start)):  # Linux reads at most 2 GiB at once
        pieces.append(piece)
        start += len(piece)
        length -= len(piece)
    return b"".join(pieces)
