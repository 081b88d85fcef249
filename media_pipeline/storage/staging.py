"""Objects on their way to a local folder: written beside their place, synced, then renamed."""

from __future__ import annotations

import io
import itertools
import os
import re
import secrets
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from media_pipeline.storage.files import FILE_MODE, Folders, place, write_all, write_pieces
from media_pipeline.storage.local_errors import explained
from media_pipeline.storage.machine import machine_id, process_space

STAGING = ".staging"
"""Unfinished objects lie in this folder of the root, on the same file system as their final place."""
STALE_STAGING_SECONDS = 24 * 3600
_NEW_SYNCED = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_DSYNC
"""A write returns when its bytes, and the size that leads to them, are on the disk."""


def staged(root: Path) -> io.FileIO:
    """A new file to write, on the same file system as the objects."""
    name = _name(root)
    try:
        return io.FileIO(name, "x")
    except FileNotFoundError:
        (root / STAGING).mkdir(parents=True, exist_ok=True)
        return io.FileIO(name, "x")


def staged_synced(root: Path, pieces: Sequence[bytes]) -> tuple[str, int]:
    """A new file of these pieces, on the disk already: its path and its size. The way of short recordings: four system
    calls.
    """
    name = _name(root)
    try:
        handle = os.open(name, _NEW_SYNCED, FILE_MODE)
    except FileNotFoundError:
        (root / STAGING).mkdir(parents=True, exist_ok=True)
        handle = os.open(name, _NEW_SYNCED, FILE_MODE)
    try:
        size = write_pieces(handle, pieces)
        if not size:
            os.fsync(handle)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    return name, size


def remove_stale(staging: Path) -> None:
    """Remove what killed runs left: of dead processes of this host, and of other hosts what is old."""
    limit = time.time() - STALE_STAGING_SECONDS
    for leftover in staging.iterdir():
        with suppress(FileNotFoundError):
            if _writer_is_dead(leftover.name) or leftover.stat().st_mtime < limit:
                leftover.unlink()


class FileWriter:
    """An object's bytes until it is committed.

    Few system calls, as each lets go of the interpreter's lock and may have to wait for it afterwards; and paths as
    text, as pathlib took a twentieth of the CPU of a short call's export.
    """

    def __init__(self, root: Path, file: io.FileIO, target: str, folders: Folders) -> None:
        self._root = root
        self._file = file
        self._name = str(file.name)
        self._target = target
        self._folders = folders
        self._size = 0
        self._committed = False

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self._committed:
            Path(self._name).unlink(missing_ok=True)

    def write(self, data: bytes) -> int:
        with explained(self._root):
            write_all(self._file, data)
        self._size += len(data)
        return len(data)

    def commit(self, *, sha256: str | None = None) -> int:
        with explained(self._root):
            os.fsync(self._file.fileno())
            place(self._name, self._target, self._folders)
        self._committed = True
        return self._size


def _name(root: Path) -> str:
    return f"{root}/{STAGING}/{_HOST}.{os.getpid()}.{_STARTED}.{next(_NUMBERS)}"


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


def _here() -> str:
    """Containers and machines may share one name and one folder."""
    place = f"{socket.gethostname()}-{machine_id()[:12]}-{process_space()}"
    return re.sub(r"[^A-Za-z0-9-]+", "-", place).strip("-")


_HOST = _here()
_STARTED = secrets.token_hex(8)
"""An earlier process with this one's id may have left files."""
_NUMBERS = itertools.count()
