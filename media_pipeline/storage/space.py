"""The space gate: stops a run before it downloads when the source, the spool or the root is nearly full."""

from __future__ import annotations

import shutil
from pathlib import Path

from media_pipeline.storage.base import ObjectStore, StorageError

BYTES_PER_MB = 1_000_000


def check_space(store: ObjectStore, spool: Path, min_available_mb: int) -> None:
    """Raise StorageError when the disk of the root or of the spool has less than the given MB (10^6 bytes) left."""
    try:
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        spool_free: int | None = shutil.disk_usage(spool).free
    except OSError as error:
        raise StorageError(
            f"MEDIA_SPOOL={spool} cannot be written ({error.strerror}): set it to a folder this user may write."
        ) from error
    for variable, place, free in (("MEDIA_ROOT", store.url, store.free_bytes()), ("MEDIA_SPOOL", spool, spool_free)):
        if free is not None and free < min_available_mb * BYTES_PER_MB:
            raise StorageError(
                f"{variable}={place} has {free // BYTES_PER_MB} MB left, less than MEDIA_MIN_AVAILABLE_MB="
                f"{min_available_mb}: free space or lower the limit, then run the day again. Nothing was downloaded."
            )
