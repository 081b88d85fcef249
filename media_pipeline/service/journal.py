"""The service's audit log: one file per process and UTC day, like a run's.

Lines carry callers' names, keys, sizes and reasons; no token, no file name, nothing that was said.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from media_pipeline.audit.log import AuditLog
from media_pipeline.storage.base import ObjectStore, StorageError


class Journal:
    """Appends from any thread; a new day begins a new file."""

    def __init__(self, store: Callable[[], ObjectStore], spool: Path) -> None:
        self._store, self._spool = store, spool
        self._run_id = f"service-{uuid.uuid4().hex[:12]}"
        self._lock = threading.Lock()
        self._log: AuditLog | None = None
        self._day: dt.date | None = None

    def ready(self) -> None:
        """Raise StorageError unless a line could be written; nothing is accepted that cannot be told of."""
        with self._lock:
            self._today()

    def emit(self, event: str, **facts: object) -> None:
        """Append one event."""
        with self._lock:
            self._today().emit(event, None, **facts)

    def emit_about(self, recording_id: str, event: str, **facts: object) -> None:
        """Append one event of a recording."""
        with self._lock:
            self._today().emit(event, recording_id, **facts)

    def close(self) -> None:
        """Publish for the last time; what cannot be published stays in the spool, and a later process publishes it."""
        with self._lock, contextlib.suppress(StorageError):
            if self._log is not None:
                log, self._log = self._log, None
                log.close()

    def _today(self) -> AuditLog:
        day = dt.datetime.now(dt.UTC).date()
        if self._log is None or day != self._day:
            last, self._log = self._log, None
            if last is not None:
                with contextlib.suppress(StorageError):
                    last.close()
            self._log, self._day = AuditLog(self._store(), self._spool, day, self._run_id), day
        return self._log
