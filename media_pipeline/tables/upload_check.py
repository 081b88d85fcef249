"""Proves a day's files of guests against their rows: each re-read and hashed, and what no row knows. Never writes."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator

from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.object_check import Finding, Kind, ObjectCheck
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.paths import uploads_prefix
from media_pipeline.transfer.outcome import STORED

TABLE = "guest_uploads"
COLUMNS = ["file_id", "status", "object_key", "size_bytes", "sha256"]
CHUNK_BYTES = 256 * 1024


def upload_days(store: ObjectStore) -> set[dt.date]:
    """Days that have outcomes of guests' files, or such files."""
    return days_below(store, f"tables/{TABLE}/") | days_below(store, "uploads/")


def stored_uploads(tables: Tables, day: dt.date) -> Iterator[Row]:
    """A day's rows that have an object."""
    return (row for row in tables.rows(TABLE, day, COLUMNS) if row["status"] == STORED)


def check_upload(store: ObjectStore, row: Row) -> ObjectCheck:
    """Re-read a stored row's object; raises StorageError when the store itself fails."""
    check, key = ObjectCheck(), row["object_key"] or ""

    def tell(kind: Kind, sentence: str) -> ObjectCheck:
        check.findings.append(Finding(kind, key, None, f"The guest's file {row['file_id']}: {sentence}"))
        return check

    try:
        file = store.open(key)
    except ValueError:
        return tell("mismatch", "its object_key is no key of this archive.")
    except OSError as error:
        return tell("unreadable", f"it cannot be opened: {error.strerror or type(error).__name__}.")
    if file is None:
        return tell("missing", "its row says stored, and there is no such object.")
    digest = hashlib.sha256()
    with file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            check.bytes_read += len(chunk)
    if check.bytes_read != row["size_bytes"]:
        return tell("changed", f"it has {check.bytes_read:,} bytes, and its row says {row['size_bytes']:,}.")
    if digest.hexdigest() != row["sha256"]:
        return tell("changed", "it has other bytes than its row's sha256 says.")
    return check


def unknown_uploads(tables: Tables, day: dt.date) -> Iterator[Finding]:
    """Files below a day's uploads that no stored row names."""
    named = {row["object_key"] for row in stored_uploads(tables, day)}
    for key in sorted(tables.store.sizes(uploads_prefix(day)).keys() - named):
        yield Finding(
            "orphan", key, None, "No row knows this file (yet: a run takes over its own). It was not touched."
        )
