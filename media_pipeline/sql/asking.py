"""One question to a DuckDB that can read the views' files and nothing else, and change nothing."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media_pipeline.sql.described import mart_pages
from media_pipeline.sql.views import FOLDERS, MartUnreadable, Views
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.duckdb_text import as_pattern, quoted

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

BATCH_ROWS = 10_000
S3_THREADS = 8
"""Reading from S3 is waiting, more than these cores can do at once."""
MEMORY_MB = 1024
MOST_SPILLED = "20GB"
_WRITES = re.compile(r"COPY|INSERT|UPDATE|DELETE(?!_)|MERGE(?!_JOIN)|CREATE|ATTACH|EXPORT")
"""In the names of the operators of a plan: COPY may stand in a WITH, and its statement is a SELECT all the same.

PIECEWISE_MERGE_JOIN only reads.
"""
_NO_TABLE = re.compile(r"Table with name (\w+) does not exist")
_DUCKDBS_OWN = {"bit", "bignum", "union", "variant", "geometry", "uhugeint", "time with time zone"}
"""Types whose bytes mean something to DuckDB only; in Arrow the last two would lose their sign and their offset."""
_NESTED = {"list", "array", "struct", "map"}
_EXPLAIN = "explain (format json) "
_UNWELL = ("Parser", "Binder", "Catalog", "Conversion", "Invalid Type", "Mismatch Type", "Not implemented")
"""Kinds of errors that are the question's own."""


class QueryRefused(Exception):
    """A question that cannot be asked: what is wrong in one sentence, and the line it stands in with a mark below."""

    def __init__(self, sentence: str, excerpt: str = "") -> None:
        super().__init__(sentence)
        self.excerpt = excerpt


class QueryFailed(Exception):
    """A good question that could not be answered: too little memory, a file that cannot be read."""


class Asker:
    """A connection for questions; each is one statement that only reads."""

    def __init__(self, connection: DuckDBPyConnection, views: Views, memory_mb: int) -> None:
        self._connection = connection
        self._views = views
        self._memory_mb = memory_mb

    @contextmanager
    def ask(self, question: str) -> Iterator[pa.RecordBatchReader]:
        """The answer, in batches that are computed as they are taken; raises QueryRefused, QueryFailed."""
        self._check(question)
        with self._explained(question):
            relation = self._connection.sql(question)
            for name, kind in zip(relation.columns, relation.types, strict=True):
                if _is_duckdbs_own(kind):
                    raise QueryRefused(
                        f"The column {name} is of DuckDB's type {kind}, which other programs do not know: "
                        "cast(... as varchar) shows it."
                    )
            yield relation.to_arrow_reader(BATCH_ROWS)

    def plan(self, question: str) -> str:
        """How DuckDB answered, with what it read: `Scanning Files: 1/365`."""
        self._check(question)
        with self._explained(question, len("explain analyze ")):
            return str(self._connection.sql(f"explain analyze {question}").fetchall()[0][1])

    def _check(self, question: str) -> None:
        import duckdb

        with self._explained(question):
            statements = self._connection.extract_statements(question)
        if len(statements) != 1:
            raise QueryRefused("Ask one thing at a time: there is no query." if not statements else _SEVERAL)
        kind = statements[0].type
        if kind != duckdb.StatementType.SELECT:
            raise QueryRefused(_OTHERWISE.get(kind.name, _READS))
        if names := statements[0].named_parameters:
            raise QueryRefused(f"Put the value in the place of ${min(names)}: there is nothing that would fill it in.")
        with self._explained(question, len(_EXPLAIN)):
            plan = json.loads(self._connection.sql(_EXPLAIN + question).fetchall()[0][1])
        if any(_WRITES.search(name) for name in _operators(plan)):
            raise QueryRefused(_READS)
        self._views.use_months(self._connection, plan)

    @contextmanager
    def _explained(self, question: str, before: int = 0) -> Iterator[None]:
        """DuckDB's errors as ours; `before`: how many bytes were put before the question."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            raise self._in_words(error, question, before) from None
        except OSError as error:  # of a later batch: Arrow passes DuckDB's error on as its own
            if '{"exception_type"' not in str(error):
                raise
            raise self._in_words(error, question, before) from None

    def _in_words(self, error: Exception, question: str, before: int) -> Exception:
        told = _told(error)
        message = re.sub(r"\s+", " ", str(told["exception_message"])).strip()
        kind = str(told.get("exception_type", ""))
        if kind == "Out of Memory":
            why = str(told["exception_message"]).strip().split("\n")[0]  # what follows are settings, which are locked
            return QueryFailed(
                f"The query needs more memory than {self._memory_mb:,} MB: give it more with --memory-mb, or ask for "
                f"fewer days at a time. ({why})"
            )
        if kind == "Permission":
            return QueryRefused("A query reads the tables, the marts and audit, by their names, and no file beside.")
        if (missing := _NO_TABLE.search(message)) and missing[1].lower() in mart_pages():
            return QueryRefused(
                f"The mart {missing[1]} is not built yet: run Dagster's job dbt_reports_build, or dbt build by hand."
            )
        place = _place(question, int(told["position"]) - before) if "position" in told else None
        if place is None:
            own = kind in _UNWELL
            return QueryRefused(f"The query is not valid: {message}") if own else QueryFailed(_unanswered(message))
        line, column, excerpt = place
        return QueryRefused(f"The query is not valid at line {line}, column {column}: {message}", excerpt)


@contextmanager
def asker(
    store: ObjectStore, views: Views, question: str, *, memory_mb: int = MEMORY_MB, threads: int | None = None
) -> Iterator[Asker]:
    """A locked connection with the views that the question means; raises QueryFailed for a mart it cannot read."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="media-pipeline-sql-") as folder:
        config: dict[str, Any] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            "errors_as_json": "true",
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": folder,
            "max_temp_directory_size": MOST_SPILLED,
        }
        with duckdb.connect(":memory:", config=config) as connection:
            connection.execute("set TimeZone = 'UTC'")
            if "://" in store.url:
                from media_pipeline.storage.arrow_s3 import s3_filesystem

                connection.register_filesystem(s3_filesystem())
            if threads or "://" in store.url:
                connection.execute(f"set threads = {threads or S3_THREADS}")
            try:
                views.create(connection, question)
            except MartUnreadable as error:
                raise QueryFailed(str(error)) from None
            _lock(connection, store.url)
            yield Asker(connection, views, memory_mb)


