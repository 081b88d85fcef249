"""report: write report pages again, from the tables."""

from __future__ import annotations

from typing import Annotated

import typer

from media_pipeline.console import ERR, OUT, explained, given_days


def report(
    date: Annotated[str | None, typer.Option(help="One day, UTC.", metavar="YYYY-MM-DD")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day of a range.", metavar="YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of it, included.", metavar="YYYY-MM-DD")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every day that was ever exported.")] = False,
) -> None:
    """Write the report pages of exported days again, and the calendar; asks Genesys Cloud nothing.

    Runs write them by themselves: this is for days exported by an earlier version, or after tables were restored.
    """
    from media_pipeline.archive import Archive

    span = given_days("report", date, first, last, every)
    with explained(), ERR.status("Writing pages ..."):
        pages, calendar = Archive().write_reports(span)
    OUT.print(f"{pages} page(s) written; all days: {calendar}", highlight=False, soft_wrap=True)
