"""A stored file of a guest for somebody outside: found by its id, as a link on demand or as base64, streamed."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from media_pipeline.messaging.pending import STORED, UPLOADS
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.paths import TABLES_FOLDER

CHUNK_BYTES = 3 * 64 * 1024
"""A multiple of three, so that pieces of base64 join."""


class NotShareable(Exception):
    """There is nothing to share; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Shareable:
    """A stored file: its key, type by content, hash, and a name made of its id."""

    file_id: str
    object_key: str
    content_type: str
    sha256: str

    @property
    def disposition(self) -> str:
        """A download under our own name, never the guest's, and never shown by a browser in our origin."""
        name = self.object_key.rpartition("/")[2]
        return f'attachment; filename="{name}"'


def find_upload(tables: Tables, file_id: str, day: dt.date | None = None) -> Shareable:
    """The stored file, on its day or the newest that has it; raises NotShareable."""
    for each in [day] if day is not None else _days(tables.store):
        for row in tables.rows(UPLOADS, each):
            if row["file_id"] == file_id:
                return _shareable(row)
    where = f"on {day}" if day is not None else "on any day"
    raise NotShareable(f"guest_uploads has no file {file_id!r} {where}: see its file_id column.")


def _shareable(row: Row) -> Shareable:
    if row["status"] != STORED:
        raise NotShareable(f"The file {row['file_id']!r} is {row['status']} ({row['reason']}): nothing of it was kept.")
    return Shareable(row["file_id"], row["object_key"], row["detected_type"], row["sha256"])


def _days(store: ObjectStore) -> list[dt.date]:
    """Days of the table, newest first."""
    keys = store.sizes(f"{TABLES_FOLDER}/{UPLOADS}/", ".parquet")
    return sorted({dt.date.fromisoformat(key.partition("date=")[2][:10]) for key in keys}, reverse=True)


def write_base64(store: ObjectStore, upload: Shareable, write: Callable[[bytes], object]) -> None:
    """The object as one line of base64, in constant memory; raises NotShareable, at its end, when it was changed."""
    file = store.open(upload.object_key)
    if file is None:
        raise NotShareable(f"The object {upload.object_key} is not there any more.")
    digest = hashlib.sha256()
    with file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
            write(base64.b64encode(piece))
    if digest.hexdigest() != upload.sha256:
        raise NotShareable(f"The object {upload.object_key} does not have the bytes it should have: do not use it.")