def _lock(connection: DuckDBPyConnection, url: str) -> None:
    """From here on no file but those below the folders is opened, no extension loaded, and no setting changed."""
    roots = dict.fromkeys((url, as_pattern(url)))  # compared as the views spell it, then as it is
    folders = ", ".join(quoted(f"{root}/{folder}/") for root in roots for folder in FOLDERS)
    connection.execute(f"set allowed_directories = [{folders}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


_READS = "A query only reads: it begins with select, with, from, values, pivot, describe, summarize or show."
_SEVERAL = "Ask one thing at a time: this is more than one statement."
_OTHERWISE = {
    "EXPLAIN": "Give the query without explain, and --explain beside it.",
    "MULTI": "Name the values that become columns: pivot ... on status in ('stored', 'failed') using count(*).",
}


def _is_duckdbs_own(kind: Any) -> bool:
    return kind.id in _DUCKDBS_OWN or (
        kind.id in _NESTED and any(_is_duckdbs_own(part) for _, part in kind.children if not isinstance(part, int))
    )


def _operators(plan: Any) -> Iterator[str]:
    for node in plan:
        yield str(node.get("name", ""))
        yield from _operators(node.get("children", []))


def _told(error: Exception) -> dict[str, Any]:
    """DuckDB's own account of an error, which is JSON behind the error's kind."""
    text = str(error)
    try:
        return dict(json.loads(text[text.index("{") :]))
    except ValueError:
        kind, _, message = text.partition(" Error: ")
        return {"exception_type": kind if message else "", "exception_message": message or text}


def _unanswered(message: str) -> str:
    return f"The query could not be answered to its end: {message}"


def _place(question: str, position: int) -> tuple[int, int, str] | None:
    """Line and column of a place given in bytes, from 1, and the line with a mark below it."""
    data = question.encode()
    if not 0 <= position <= len(data):
        return None
    head = data[:position].decode(errors="ignore")
    number, column = head.count("\n"), len(head) - head.rfind("\n") - 1
    line = question.split("\n")[number]
    return number + 1, column + 1, f"{line}\n{' ' * column}^"


def absolute(root: str, folder: Path) -> str:
    """MEDIA_ROOT without `~` and, when it is a path, seen from `folder`: DuckDB's lock compares whole paths."""
    return root.rstrip("/") if "://" in root else str((folder / Path(root).expanduser()).resolve())
