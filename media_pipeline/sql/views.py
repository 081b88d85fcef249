"""A view for every table, every mart and the audit log, over the files that are there when the question is asked.

A view names its columns and takes the day from the file's path, so DuckDB opens no file before it knows which days the
question is about; files that lack a column have nulls. A question about all days of a table that has more than
MANY_DAYS reads its months instead, where they were compacted and its days have not changed since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from media_pipeline.escaping import printable
from media_pipeline.sql.scans import scans_of
from media_pipeline.storage.base import ObjectStore, StorageError
from media_pipeline.tables.duckdb_text import as_pattern, quoted
from media_pipeline.tables.months import (
    COMPACTED,
    NOT_COPIED,
    Part,
    day_files,
    days_of,
    reading,
)
from media_pipeline.tables.paths import COMPACTED_FOLDER, MARTS_FOLDER, TABLES_FOLDER
from media_pipeline.tables.schemas import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

AUDIT_FOLDER = "audit"
FOLDERS = (TABLES_FOLDER, COMPACTED_FOLDER, MARTS_FOLDER, AUDIT_FOLDER)
"""All that a question may read below MEDIA_ROOT."""
MANY_DAYS = 62
"""Two months: of a table with no more days these are read, and no months."""
AUDIT = "audit"
DAY = "date"
AUDIT_COLUMNS = (
    ("timestamp", "TIMESTAMP WITH TIME ZONE", "When it happened."),
    ("event", "VARCHAR", "What happened."),
    ("run_id", "VARCHAR", "Dagster's run."),
    ("recording_id", "VARCHAR", "The recording it is about; null for what is about a step or the day."),
    ("correlation_id", "VARCHAR", "Joins all that a run says of one subject, here, in its log and in webhooks."),
    ("facts", "JSON", "The whole line: facts->>'status' and the like."),
)
_DAY_IN_PATH = "/date=([0-9]{4}-[0-9]{2}-[0-9]{2})/[^/]*$"
_TAKES_NAMES = re.compile(r"\bquery(_table)?\b", re.IGNORECASE)
"""Functions that are given a table's name as text, which may be put together."""
_TELLS_COLUMNS = re.compile(r"\b(show|describe|information_schema|(duckdb|pragma)_\w+)\b", re.IGNORECASE)
"""What tells of every view there is, its columns too."""

Typed = list[tuple[str, str]]
"""Columns with DuckDB's names of their types."""


class MartUnreadable(ValueError):
    """A mart whose newest file tells no columns: says which file, why and what to do."""


@dataclass(frozen=True, slots=True)
class Mart:
    """A mart that exists: the files that are read, and whether each is of one day."""

    name: str
    files: tuple[str, ...]
    is_daily: bool


