"""What the disk says, as StorageErrors that say what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from media_pipeline.storage.base import StorageError, StorageUnavailable


class explained:  # used as a function; a generator's context costs four times as much
    """Turns what the disk says into a StorageError that says what to do."""

    __slots__ = ("_root",)

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError):
            raise unwritable(self._root, error) from error


def unreadable(root: Path, error: OSError) -> StorageError:
    """For what should be readable."""
    return StorageError(
        f"MEDIA_ROOT={root} cannot be read ({error.strerror}): correct its permissions or check its disk."
    )


def unwritable(root: Path, error: OSError) -> StorageError:
    """For what should be writable."""
    if isinstance(error, TimeoutError):
        return StorageUnavailable(
            f"MEDIA_ROOT={root} is locked by another process ({error}): end the process that hangs, then run again."
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"No space is left at MEDIA_ROOT={root}: free space or choose another place, then run the day again; "
            "what was stored stays."
        )
    if error.errno == errno.EXDEV:
        return StorageError(
            f"MEDIA_ROOT={root} lies on several file systems (a folder in it is a link or a mount): have all of it on "
            "one, for instance by making MEDIA_ROOT itself the link, then run again."
        )
    return StorageError(
        f"MEDIA_ROOT={root} cannot be written ({error.strerror}): correct its permissions or set MEDIA_ROOT to a "
        "folder this user may write."
    )
