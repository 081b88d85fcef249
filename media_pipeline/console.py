"""What all commands share: two consoles, days as they are typed, and errors as sentences."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

OUT = Console()
ERR = Console(stderr=True)


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


def given_days(
    what: str, date: str | None, first: str | None, last: str | None, every: bool
) -> tuple[dt.date, dt.date] | None:
    """The first and the last day; None for all."""
    if sum([date is not None, first is not None or last is not None, every]) != 1 or (first is None) != (last is None):
        raise stop(f"Say what to {what} in one way: --date D, or --from D --to D, or --all.")
    start, end = date or first, date or last
    return (given_day(start), given_day(end)) if start and end else None
