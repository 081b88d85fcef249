"""Messages on their way to receivers, on this machine's disk: what is pending, delivered, dead; survives kill -9.

SQLite below MEDIA_SPOOL, one file per archive. A message is deleted from the outbox only after it lies here.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from media_pipeline.notify.events import Message
from media_pipeline.notify.webhooks import Webhook
from media_pipeline.storage.base import StorageError, root_name

PENDING, DELIVERED, DEAD, DROPPED = "pending", "delivered", "dead", "dropped"
KEEP_SECONDS = 30 * 24 * 3600.0
"""How long delivered and dropped messages are remembered, against one that a killed run hands over again."""
KEEP_DEAD_SECONDS = 90 * 24 * 3600.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (id TEXT PRIMARY KEY, type TEXT, date TEXT, body BLOB, taken REAL);
CREATE TABLE IF NOT EXISTS deliveries (
  message TEXT REFERENCES messages ON DELETE CASCADE, receiver TEXT, host TEXT, state TEXT, attempts INTEGER,
  since REAL, due REAL, problem TEXT, PRIMARY KEY (message, receiver));
CREATE INDEX IF NOT EXISTS due ON deliveries (state, due);
CREATE TABLE IF NOT EXISTS pauses (receiver TEXT PRIMARY KEY, until REAL);
"""
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_COLUMNS = "m.id, m.type, m.date, d.receiver, d.host, d.state, d.attempts, d.since, d.due, d.problem"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one receiver; `since` and `due` in seconds since 1970."""

    message_id: str
    type: str
    date: str
    receiver: str
    host: str
    state: str
    attempts: int
    since: float
    due: float
    problem: str | None


class Queue:
    """The queue of one archive; may be used by one thread, and by several processes at a time."""

    def __init__(self, spool: Path, root_url: str, clock: Callable[[], float] = time.time) -> None:
        folder = spool / "callbacks"
        self.path = folder / f"{root_name(root_url)}.sqlite3"
        self._clock = clock
        try:
            spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=20.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")  # a commit outlives the machine's power
            self._db.execute("PRAGMA foreign_keys=ON")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, messages: Iterable[Message], receivers: Sequence[Webhook]) -> int:
        """Put messages in for each receiver, durably, all or none; those it knows are left alone. The number of new."""
        new, now = 0, self._clock()
        with self._transaction():
            for message in messages:
                row = (message.id, message.type, message.date, message.body, now)
                if not self._execute("INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?)", row).rowcount:
                    continue
                new += 1
                for each in receivers:
                    self._execute(
                        "INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, 0, ?, ?, NULL)",
                        (message.id, each.fingerprint, each.host, PENDING, now, now),
                    )
        return new

    def due(self, receivers: Sequence[str], limit: int) -> list[tuple[Delivery, bytes]]:
        """Pending deliveries whose time has come to receivers that are not paused, the longest due first."""
        marks = ", ".join("?" * len(receivers))
        now = self._clock()
        rows = self._execute(
            f"SELECT {_COLUMNS}, m.body FROM deliveries d JOIN messages m ON m.id = d.message "  # noqa: S608  names
            f"WHERE d.state = ? AND d.due <= ? AND d.receiver IN ({marks}) "
            "AND d.receiver NOT IN (SELECT receiver FROM pauses WHERE until > ?) ORDER BY d.due, m.taken LIMIT ?",
            (PENDING, now, *receivers, now, limit),
        )
        return [(Delivery(*row[:-1]), row[-1]) for row in rows.fetchall()]

    def delivered(self, delivery: Delivery) -> None:
        """The receiver took it."""
        self._change(delivery, DELIVERED, delivery.attempts + 1, 0.0, None)

    def failed(self, delivery: Delivery, problem: str, wait_seconds: float | None) -> None:
        """It did not arrive: try again after the wait, or never (None)."""
        state, due = (PENDING, self._clock() + wait_seconds) if wait_seconds is not None else (DEAD, 0.0)
        self._change(delivery, state, delivery.attempts + 1, due, problem)

    def pause(self, receiver: str, seconds: float) -> None:
        """Send nothing to a receiver for a while: it asked for that."""
        self._execute("INSERT OR REPLACE INTO pauses VALUES (?, ?)", (receiver, self._clock() + seconds))

    def expire(self, older_than_seconds: float) -> int:
        """Give up pending deliveries that are this old, and forget what is long over; the number given up."""
        now = self._clock()
        problem = "coalesce(problem, 'never tried: the webhook did not answer or is no longer in MEDIA_WEBHOOKS')"
        dead = self._execute(
            f"UPDATE deliveries SET state = ?, problem = {problem} WHERE state = ? AND since < ?",  # noqa: S608
            (DEAD, PENDING, now - older_than_seconds),
        ).rowcount
        self._execute(
            "DELETE FROM messages WHERE taken < ? AND id NOT IN (SELECT message FROM deliveries WHERE state = ?) "
            "AND (taken < ? OR id NOT IN (SELECT message FROM deliveries WHERE state = ?))",
            (now - KEEP_SECONDS, PENDING, now - KEEP_DEAD_SECONDS, DEAD),
        )
        return dead

    def all(self, *states: str) -> Iterator[Delivery]:
        """Deliveries in these states, oldest first."""
        marks = ", ".join("?" * len(states))
        yield from (
            Delivery(*row)
            for row in self._execute(
                f"SELECT {_COLUMNS} FROM deliveries d JOIN messages m ON m.id = d.message "  # noqa: S608  names
                f"WHERE d.state IN ({marks}) ORDER BY m.taken, m.id",
                states,
            )
        )

    def counts(self) -> dict[str, int]:
        """Deliveries by state."""
        return dict(self._execute("SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state").fetchall())

    def retry(self, message_ids: Sequence[str] | None) -> int:
        """Begin anew with dead and pending ones, at once: these messages, or all (None); the number of deliveries."""
        now = self._clock()
        with self._transaction():
            self._execute("DELETE FROM pauses")
            changed = 0
            for where, values in _chosen(message_ids):
                changed += self._execute(
                    "UPDATE deliveries SET state = ?, attempts = 0, since = ?, due = ? "  # noqa: S608  our own text
                    f"WHERE state IN (?, ?){where}",
                    (PENDING, now, now, PENDING, DEAD, *values),
                ).rowcount
        return changed

    def drop(self, message_ids: Sequence[str] | None) -> int:
        """Give up these messages, or all dead ones (None), for good; the number of deliveries."""
        states = (DEAD, DEAD) if message_ids is None else (PENDING, DEAD)
        with self._transaction():
            return sum(
                self._execute(
                    f"UPDATE deliveries SET state = ? WHERE state IN (?, ?){where}",  # noqa: S608  our own text
                    (DROPPED, *states, *values),
                ).rowcount
                for where, values in _chosen(message_ids)
            )

    def _change(self, delivery: Delivery, state: str, attempts: int, due: float, problem: str | None) -> None:
        self._execute(
            "UPDATE deliveries SET state = ?, attempts = ?, due = ?, problem = ? "
            "WHERE message = ? AND receiver = ? AND state = ?",  # it may have been dropped meanwhile
            (state, attempts, due, problem, delivery.message_id, delivery.receiver, PENDING),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk may have rolled back by itself
                self._db.execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def _execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> StorageError:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            return StorageError(
                f"The queue of callbacks {self.path} is damaged ({error}): move it away, with its -wal and -shm files. "
                "A new one is made then; messages that waited in this one are not sent."
            )
        return StorageError(
            f"The queue of callbacks cannot be kept in {self.path.parent} ({error}): free space there, or set "
            "MEDIA_SPOOL to a local folder this user may write."
        )


def _chosen(message_ids: Sequence[str] | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    if message_ids is None:
        yield "", ()
    for message_id in message_ids or ():
        yield " AND message = ?", (message_id,)
