"""The structured log of one run of one day: JSON lines, spooled locally, published while the run goes on.

Lines carry ids, counts and reasons; never a link, a token, a file name or what was said.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from media_pipeline.storage.base import ObjectStore, StorageError, root_name
from media_pipeline.storage.files import write_all
from media_pipeline.storage.lock import is_at, share_lock, take_lock
from media_pipeline.tables.paths import audit_key, safe_name

PUBLISH_SECONDS = 25.0
"""The promise is 30 s; the rest is for the upload itself."""
COPY_BYTES = 256 * 1024
ORPHAN_SECONDS = 3600.0
"""A spooled log untouched for so long belongs to a run that was killed, if nobody has it locked: some file systems have
no locks, and earlier versions took none. An open log is touched every 25 s."""
_OPEN: list[str] = []
"""Logs that this process has open: on NFS a lock does not keep out the process that has it, and whoever closes the file
lets go of it."""


GOVERNANCE_TAG = "media_metadata_parsing_v1"
"""On lines about the parsing of an interaction's metadata (guide 004's governanceTag)."""


def correlation_id(run_id: str, subject: str) -> str:
    """An id that joins all that is said of a subject in one run, here, in Dagster's log and in webhooks.

    A subject is a recording's or an interaction's id, or a day for what is about all of the run's day.
    """
    return hashlib.blake2b(f"{run_id}\0{subject}".encode(), digest_size=8).hexdigest()


def spool_folder(spool: Path, root_url: str) -> Path:
    """Where logs lie until they are published: one machine may fill several archives from one spool."""
    return spool / "audit" / root_name(root_url)


class AuditLog:
    """Appends events from any thread; publishes every 25 s and on close."""

    def __init__(self, store: ObjectStore, spool: Path, day: dt.date, run_id: str) -> None:
        self._store = store
        self._day = day
        self._run_id = run_id
        folder = spool_folder(spool, store.url) / f"date={day}"
        try:
            spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(parents=True, exist_ok=True)
            _publish_orphans(store, folder.parent)
            _publish_orphans(store, spool / "audit")  # of earlier versions, which did not note the archive
            self._path = folder.absolute() / f"{safe_name(run_id)}.jsonl"
            self._file = self._opened()
        except OSError as error:
            raise _unusable(spool, error) from error
        _OPEN.append(str(self._path))
        self._spool = spool
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._publisher = threading.Thread(target=self._keep_published, name="audit-publisher", daemon=True)
        self._publisher.start()

    def emit(self, event: str, recording_id: str | None = None, **facts: object) -> None:
        """Append one event with the time (ISO-8601, UTC) and the run; facts that are None are left out.

        The correlation id is the recording's, else that of the fact interaction_id, else the day's.
        """
        subject = recording_id or facts.get("interaction_id") or self._day
        line: dict[str, object] = {
            "timestamp": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "event": event,
            "run_id": self._run_id,
            "date": str(self._day),
            "recording_id": recording_id,
            "correlation_id": correlation_id(self._run_id, str(subject)),
            **facts,
        }
        line = {name: value for name, value in line.items() if value is not None}
        with self._lock:
            try:
                # file names need not be UTF-8; a backslash would make them JSON escapes, which DuckDB refuses
                self._file.write((json.dumps(line, ensure_ascii=False) + "\n").encode(errors="xmlcharrefreplace"))
            except OSError as error:
                raise _unusable(self._spool, error) from error

    def close(self) -> None:
        """Publish for the last time and remove the spooled copy, which stays when it cannot be published."""
        self._closed.set()
        self._publisher.join()
        try:
            self._publish()
            if take_lock(self._file.fileno()):
                self._publish()  # what another process of this run wrote meanwhile
                if is_at(self._file.fileno(), self._path):
                    self._path.unlink(missing_ok=True)
        finally:
            self._file.close()
            _OPEN.remove(str(self._path))

    def _opened(self) -> io.FileIO:
        """The spooled file, its lock shared; a new one begins with what an earlier step of this run has published."""
        while True:
            file = self._path.open("a+b", buffering=0)
            try:
                self._published = 0
                if take_lock(file.fileno()) and not os.fstat(file.fileno()).st_size:
                    self._published = self._continue(file)
                share_lock(file.fileno())
                if is_at(file.fileno(), self._path):  # else it was published and removed while we waited
                    return file
            except BaseException:
                file.close()
                raise
            file.close()

    def _continue(self, file: io.FileIO) -> int:
        published = self._store.open(audit_key(self._day, self._run_id))
        if published is None:
            return 0
        with published:
            data = published.read()
        write_all(file, data)
        return len(data)

    def _keep_published(self) -> None:
        while not self._closed.wait(PUBLISH_SECONDS):
            with suppress(OSError):
                os.utime(self._file.fileno())
            with suppress(StorageError):  # the run itself will meet it; the spool keeps the lines
                self._publish()

    def _publish(self) -> None:
        with self._lock:
            size = os.fstat(self._file.fileno()).st_size
        if size == self._published:
            return
        try:
            _copy(self._store, self._file.fileno(), size, audit_key(self._day, self._run_id))
        except OSError as error:
            raise _unusable(self._spool, error) from error
        self._published = size


def _copy(store: ObjectStore, handle: int, size: int, key: str) -> None:
    """Publish the first bytes of an open file, piece by piece; it need not have its name any more."""
    with store.writer(key) as writer:
        start = 0
        while piece := os.pread(handle, min(COPY_BYTES, size - start), start):
            writer.write(piece)
            start += len(piece)
        writer.commit()


def _unusable(spool: Path, error: OSError) -> StorageError:
    return StorageError(
        f"MEDIA_SPOOL={spool} cannot be written ({error.strerror}): free space there or set it to a folder this user "
        "may write."
    )


def _publish_orphans(store: ObjectStore, folder: Path, clock: Callable[[], float] = time.time) -> None:
    """Publish what killed runs left in the spool."""
    for path in folder.glob("date=*/*.jsonl"):
        with suppress(FileNotFoundError):
            if str(path.absolute()) in _OPEN or clock() - path.stat().st_mtime <= ORPHAN_SECONDS:
                continue
            with path.open("r+b") as file:  # NFS locks only what may be written
                if not take_lock(file.fileno()) or not is_at(file.fileno(), path):
                    continue
                if size := os.fstat(file.fileno()).st_size:
                    _copy(store, file.fileno(), size, f"audit/{path.parent.name}/{path.name}")
                path.unlink()