class Views:
    """What there is to ask below one MEDIA_ROOT."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.without_days: list[str] = []
        """Tables that the question means and that have no file."""
        self._long: dict[str, dict[str, str]] = {}
        """Those that have more than MANY_DAYS days and may have months: their files with their tags."""

    @cached_property
    def marts(self) -> dict[str, Mart]:
        """The marts that exist; where one has files of days, an older whole one beside them is not read.

        DuckDB's names have no case: a folder like a table's is no mart, and of two alike the lower-case one is.
        """
        pattern = re.compile(rf"{MARTS_FOLDER}/([^/]+)/(date=\d{{4}}-\d{{2}}-\d{{2}}/)?[^/]+\.parquet")
        daily: dict[str, list[str]] = {}
        whole: dict[str, list[str]] = {}
        for key in self.keys_below(MARTS_FOLDER, ".parquet"):
            if (match := pattern.fullmatch(key)) and match[1].lower() not in (*TABLES, AUDIT):
                (daily if match[2] else whole).setdefault(match[1], []).append(key)
        names = {name.lower(): name for name in sorted({*daily, *whole})}.values()
        return {name: Mart(name, tuple(daily.get(name) or whole[name]), name in daily) for name in names}

    def mart_schema(self, mart: Mart) -> pa.Schema:
        """The columns of the mart's newest file; a daily mart's day comes from the path, whether it is there or not.

        Raises MartUnreadable.
        """
        key = mart.files[-1]
        try:
            file = self._store.open(key)
            if file is None:  # replaced this moment
                raise MartUnreadable(f"The mart {printable(mart.name)} is being replaced; ask again.")
            with file:
                schema = pq.read_schema(file)
        except (pa.ArrowInvalid, OSError) as error:  # Arrow tells a torn footer as an OSError
            why = " ".join((getattr(error, "strerror", None) or str(error)).split()).rstrip(".")
            raise MartUnreadable(
                f"{printable(key)} cannot be read ({printable(why)}): write the mart again, or move the file away."
            ) from error
        if not mart.is_daily:
            return schema
        place = max(schema.get_field_index(DAY), 0)
        fields = [field for field in schema if field.name != DAY]
        return pa.schema([*fields[:place], pa.field(DAY, pa.date32()), *fields[place:]])

    def files_of(self, table: str) -> list[str]:
        """A table's files, day by day."""
        pattern = re.compile(rf"{TABLES_FOLDER}/{table}/date=\d{{4}}-\d{{2}}-\d{{2}}/[^/]+\.parquet")
        return [key for key in self.keys_below(f"{TABLES_FOLDER}/{table}", ".parquet") if pattern.fullmatch(key)]

    def keys_below(self, folder: str, suffix: str) -> list[str]:
        """All keys below a folder that end so, in order."""
        return sorted(self._store.sizes(f"{folder}/", suffix))

    def create(self, connection: DuckDBPyConnection, question: str) -> None:
        """Make all views; those that the question cannot mean are there without rows, marts without their columns.

        Raises MartUnreadable for a mart that it means.
        """
        meant = Meant(question)
        tells_columns = _TELLS_COLUMNS.search(question) is not None
        for table, schema in TABLES.items():
            columns = [*typed(connection, schema), (DAY, "DATE")]
            days = self._files_of(table) if table in meant else {}
            if table in meant and not days:
                self.without_days.append(table)
            if table in COMPACTED and len(days_of(days)) > MANY_DAYS:
                self._long[table] = days
            _create(connection, table, over_parquet(columns, self._patterns(days)))
        for mart in self.marts.values():
            columns, files = _UNOPENED, mart.files if mart.name in meant else ()
            if files:
                columns = typed(connection, self.mart_schema(mart))
            elif tells_columns:
                with suppress(MartUnreadable):
                    columns = typed(connection, self.mart_schema(mart))
            _create(connection, mart.name, over_parquet(columns, self._patterns(files), is_daily=mart.is_daily))
        logs = self.keys_below(AUDIT_FOLDER, ".jsonl") if AUDIT in meant else []
        _create(connection, AUDIT, _audit(self._patterns(logs)))

    def use_months(self, connection: DuckDBPyConnection, plan: Any) -> None:
        """Make views over months where there are any, of the tables of which the question's plan reads all days.

        A question with a condition on days goes on reading the files of these days and no others.
        """
        scans = list(scans_of(plan))
        for table, files in self._long.items():
            may_be = [scan for scan in scans if scan.may_be(TABLES[table].names)]
            if any(scan.means(column) for scan in may_be for column in NOT_COPIED.get(table, ())):
                continue
            if any(scan.is_whole for scan in may_be):
                parts = self._parts(table, files)
                if sum(len(part.keys) for part in parts) < len(files):
                    columns = [*typed(connection, TABLES[table]), (DAY, "DATE")]
                    selects = [
                        over_months(table, columns, self._patterns(part.keys))
                        if part.is_months
                        else over_parquet(columns, self._patterns(part.keys))
                        for part in parts
                    ]
                    _create(connection, table, " union all ".join(selects))

    def _parts(self, table: str, files: dict[str, str]) -> list[Part]:
        """Months and days to be read; the days alone where the copies cannot be: those do not depend on these."""
        with suppress(OSError, ValueError, StorageError):
            return reading(self._store, table, files)
        return [Part(False, sorted(files))]

    def _files_of(self, table: str) -> dict[str, str]:
        """A table's files, day by day, and their tags where these are asked for."""
        return day_files(self._store, table) if table in COMPACTED else dict.fromkeys(self.files_of(table), "")

    def _patterns(self, keys: Iterable[str]) -> list[str]:
        return [as_pattern(f"{self._store.url}/{key}") for key in keys]


