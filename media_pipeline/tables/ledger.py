"""What a run has settled so far, recording by recording, so that a crash of process or machine loses none of it.

Each row of recording_audio is appended to a local file in the spool when it is settled, and every 25 s what is new is
published below `ledger/date=.../`. The next run of the day takes these rows as if they stood in the table; once the
table is written they are removed.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from media_pipeline.storage.base import ObjectStore, StorageError, root_name
from media_pipeline.tables.partition import BATCH_ROWS, Row
from media_pipeline.tables.paths import ledger_prefix, safe_name, table_key
from media_pipeline.tables.schemas.recordings import RECORDING_AUDIO

PUBLISH_SECONDS = 25.0
"""The promise is 30 s; the rest is for the upload itself."""
RECORDING_AUDIO_TABLE = "recording_audio"
_ORDER = pa.field("_order", pa.int64())


class Ledger:
    """Rows settled by one run; `add` may be called from any thread."""

    def __init__(
        self, store: ObjectStore, spool: Path, day: dt.date, run_id: str, guard: Callable[[], None] = lambda: None
    ) -> None:
        """`guard` raises StorageError when the day is another run's, which knows better: nothing is published then."""
        self._store, self._day, self._guard = store, day, guard
        self._run = safe_name(run_id)
        folder = spool / "ledger" / root_name(store.url)
        self._folder = folder / f"date={day}"
        self.earlier = settled_rows(store, folder, day)
        """What earlier runs settled."""
        self.written = False
        """Set once the table holds all rows."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = (self._folder / f"{self._run}.{time.time_ns()}.jsonl").open("ab", buffering=0)
        except OSError as error:
            raise _unusable(self._folder, error) from error
        self._lock = threading.Lock()
        self._unpublished: list[bytes] = []
        self._closed = threading.Event()
        self._publisher = threading.Thread(target=self._keep_published, name="ledger-publisher", daemon=True)
        self._publisher.start()

    def add(self, row: Row) -> None:
        """Remember a settled row; it outlives the process when this returns."""
        line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
        with self._lock:
            try:
                self._file.write(line)
            except OSError as error:
                raise _unusable(self._folder, error) from error
            self._unpublished.append(line)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        """End; with the table written, the day's rows of all runs are removed here and in the store."""
        self._closed.set()
        self._publisher.join()
        self._file.close()
        if not self.written:
            with suppress(StorageError):  # the local file has it all
                self._publish()
            return
        for path in self._folder.glob("*.jsonl"):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()
        for key in list(self._store.sizes(ledger_prefix(self._day))):
            self._store.remove(key)

    def _keep_published(self) -> None:
        while not self._closed.wait(PUBLISH_SECONDS):
            with suppress(StorageError):  # the run itself will meet it; the local file keeps the rows
                self._publish()

    def _publish(self) -> None:
        self._guard()
        with self._lock:
            lines, self._unpublished = self._unpublished, []
        if not lines:
            return
        try:
            self._store.flush()  # the rows' objects go before them
            self._store.put(f"{ledger_prefix(self._day)}{self._run}.{time.time_ns()}.jsonl", b"".join(lines))
        except StorageError:
            with self._lock:
                self._unpublished = lines + self._unpublished
            raise


def settled_rows(store: ObjectStore, folder: Path, day: dt.date) -> pa.Table:
    """Rows that earlier runs settled and no table has, each key once with its newest row, sorted by key.

    What is older than the table is left out: another machine may have finished the day that a run was killed on here.
    """
    schema = RECORDING_AUDIO.append(_ORDER)
    batches, rows = [], []
    for order, row in enumerate(_lines(store, folder, day)):
        rows.append({**row, _ORDER.name: order})
        if len(rows) >= BATCH_ROWS:
            batches.append(pa.RecordBatch.from_pylist(rows, schema=schema))
            rows = []
    batches.append(pa.RecordBatch.from_pylist(rows, schema=schema))
    table = pa.Table.from_batches(batches, schema)
    if not table.num_rows:
        return RECORDING_AUDIO.empty_table()
    newest = table.group_by(["recording_id", "file_index"]).aggregate([(_ORDER.name, "max")])[f"{_ORDER.name}_max"]
    # the order is the row's number, so that it can be taken as an index
    return (
        table.take(newest)
        .drop_columns([_ORDER.name])
        .sort_by([("recording_id", "ascending"), ("file_index", "ascending")])
    )


def _lines(store: ObjectStore, folder: Path, day: dt.date) -> Iterator[Row]:
    """All rows, oldest first: what the store has, then what this machine has, which is at least as new."""
    table = table_key(RECORDING_AUDIO_TABLE, day)
    written = dict(store.stats(table.rpartition("/")[0] + "/")).get(table)
    since = written.modified if written is not None else 0.0
    published = [key for key, stat in store.stats(ledger_prefix(day)) if stat.modified >= since]
    for key in sorted(published, key=_moment):
        file = store.open(key)
        if file is not None:
            with file:
                yield from _rows(file.read())
    for path in sorted((folder / f"date={day}").glob("*.jsonl"), key=lambda path: _moment(path.name)):
        if path.stat().st_mtime >= since:
            yield from _rows(path.read_bytes())


def _moment(name: str) -> int:
    """When a file was begun, from its name."""
    text = name.removesuffix(".jsonl").rpartition(".")[2]
    return int(text) if text.isdecimal() else 0


def _rows(data: bytes) -> Iterator[Row]:
    for line in data.splitlines():
        with suppress(ValueError):  # a kill may tear the last line
            row = json.loads(line)
            if isinstance(row, dict) and row.keys() <= set(RECORDING_AUDIO.names) and "recording_id" in row:
                yield row


def _unusable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"MEDIA_SPOOL cannot be written at {folder} ({error.strerror}): free space there or set it to a folder this "
        "user may write."
    )
