"""Questions in SQL: sql."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path
from secrets import token_hex
from stat import S_IMODE
from typing import IO, TYPE_CHECKING, Annotated, Literal

import typer

from media_pipeline.console import BROKEN_PIPE, ERR, OUT, explained, forget, stop

if TYPE_CHECKING:
    from media_pipeline.sql.asking import Asker, QueryRefused
    from media_pipeline.sql.writing import Format


def sql(
    query: Annotated[str | None, typer.Argument(help="The query; - reads it from standard input.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", exists=True, dir_okay=False, help="A file with the query.")
    ] = None,
    tables: Annotated[bool, typer.Option("--tables", help="Show tables, marts and all their columns.")] = False,
    format_: Annotated[
        Literal["table", "csv", "json", "jsonl", "parquet"] | None,
        typer.Option("--format", help="By default what --output ends in, else table."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file, whole or not at all.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows a table shows.")] = 100,
    plan: Annotated[bool, typer.Option("--explain", help="Run it and show the plan: which files were read.")] = False,
    memory_mb: Annotated[int, typer.Option("--memory-mb", min=64, help="Memory for the query in MB.")] = 1024,
    ddl: Annotated[
        Literal["duckdb", "athena", "spark"] | None,
        typer.Option("--ddl", help="Print a script that makes all tables; QUERY then names one table."),
    ] = None,
) -> None:
    """Ask the tables, marts and the audit log in SQL (DuckDB); read only. Without a query: list them.

    A condition on date reads its days only. Exit code 0: answered. 1: a good query could not be answered to its end.
    2: the query or its options are not valid.
    """
    _check_options(query, file, tables, ddl, plan, output)
    with explained(), _while_read():
        if ddl is not None:
            _print_ddl(ddl, query)
            return
        _need_duckdb()
        question = _question(query, file)
        if tables or question is None:
            _list(with_columns=tables)
        else:
            _ask(question, format_, output, rows, plan, memory_mb)


@contextmanager
def _while_read() -> Iterator[None]:
    """Ends the command with BROKEN_PIPE when nobody reads its output any more."""
    try:
        yield
    except BrokenPipeError:
        forget(sys.stdout)
        raise typer.Exit(BROKEN_PIPE) from None


def _check_options(
    query: str | None, file: Path | None, tables: bool, ddl: str | None, plan: bool, output: Path | None
) -> None:
    if sum([query is not None and ddl is None, file is not None, tables, ddl is not None]) > 1:
        raise stop("Give one of them: a QUERY, --file, --tables, or --ddl.")
    if plan and output is not None:
        raise stop("--explain shows a plan and writes no file: leave --output out, or redirect what it shows.")


def _need_duckdb() -> None:
    from importlib.util import find_spec

    if find_spec("duckdb") is None:
        raise stop("media-pipeline sql needs DuckDB, which is not installed: pip install 'media-pipeline[sql]'.")


def _question(query: str | None, file: Path | None) -> str | None:
    try:
        if file is not None:
            return file.read_text("utf-8")
        return sys.stdin.buffer.read().decode() if query == "-" else query
    except UnicodeDecodeError:
        raise stop(f"{file or 'Standard input'} is not UTF-8: give the query in UTF-8.") from None


def _ask(question: str, format_: Format | None, output: Path | None, rows: int, plan: bool, memory_mb: int) -> None:
    from rich.text import Text

    from media_pipeline.escaping import printable
    from media_pipeline.settings import Settings
    from media_pipeline.sql.asking import QueryFailed, QueryRefused, absolute, asker
    from media_pipeline.sql.views import Views
    from media_pipeline.sql.writing import SUFFIXES
    from media_pipeline.storage.opening import open_store

    kind = format_ or (SUFFIXES.get(output.suffix.lower()) if output else None) or "table"
    settings = Settings.load()
    store = open_store(absolute(settings.root, Path.cwd()), settings.spool, settings.concurrency)
    views = Views(store)
    try:
        with asker(store, views, question, memory_mb=memory_mb) as asking:
            if views.without_days:
                names = ", ".join(views.without_days)
                ERR.print(Text(f"No day yet under MEDIA_ROOT={printable(store.url)}: {names}.", style="yellow"))
            if plan:
                from media_pipeline.sql.screen import show_plan

                show_plan(OUT, asking.plan(question))
            else:
                _answer(asking, question, kind, output, rows)
    except QueryRefused as error:
        raise _refused(error) from None
    except QueryFailed as error:
        stop(error)
        raise typer.Exit(1) from None
    except OverflowError:
        stop("The answer has a day or a time outside the years 1 to 9999; cast(... as varchar) shows it.")
        raise typer.Exit(1) from None


def _answer(asking: Asker, question: str, kind: Format, output: Path | None, rows: int) -> None:
    from rich.console import Console

    from media_pipeline.sql.screen import show_answer
    from media_pipeline.sql.writing import WRITERS

    if kind == "parquet" and output is None and sys.stdout.isatty():
        raise stop("Parquet is nothing to look at: give --output FILE, or redirect it.")
    with _sink(output) as sink, asking.ask(question) as reader:
        if kind != "table":
            WRITERS[kind](reader, sink)
        elif output is None and OUT.is_terminal:
            show_answer(OUT, reader, rows)
        else:
            text = io.StringIO()
            show_answer(Console(file=text), reader, rows, folded=False)
            sink.write("".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines()).encode())


@contextmanager
def _sink(output: Path | None) -> Iterator[IO[bytes]]:
    """Where the answer goes: a file that appears when it is whole, the terminal with escapes, or standard output."""
    if output is not None:
        try:
            with _whole(output) as file:
                yield file
        except OSError as error:
            if error.errno is None:  # Arrow's, of what is read
                raise
            why = f"there is no folder {output.parent}" if not output.parent.exists() else error.strerror
            raise stop(f"{output} cannot be written: {why}.") from None
    elif sys.stdout.isatty():
        from media_pipeline.sql.writing import ForTerminal

        yield ForTerminal(sys.stdout)  # type: ignore[misc]
    else:
        # not sys.stdout.buffer: with PYTHONUNBUFFERED it has no buffer, and writes a part of what it is given
        with open(sys.stdout.fileno(), "wb", closefd=False) as file:
            yield file


@contextmanager
def _whole(output: Path) -> Iterator[IO[bytes]]:
    """A file beside it that takes its name at the end, and its mode; what is no file, as a pipe, is written to."""
    if output.is_dir():
        raise IsADirectoryError(EISDIR, "it is a folder")
    if output.exists() and not output.is_file():
        with output.open("wb") as file:
            yield file
        return
    target = output.resolve()  # a link stays one
    beside = target.with_name(f".{target.name}.{token_hex(4)}")
    with beside.open("xb") as file:
        try:
            yield file
            file.close()
            if target.exists():
                beside.chmod(S_IMODE(target.stat().st_mode))
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def _refused(error: QueryRefused) -> typer.Exit:
    from rich.text import Text

    from media_pipeline.escaping import printable

    left = stop(error)
    for line in error.excerpt.split("\n") if error.excerpt else []:
        ERR.print(Text("  " + printable(line), style="dim"), soft_wrap=True)
    return left


def _list(*, with_columns: bool) -> None:
    import duckdb

    from media_pipeline.settings import Settings
    from media_pipeline.sql.described import described
    from media_pipeline.sql.screen import show_listing
    from media_pipeline.sql.views import Views
    from media_pipeline.storage.opening import open_store

    settings = Settings.load()
    views = Views(open_store(settings.root, settings.spool, settings.concurrency))
    with duckdb.connect(":memory:") as connection:
        show_listing(OUT, described(views, connection), with_columns=with_columns)


def _print_ddl(engine: Literal["duckdb", "athena", "spark"], name: str | None) -> None:
    from media_pipeline.settings import Settings
    from media_pipeline.sql.asking import absolute
    from media_pipeline.storage.opening import open_store

    settings = Settings.load()
    if engine != "duckdb":
        from media_pipeline.sql.ddl import statements

        store = open_store(settings.root, settings.spool, settings.concurrency)
        for statement in statements(engine, store, settings.start_date, name):
            typer.echo(statement)
        return
    _need_duckdb()
    import duckdb

    from media_pipeline.sql.session import session

    store = open_store(absolute(settings.root, Path.cwd()), settings.spool, settings.concurrency)
    with duckdb.connect(":memory:") as connection:
        for statement in session(store, connection, name):
            typer.echo(statement, nl=False)
