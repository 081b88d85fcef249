"""What all commands share: two consoles, days as they are typed, and errors as sentences."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NoReturn

import typer
from rich.console import Console

BROKEN_PIPE = 141
"""128 + SIGPIPE: what a shell reports of a program that nobody reads from any more."""


class _Console(Console):
    """Ends the command with BROKEN_PIPE when its reader has left; rich's own 1 means something else to a command."""

    def on_broken_pipe(self) -> NoReturn:
        self.quiet = True
        forget(self.file)
        raise SystemExit(BROKEN_PIPE)


OUT = _Console()
ERR = _Console(stderr=True)


def forget(output: IO[str]) -> None:
    """Python would write what is left once more when it ends, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())


def stop(sentence: object) -> typer.Exit:
    """The sentence in red, and the end of the command with code 2; to be raised."""
    from rich.text import Text

    from media_pipeline.printing import printable

    ERR.print(Text(printable(str(sentence) or type(sentence).__name__), style="red"))
    return typer.Exit(2)


@contextmanager
def explained() -> Iterator[None]:
    """What is wrong with variables or the store as a sentence, and no traceback."""
    from pyarrow import ArrowException

    from media_pipeline.genesys.errors import GenesysError
    from media_pipeline.storage.base import StorageError

    try:
        yield
    except (GenesysError, StorageError, ValueError, OSError, ArrowException) as error:
        raise stop(error) from None


def given_day(text: str) -> dt.date:
    """A day as it was typed; ends the command for what is none."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise stop(f"{text!r} is not a day such as 2026-11-20.") from None


def given_id(text: str) -> None:
    """Ends the command for a recording's id that is empty."""
    if not text:
        raise stop("The recording's id is empty: is a variable not set?")


def given_days(
    what: str, date: str | None, first: str | None, last: str | None, every: bool
) -> tuple[dt.date, dt.date] | None:
    """The first and the last day; None for all."""
    if sum([date is not None, first is not None or last is not None, every]) != 1 or (first is None) != (last is None):
        raise stop(f"Say what to {what} in one way: --date D, or --from D --to D, or --all.")
    start, end = date or first, date or last
    return (given_day(start), given_day(end)) if start and end else None
