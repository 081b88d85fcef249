"""Files under way: compressed bytes on the local disk that outlive the process, with what proves whose bytes they are.

A killed run leaves `<key>.part`: whole blocks, and a torn one at the end. The next run goes on with them if the source
still describes the same file.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from media_pipeline.storage.base import StorageError, root_name
from media_pipeline.storage.files import FILE_MODE, MOST_PIECES, write_pieces
from media_pipeline.storage.lock import removed_unless_locked

MAX_AGE_SECONDS = 7 * 24 * 3600.0
"""Links, retention and patience all end before; what nobody came back for is removed."""
FOLDER_TRIES = 5
PART, IDENTITY = ".part", ".json"
ATTRIBUTE = "user.media_pipeline.identity"
"""The identity is an attribute of the file where the file system has such, else a file beside it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What must not have changed for bytes to be continued: size and MD5 as the source states them, and the ETag."""

    size_bytes: int | None
    md5: str | None
    etag: str | None
    total: int | None
    content_type: str | None

    def holds(self, size_bytes: int | None, md5: str | None) -> bool:
        """Whether a source that says this means the same file, and something can prove that its bytes are the same."""
        return (self.size_bytes, self.md5) == (size_bytes, md5) and (self.etag or self.md5) is not None


class Partial:
    """The compressed bytes of one file; closing keeps them, `discard` does not.

    Paths as text and few system calls: this is on the way of every recording that is longer than a chunk.
    """

    def __init__(self, path: str) -> None:
        self._identity_path = path.removesuffix(PART) + IDENTITY
        self._has_identity_file = False
        try:
            self._handle, self.path = _opened(path)
            self._shared = self.path != path
            self.size = os.lseek(self._handle, 0, os.SEEK_END)
        except OSError as error:
            raise _unusable(path, error) from error

    def identity(self) -> Identity | None:
        """Whose bytes these are, None when there are none or nothing tells."""
        if self._shared or self.size == 0:
            return None
        try:
            try:
                noted = os.getxattr(self._handle, ATTRIBUTE)
            except (OSError, AttributeError):  # Python has these calls on Linux only
                noted = Path(self._identity_path).read_bytes()
                self._has_identity_file = True
            return Identity(**json.loads(noted))
        except (OSError, ValueError, TypeError):
            return None

    def identify(self, identity: Identity) -> None:
        """Say whose bytes will follow, before the first of them is written."""
        if self._shared:
            return
        noted = json.dumps(asdict(identity)).encode()
        try:
            os.setxattr(self._handle, ATTRIBUTE, noted)
            return
        except (OSError, AttributeError):
            pass  # a file system without attributes, or a very long ETag
        try:
            temporary = Path(self._identity_path + ".tmp")
            temporary.write_bytes(noted)
            temporary.replace(self._identity_path)
            self._has_identity_file = True
        except OSError as error:
            raise _unusable(self.path, error) from error

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file, fewer at its end."""
        return os.pread(self._handle, length, offset)

    def write(self, pieces: Sequence[bytes]) -> None:
        """Append pieces; they are the kernel's when this returns, so that they outlive the process."""
        try:
            for start in range(0, len(pieces), MOST_PIECES):
                self.size += write_pieces(self._handle, pieces[start : start + MOST_PIECES])
        except OSError as error:
            raise _unusable(self.path, error) from error

    def cut(self, size: int) -> None:
        """Keep the first bytes only."""
        if size == self.size:
            return
        os.ftruncate(self._handle, size)
        os.lseek(self._handle, size, os.SEEK_SET)
        self.size = size

    def published(self) -> None:
        """The file has become an object: take off it what was noted of its identity, not earlier, as until then a kill
        may leave it to the next run."""
        with contextlib.suppress(OSError, AttributeError):
            os.removexattr(self._handle, ATTRIBUTE)
        os.close(self._handle)
        self._handle = -1
        if self._has_identity_file:
            Path(self._identity_path).unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the bytes for another run, if there are any."""
        if self._handle < 0:
            return
        if self.size == 0 or self._shared:
            Path(self.path).unlink(missing_ok=True)
            if not self._shared:
                Path(self._identity_path).unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = -1


class Spool:
    """The partial files of one archive below MEDIA_SPOOL."""

    def __init__(self, folder: Path, root_url: str) -> None:
        # one machine may fill several archives from one spool
        self._folder = str(folder.absolute() / "partial" / root_name(root_url))

    def partial(self, key: str) -> Partial:
        """The file under way to an object key, as an earlier run left it."""
        return Partial(f"{self._folder}/{key}{PART}")

    def under_way(self, key: str) -> int | None:
        """Compressed bytes of the file under way to an object key, None when there is none; opens and locks nothing."""
        path = Path(f"{self._folder}/{key}{PART}")
        sizes = []
        for one in (path, *path.parent.glob(f"{glob.escape(path.name)}.*")):
            with contextlib.suppress(OSError):
                sizes.append(one.stat().st_size)
        return max(sizes, default=None)

    def clean(self, now: float | None = None) -> int:
        """Remove what nobody came back for; returns the bytes freed."""
        limit = (now or time.time()) - MAX_AGE_SECONDS
        freed = 0
        for path in self._files():
            with contextlib.suppress(OSError):
                facts = path.lstat()
                if facts.st_mtime < limit and removed_unless_locked(path, facts):
                    freed += facts.st_size
        for folder, _, _ in os.walk(self._folder, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()  # refuses one that is not empty
        return freed

    def _files(self) -> Iterator[Path]:
        for folder, _, names in os.walk(self._folder):
            yield from (Path(folder) / name for name in names)


def _opened(path: str) -> tuple[int, str]:
    """As `_locked`, in a folder that is made if need be; another run's cleaning may take it away while it is empty."""
    for _ in range(FOLDER_TRIES):
        try:
            return _locked(path)
        except FileNotFoundError:
            with contextlib.suppress(FileNotFoundError, FileExistsError):  # one above it was taken away, or it just now
                Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _locked(path)


def _locked(path: str) -> tuple[int, str]:
    """The file, open and locked for this process; one of our own beside it when another process has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino == os.stat(path).st_ino:  # noqa: PTH116
            return handle, path
    except (BlockingIOError, FileNotFoundError):  # it is another's, or became an object just now
        pass
    os.close(handle)
    own = f"{path}.{os.getpid()}.{threading.get_ident()}"
    return os.open(own, os.O_RDWR | os.O_CREAT | os.O_TRUNC, FILE_MODE), own


def _unusable(path: str, error: OSError) -> StorageError:
    return StorageError(
        f"MEDIA_SPOOL cannot be used at {Path(path).parent} ({error.strerror}): free space there or set MEDIA_SPOOL to "
        "a folder this user may write; what was downloaded so far is kept and continued."
    )
