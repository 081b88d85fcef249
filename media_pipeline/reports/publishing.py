"""Puts finished files below MEDIA_ROOT. Imports neither dagster nor dbt."""

from __future__ import annotations

import shutil
from pathlib import Path

from media_pipeline.storage.base import ObjectStore


def publish(store: ObjectStore, file: Path, key: str) -> int:
    """Put a finished file under its key as every other object, whole or not at all; returns its size in bytes."""
    with store.writer(key) as sink, file.open("rb") as source:
        shutil.copyfileobj(source, sink, 1024 * 1024)
        return sink.commit()
