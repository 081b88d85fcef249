"""Where a recording is, by its id alone: a copy of what the tables say of each file, in a SQLite file of the spool.

A day is read once, and again when its Parquet file is another one; asking costs one listing of the tables' folders,
and a request costs one look-up by key. No table, and no day, is held in memory.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from media_pipeline.storage.base import Stat, StorageError
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.paths import table_key

REFRESH_SECONDS = 15.0
"""How old a look at the tables' folders may be when it is asked for something it does not have, or has otherwise."""
AGAIN_SECONDS = 1.0
"""Not more often than this, whatever is asked for."""
OPENING_SECONDS, OPENING_PAUSE_SECONDS = 5.0, 0.01
WAIT_SECONDS = 8.0
"""How long a request for something unknown waits for the look that is under way."""
CACHE_KB = 256
"""Of each thread's connection; SQLite's own 2 MB would be 200 MB for all threads."""
LISTED = "listed"
"""The status of what only the inventory knows."""
_OUTCOMES, _LISTING = "recording_audio", "recording_inventory"
_FROM_AUDIO = ["recording_id", "conversation_id", "file_index", "status", "reason", "object_key", "content_type"]
_FROM_AUDIO += ["source_size_bytes", "stored_size_bytes", "sha256", "file_name"]
_FROM_LISTING = ["recording_id", "conversation_id", "file_index", "format", "media_type"]
_VERSION = 1
_SCHEMA = """
CREATE TABLE days (day TEXT PRIMARY KEY, source TEXT NOT NULL, size INTEGER NOT NULL, modified REAL NOT NULL);
CREATE TABLE files (
  recording_id TEXT NOT NULL, file_index INTEGER NOT NULL, day TEXT NOT NULL, conversation_id TEXT,
  status TEXT NOT NULL, reason TEXT, object_key TEXT, content_type TEXT, source_size INTEGER, stored_size INTEGER,
  sha256 BLOB, file_name TEXT, PRIMARY KEY (recording_id, file_index, day)
) WITHOUT ROWID;
CREATE INDEX files_by_day ON files (day);
"""
_INSERT = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FIND = (
    "SELECT f.day, f.conversation_id, f.status, f.reason, f.object_key, f.content_type, f.source_size, f.stored_size, "
    "f.sha256, f.file_name, d.modified FROM files f JOIN days d ON d.day = f.day "
    "WHERE f.recording_id = ? AND f.file_index = ? AND (? IS NULL OR f.day = ?) "
    "ORDER BY f.status = 'stored' DESC, f.day DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a recording, as the newest day says that stored it, or else that knows it.

    `table_modified`: when the table was written, in seconds since 1970 by the store's clock.
    """

    recording_id: str
    file_index: int
    day: dt.date
    conversation_id: str | None
    status: str
    reason: str | None
    object_key: str | None
    content_type: str | None
    source_size_bytes: int | None
    stored_size_bytes: int | None
    sha256: str | None
    file_name: str | None
    table_modified: float

    @property
    def format(self) -> str | None:
        """The format by the object's name."""
        return None if self.object_key is None else self.object_key.removesuffix(".gz").rpartition(".")[2]


@contextlib.contextmanager
def _usable() -> Iterator[None]:
    """Tell what is wrong with the file as what is wrong with a store."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"The list of recordings in MEDIA_SPOOL cannot be used: {type(error).__name__}.") from error


class _Held:
    """A thread's connection, and which file it is to; closed when the thread has ended."""

    def __init__(self, connection: sqlite3.Connection, file: os.stat_result) -> None:
        self.connection, self._file = connection, file
        self.close = weakref.finalize(self, connection.close)

    def is_to(self, path: Path) -> bool:
        """Whether the file there is still the same: it may be removed at any time."""
        try:
            return os.path.samestat(self._file, path.stat())
        except OSError:
            return False


class Catalogue:
    """Looks recordings up; safe to use from threads, and from several processes with the same file."""

    def __init__(self, tables: Tables, file: Path) -> None:
        self._tables = tables
        self._file = file
        self._mine = threading.local()
        self._held: weakref.WeakSet[_Held] = weakref.WeakSet()
        self._holding = threading.Lock()
        self._lock = threading.Lock()
        self._looked = float("-inf")

    def find(self, recording_id: str, file_index: int = 0, day: dt.date | None = None) -> Entry | None:
        """What is known of a file without waiting; None when no day that was read knows it. Raises StorageError.

        What was looked at more than REFRESH_SECONDS ago is looked at again beside it, for the next one who asks.
        """
        if time.monotonic() - self._looked > REFRESH_SECONDS:
            self._refresh_beside()
        return self._look_up(recording_id, file_index, day)

    def knows(self, recording_id: str) -> bool:
        """Whether any file of a recording is known, of any day; raises StorageError."""
        try:
            recording_id.encode()
        except UnicodeEncodeError:
            return False
        with _usable():
            found = self._connection().execute("SELECT 1 FROM files WHERE recording_id = ? LIMIT 1", (recording_id,))
            return found.fetchone() is not None

    def days(self) -> list[dt.date]:
        """All days that are known, the newest first."""
        with _usable():
            found = self._connection().execute("SELECT day FROM days ORDER BY day DESC")
            return [dt.date.fromisoformat(day) for (day,) in found]

    def outcomes(self, day: dt.date) -> dict[str, int]:
        """How many files of a day have which status."""
        by_status = "SELECT status, count(*) FROM files WHERE day = ? GROUP BY status ORDER BY 2 DESC, 1"
        with _usable():
            return dict(self._connection().execute(by_status, (str(day),)).fetchall())

    def refresh(self, *, wait_seconds: float = WAIT_SECONDS) -> None:
        """Read what days have changed, unless that was done a moment ago; raises TimeoutError and StorageError."""
        asked = time.monotonic()
        if not self._lock.acquire(timeout=wait_seconds):
            raise TimeoutError
        try:
            if asked - self._looked > AGAIN_SECONDS:
                with _usable():
                    self._read_changed()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close all connections; no thread may ask any more."""
        with self._holding:
            for held in list(self._held):
                held.close()

    def _refresh_beside(self) -> None:
        """In a thread of its own: who asks for what is known does not wait."""
        if self._lock.locked():
            return

        def run() -> None:
            with contextlib.suppress(TimeoutError, StorageError):
                self.refresh(wait_seconds=0)

        threading.Thread(target=run, name="playback-catalogue", daemon=True).start()

    def _look_up(self, recording_id: str, file_index: int, day: dt.date | None) -> Entry | None:
        wanted = None if day is None else str(day)
        try:
            recording_id.encode()
        except UnicodeEncodeError:
            return None  # no id of a table
        with _usable():
            row = self._connection().execute(_FIND, (recording_id, file_index, wanted, wanted)).fetchone()
        if row is None:
            return None
        found, conversation, status, reason, key, kind, source, stored, sha256, name, modified = row
        return Entry(
            recording_id=recording_id,
            file_index=file_index,
            day=dt.date.fromisoformat(found),
            conversation_id=conversation,
            status=status,
            reason=reason,
            object_key=key,
            content_type=kind,
            source_size_bytes=source,
            stored_size_bytes=stored,
            sha256=None if sha256 is None else sha256.hex(),
            file_name=name,
            table_modified=modified,
        )

    def _read_changed(self) -> None:
        present = self._present()
        connection = self._connection()
        known = {
            dt.date.fromisoformat(day): (source, Stat(size, modified))
            for day, source, size, modified in connection.execute("SELECT day, source, size, modified FROM days")
        }
        for day in known.keys() - present.keys():
            with self._writing(connection):
                connection.execute("DELETE FROM files WHERE day = ?", (str(day),))
                connection.execute("DELETE FROM days WHERE day = ?", (str(day),))
        for day in sorted(present, reverse=True):  # yesterday's calls are what is listened to
            if known.get(day) != present[day]:
                self._read_day(connection, day, *present[day])
        self._looked = time.monotonic()

    def _present(self) -> dict[dt.date, tuple[str, Stat]]:
        """The table that tells most of each day, and which file that is now."""
        found: dict[dt.date, tuple[str, Stat]] = {}
        for table in (_LISTING, _OUTCOMES):
            for key, stat in self._tables.store.stats(f"tables/{table}/"):
                with contextlib.suppress(ValueError):
                    day = dt.date.fromisoformat(key.split("/")[-2].removeprefix("date="))
                    if key == table_key(table, day):
                        found[day] = (table, stat)
        return found

    def _read_day(self, connection: sqlite3.Connection, day: dt.date, table: str, stat: Stat) -> None:
        columns = _FROM_AUDIO if table == _OUTCOMES else _FROM_LISTING
        with self._writing(connection):
            connection.execute("DELETE FROM files WHERE day = ?", (str(day),))
            with contextlib.suppress(pa.ArrowException, OSError):  # a damaged table: `verify` is who names it
                rows = self._tables.rows(table, day, columns)
                connection.executemany(_INSERT, (_values(row, str(day)) for row in rows))
            connection.execute(
                "INSERT OR REPLACE INTO days VALUES (?, ?, ?, ?)", (str(day), table, stat.size, stat.modified)
            )

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection; a file of another version, or a damaged one, is begun anew."""
        held: _Held | None = getattr(self._mine, "held", None)
        if held is not None and held.is_to(self._file):
            return held.connection
        with self._holding:
            try:
                connection = self._opened_when_free()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{self._file}{suffix}").unlink(missing_ok=True)
                connection = self._opened_when_free()
            self._mine.held = _Held(connection, self._file.stat())
            self._held.add(self._mine.held)
        return connection

    def _opened_when_free(self) -> sqlite3.Connection:
        """Asking for WAL does not wait for whoever opens or, as the last one, closes the file at that moment."""
        end = time.monotonic() + OPENING_SECONDS
        while True:
            try:
                return self._opened()
            except sqlite3.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(OPENING_PAUSE_SECONDS)

    def _opened(self) -> sqlite3.Connection:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self._file, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.Error:
            connection.close()
            raise
        connection.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        connection.execute("PRAGMA synchronous=OFF")  # it can be made again from the tables
        if self._is_of_this_version(connection):  # without waiting for who is writing a day
            return connection
        with self._writing(connection):
            if not self._is_of_this_version(connection):
                self._looked = float("-inf")
                for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    connection.execute(f'DROP TABLE "{name}"')
                for statement in _SCHEMA.split(";")[:-1]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={_VERSION}")
        return connection

    @staticmethod
    def _is_of_this_version(connection: sqlite3.Connection) -> bool:
        return bool(connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION)

    @contextlib.contextmanager
    def _writing(self, connection: sqlite3.Connection) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _values(row: Row, day: str) -> tuple[object, ...]:
    sha256 = row.get("sha256")
    return (
        row["recording_id"],
        row["file_index"],
        day,
        row.get("conversation_id"),
        row.get("status") or LISTED,
        row.get("reason"),
        row.get("object_key"),
        row.get("content_type"),
        row.get("source_size_bytes"),
        row.get("stored_size_bytes"),
        bytes.fromhex(sha256) if sha256 else None,
        row.get("file_name"),
    )
