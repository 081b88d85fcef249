"""Redaction of what was exported: redact, redact-audio."""

from __future__ import annotations

from typing import Annotated

import typer

from media_pipeline.console import ERR, OUT, explained, given_day, given_days


def redact(
    date: Annotated[str | None, typer.Option(help="One day, UTC.", metavar="YYYY-MM-DD")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day of a range.", metavar="YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of it, included.", metavar="YYYY-MM-DD")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every day that has transcripts.")] = False,
    drop: Annotated[bool, typer.Option("--drop-unredacted", help="Remove the days' copies under unredacted/.")] = False,
) -> None:
    """Redact transcripts and sidecars of days that were written before this version's redaction.

    Days that are up to date are not touched. Exit code 1: a run works on some of the days; run this again afterwards.
    """
    from media_pipeline import printing
    from media_pipeline.redaction import Redaction

    span = given_days("redact", date, first, last, every)
    with explained(), ERR.status("Looking for raw days ...") as status:
        outcome = Redaction().days(
            span, drop_unredacted=drop, progress=lambda day: status.update(f"Redacting {day} ...")
        )
    printing.show_redaction(OUT, outcome)
    raise typer.Exit(1 if outcome.held else 0)


def redact_audio(
    recording_id: Annotated[str, typer.Argument(help="The recording's id at Genesys Cloud.", show_default=False)],
    date: Annotated[str | None, typer.Option(help="Its day, to look nowhere else.", metavar="YYYY-MM-DD")] = None,
    by_channel: Annotated[
        bool,
        typer.Option("--by-channel", help="Silence the segment's channel only: if the audio's are numbered alike."),
    ] = False,
) -> None:
    """Write a copy of a recording in which the redacted segments are silent (uncompressed WAV only).

    The copy lies at redacted/<object key>; the recording stays as it is. Exit code 1: its format cannot be silenced.
    """
    from media_pipeline import printing
    from media_pipeline.privacy.silence import CannotSilence
    from media_pipeline.redaction import Redaction
    from media_pipeline.storage.ranges import UnreadableError

    day = given_day(date) if date is not None else None
    try:
        with explained():
            silenced = Redaction().audio(recording_id, day, by_channel=by_channel)
    except (CannotSilence, UnreadableError) as error:
        ERR.print(printing.printable(f"{error} No copy was written."), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None
    printing.show_silenced(OUT, silenced)
