"""Puts finished files below MEDIA_ROOT: the database, and each day of a mart whose rows changed.

Imports neither dagster nor dbt.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.paths import MARTS_FOLDER, ONE_FILE

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

ROW_GROUP_ROWS = 100_000
THREADS = 4
"""Days of a mart that are written at the same time: S3 takes its time over each."""
_BLOCK_BYTES = 1024 * 1024


class Published(NamedTuple):
    """What is known of a day's file: what its rows were made of, its bytes' SHA-256, and the store's tag of it."""

    content: str
    sha256: str
    tag: str | None


def publish(store: ObjectStore, file: Path, key: str) -> int:
    """Put a finished file under its key as every other object, whole or not at all; returns its size in bytes."""
    with store.writer(key) as sink, file.open("rb") as source:
        shutil.copyfileobj(source, sink, _BLOCK_BYTES)
        return sink.commit()


def mart_key(mart: str, day: dt.date) -> str:
    """The Parquet file of one mart's day."""
    return f"{MARTS_FOLDER}/{mart}/date={day}/{ONE_FILE}"


@dataclass(frozen=True)
class MartDays:
    """The days of one mart in the database, on their way to MEDIA_ROOT.

    `keeps_days`: its rows of a day change only when the day's tables do; else the rows themselves are compared.
    """

    connection: DuckDBPyConnection
    store: ObjectStore
    mart: str
    relation: str
    keeps_days: bool

    def publish(self, working: Path) -> int:
        """Write the days that are others than below MEDIA_ROOT, each whole; returns the number of files written.

        Every exported day has a file, one without rows too. A file that is equal already is not touched; one that was
        altered or removed meanwhile is written again; what belongs to no day any more is removed.
        """
        wanted, known, tags = self._contents(), self._known(), self._tags()
        due = {day for (day,) in self._fetched("select date from raw.due_days")}
        for key in sorted(tags.keys() - {mart_key(self.mart, day) for day in wanted}):
            if key.endswith(".parquet"):
                self.store.remove(key)
        with tempfile.TemporaryDirectory(dir=working) as folder, ThreadPoolExecutor(THREADS) as pool:

            def settle(day: dt.date) -> tuple[str, bool]:
                before, tag = known.get(day), tags.get(mart_key(self.mart, day))
                same_rows = before is not None and before.content == wanted[day] and day not in due
                return self._settle(day, before, tag, same_rows, Path(folder))

            settled = dict(zip(wanted, pool.map(settle, wanted), strict=True))
        self.store.flush()
        tags = self._tags()
        self._note(
            {
                day: Published(wanted[day], sha256, tags.get(mart_key(self.mart, day)))
                for day, (sha256, _) in settled.items()
            }
        )
        return sum(written for _, written in settled.values())

    def _settle(
        self, day: dt.date, known: Published | None, tag: str | None, same_rows: bool, folder: Path
    ) -> tuple[str, bool]:
        """See to it that the day's file is right; its SHA-256, and whether it was written."""
        key = mart_key(self.mart, day)
        untouched = (
            known is not None and tag is not None and (known.tag == tag or _sha256(self.store, key) == known.sha256)
        )
        if known is not None and untouched and same_rows:
            return known.sha256, False
        file = folder / f"{day}.parquet"
        with self._cursor() as cursor:
            sha256 = self._write(cursor, day, file)
        if known is not None and untouched and known.sha256 == sha256:
            file.unlink()
            return sha256, False
        self.store.publish(file, key, soon=True)
        return sha256, True

    def _write(self, cursor: DuckDBPyConnection, day: dt.date, path: Path) -> str:
        """One day as Parquet, ordered by key, in row groups of fixed length: equal rows give equal bytes."""
        import pyarrow.parquet as pq

        rows = cursor.sql(f"select * exclude (date) from {self.relation} where date = '{day}' order by all")  # noqa: S608
        reader = rows.to_arrow_reader(ROW_GROUP_ROWS)
        with pq.ParquetWriter(path, reader.schema, compression="zstd") as file:
            for group in _row_groups(reader):
                file.write_table(group)
        with path.open("rb") as written:
            return hashlib.file_digest(written, "sha256").hexdigest()

    def _contents(self) -> dict[dt.date, str]:
        """What each day's rows are made of, for all days that have a file."""
        found = "select date, fingerprint from raw.days where has_report order by date"
        if not self.keeps_days:
            found = (
                f"select date, coalesce(md5(string_agg(rows::varchar, chr(10) order by rows::varchar)), '') "  # noqa: S608
                f"from {self.relation} as rows full join (select date from raw.days where has_report) using (date) "
                "group by date order by date"
            )
        return dict(self._fetched(found))

    def _known(self) -> dict[dt.date, Published]:
        found = f"select date, content, sha256, tag from builds.published where mart = '{self.mart}'"  # noqa: S608
        return {day: Published(*facts) for day, *facts in self._fetched(found)}

    def _tags(self) -> dict[str, str]:
        return dict(self.store.tags(f"{MARTS_FOLDER}/{self.mart}/"))

    def _cursor(self) -> DuckDBPyConnection:
        """A cursor of its own, in UTC: it does not take the time zone over, and would write times in the machine's."""
        cursor = self.connection.cursor()
        cursor.execute("set TimeZone = 'UTC'")
        return cursor

    def _fetched(self, query: str) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            return cursor.execute(query).fetchall()

    def _note(self, now: dict[dt.date, Published]) -> None:
        with self._cursor() as cursor:
            cursor.begin()
            cursor.execute("delete from builds.published where mart = ?", [self.mart])
            columns = [list(column) for column in zip(*now.values(), strict=True)] or [[], [], []]
            cursor.execute(
                "insert into builds.published select ?, unnest(?::date[]), unnest(?::varchar[]), "
                "unnest(?::varchar[]), unnest(?::varchar[])",
                [self.mart, list(now), *columns],
            )
            cursor.commit()


def _row_groups(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """What a reader gives, in tables of ROW_GROUP_ROWS and one of the rest: its own batches are of any length."""
    import pyarrow as pa

    waiting = reader.schema.empty_table()
    for batch in reader:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while waiting.num_rows >= ROW_GROUP_ROWS:
            yield waiting.slice(0, ROW_GROUP_ROWS)
            waiting = waiting.slice(ROW_GROUP_ROWS)
    if waiting.num_rows:
        yield waiting


def _sha256(store: ObjectStore, key: str) -> str | None:
    found = store.open(key)
    if found is None:
        return None
    with found:
        digest = hashlib.sha256()
        while block := found.read(_BLOCK_BYTES):
            digest.update(block)
        return digest.hexdigest()
