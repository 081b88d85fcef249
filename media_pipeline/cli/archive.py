"""The archive: export, verify, explain."""

from __future__ import annotations

from typing import Annotated

import typer

from media_pipeline.console import ERR, OUT, explained, given_day, given_days, given_id, stop


def export(
    date: Annotated[str | None, typer.Option(help="One finished day, UTC.", metavar="YYYY-MM-DD")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day of a range.", metavar="YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of it, included.", metavar="YYYY-MM-DD")] = None,
    recording: Annotated[
        list[str] | None, typer.Option(help="One recording again; repeat for more.", metavar="ID")
    ] = None,
) -> None:
    """Export finished days, or single recordings, in this process: the same job that Dagster runs.

    Exit code 0: every day is complete. 2: one is not, or could not be exported, or bad usage.
    """
    from media_pipeline.genesys.errors import GenesysError
    from media_pipeline.progress_bar import ProgressBar

    for each in recording or ():
        given_id(each)
    ways = [date is not None, first is not None or last is not None, bool(recording)]
    if sum(ways) != 1 or (first is None) != (last is None):
        raise stop("Say what to export in one way: --date D, or --from D --to D, or --recording ID.")
    try:
        from media_pipeline.exporter import ExportFailed, RecordingExporter

        with ProgressBar(ERR) as progress:
            exporter = RecordingExporter(progress=progress)
            if recording:
                result = exporter.export_recordings(recording)
            else:
                result = exporter.export_range(date or first or "", date or last or "")
    except (ValueError, GenesysError, ExportFailed) as error:
        raise stop(error) from None
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result["recordings"].items()))
    OUT.print(
        f"{result['days']} day(s): {counts or 'no recordings'}; {result['total_bytes'] / 1e6:,.1f} MB fetched in "
        f"{result['elapsed_seconds']:.1f} s ({result['throughput_mbps']:.1f} MB/s).",
        highlight=False,
    )
    if result["kept"]:
        OUT.print(
            f"What is stored of {result['kept']} of them stayed: the source gave nothing that could take its place "
            "(`media-pipeline explain ID` says what it answered).",
            highlight=False,
        )
    if not result["complete"]:
        raise stop("Not complete: see status, reason and detail in recording_audio, then export again.")


def verify(
    date: Annotated[str | None, typer.Option(help="One day, UTC.", metavar="YYYY-MM-DD")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day of a range.", metavar="YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of it, included.", metavar="YYYY-MM-DD")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every day that was ever exported.")] = False,
    sample: Annotated[int | None, typer.Option(min=1, help="Re-read so many random objects instead of all.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="With --sample: draw the same objects again.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Re-read objects and compare them with the tables; list orphans and missing ones. Changes nothing.

    Exit code 0: all good. 1: something is missing, changed, unreadable or contradicts its table. 2: bad usage.
    """
    from contextlib import nullcontext

    from media_pipeline import printing
    from media_pipeline.archive import Archive
    from media_pipeline.progress_bar import OneBar

    span = given_days("verify", date, first, last, every)
    if seed is not None and sample is None:
        raise stop("--seed chooses the objects of a --sample N: give both.")
    with explained():
        archive = Archive()
        with nullcontext() if as_json else OneBar(ERR) as bar:
            result = archive.verify(span, sample=sample, seed=seed, progress=bar)
    if as_json:
        typer.echo(printing.as_json(printing.verification_facts(result)))
    else:
        printing.show_verification(OUT, result)
    raise typer.Exit(1 if result.losses else 0)


def explain(
    recording_id: Annotated[str, typer.Argument(help="The recording's id at Genesys Cloud.", show_default=False)],
    date: Annotated[str | None, typer.Option(help="Its day, to look nowhere else.", metavar="YYYY-MM-DD")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Tell one recording's whole story: listed when, each attempt, what it is now and why, what to do.

    Exit code 0: told. 1: nobody knows the id. 2: bad usage.
    """
    from media_pipeline import printing
    from media_pipeline.archive import Archive

    given_id(recording_id)
    day = given_day(date) if date is not None else None
    with explained(), ERR.status("Looking for it, newest day first ..."):
        story = Archive().story(recording_id, day)
    if as_json:
        typer.echo(printing.as_json(printing.story_facts(story)))
    elif story.days:
        printing.show_story(OUT, story)
    else:
        ERR.print(printing.printable(story.searched_sentence), style="red", markup=False, highlight=False)
    raise typer.Exit(0 if story.days else 1)