_UNOPENED: Typed = [("unread", "VARCHAR")]
"""In place of the columns of a mart that no question is about: a view has one at least."""


class Meant:
    """The names that a question may mean: those that stand in it."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._all = _TAKES_NAMES.search(question) is not None

    def __contains__(self, name: str) -> bool:
        return self._all or re.search(rf"(?<!\w){re.escape(name)}(?!\w)", self._question, re.IGNORECASE) is not None


def typed(connection: DuckDBPyConnection, schema: pa.Schema) -> Typed:
    """Columns as DuckDB types them."""
    relation = connection.from_arrow(schema.empty_table())
    return [(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)]


def named(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _create(connection: DuckDBPyConnection, name: str, select: str) -> None:
    connection.execute(f"create or replace view {named(name)} as {select}")


def over_parquet(columns: Typed, patterns: Sequence[str], *, is_daily: bool = True) -> str:
    """The query behind a view over files that DuckDB finds by patterns; no rows when there are none."""
    if not patterns:
        return _nothing(columns)
    in_file = [(name, kind) for name, kind in columns if not (is_daily and name == DAY)]
    entries = ", ".join(
        f"{quoted(name)}: {{'name': {quoted(name)}, 'type': {quoted(kind)}, 'default_value': null}}"
        for name, kind in in_file
    )
    chosen = ", ".join(_DAY if is_daily and name == DAY else named(name) for name, _ in columns)
    return f"select {chosen} from read_parquet({_list(patterns)}, filename = true, schema = map {{{entries}}})"


def over_months(table: str, columns: Typed, patterns: Sequence[str]) -> str:
    """The query behind a view over months; a column that they lack is an error in whatever row it is asked for."""
    without = NOT_COPIED.get(table, ())
    found = over_parquet([each for each in columns if each[0] not in without], patterns, is_daily=False)
    if not without:
        return found
    lacking = quoted("Ask for a shorter time: this column is in no month.")
    # no constant: that would be an error in every question
    chosen = ", ".join(
        f"case when {DAY} is null then null else error({lacking}) end as {named(name)}"
        if name in without
        else named(name)
        for name, _ in columns
    )
    return f"select {chosen} from ({found})"


def _audit(patterns: Sequence[str]) -> str:
    columns = [*((name, kind) for name, kind, _ in AUDIT_COLUMNS), (DAY, "DATE")]
    if not patterns:
        return _nothing(columns)
    chosen = ", ".join(f"try_cast(json->>{quoted(name)} as {kind}) as {name}" for name, kind in columns[:-2])
    return (
        f"select {chosen}, json as facts, {_DAY} "
        f"from read_ndjson_objects({_list(patterns)}, filename = true, ignore_errors = true) where json is not null"
    )


_DAY = f"try_cast(regexp_extract(filename, {quoted(_DAY_IN_PATH)}, 1) as date) as {DAY}"
"""DuckDB leaves out the files that a condition on this rules out; with a cast that may fail it would not."""


def _nothing(columns: Typed) -> str:
    return f"select {', '.join(f'cast(null as {kind}) as {named(name)}' for name, kind in columns)} where false"


def _list(patterns: Iterable[str]) -> str:
    return "[" + ", ".join(map(quoted, patterns)) + "]"


def days_in(keys: Iterable[str]) -> Iterator[str]:
    """The days that files are of, as their paths name them."""
    return (match[1] for key in keys if (match := re.search(_DAY_IN_PATH, key)))
