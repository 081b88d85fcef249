"""media-pipeline: the command line. Commands parse, call one room, and print; they decide nothing."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Genesys Cloud media, complete and verified.",
)
_out = Console()
_err = Console(stderr=True)

Day = Annotated[str, typer.Option(metavar="YYYY-MM-DD")]


def _stop(sentence: object) -> typer.Exit:
    _err.print(f"[red]{type(sentence).__name__ if not str(sentence) else sentence}[/red]", highlight=False, markup=True)
    return typer.Exit(2)


@app.command()
def export(
    date: Annotated[str | None, typer.Option(help="One finished day, UTC.", metavar="YYYY-MM-DD")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day of a range.", metavar="YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of it, included.", metavar="YYYY-MM-DD")] = None,
    recording: Annotated[list[str] | None, typer.Option(help="One recording again; repeat for more.")] = None,
) -> None:
    """Export finished days, or single recordings, in this process: the same job that Dagster runs."""
    from media_pipeline.genesys.errors import GenesysError
    from media_pipeline.progress_bar import ProgressBar

    ways = [date is not None, first is not None or last is not None, bool(recording)]
    if sum(ways) != 1 or (first is None) != (last is None):
        raise _stop("Say what to export in one way: --date D, or --from D --to D, or --recording ID.")
    try:
        from media_pipeline.exporter import ExportFailed, RecordingExporter

        with ProgressBar(_err) as progress:
            exporter = RecordingExporter(progress=progress)
            if recording:
                result = exporter.export_recordings(recording)
            else:
                result = exporter.export_range(date or first or "", date or last or "")
    except (ValueError, GenesysError, ExportFailed) as error:
        raise _stop(error) from None
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result["recordings"].items()))
    _out.print(
        f"{result['days']} day(s): {counts or 'no recordings'}; {result['total_bytes'] / 1e6:,.1f} MB fetched in "
        f"{result['elapsed_seconds']:.1f} s ({result['throughput_mbps']:.1f} MB/s).",
        highlight=False,
    )
    if not result["complete"]:
        raise _stop("Not complete: see status, reason and detail in recording_audio, then export again.")


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8099,
    seed: Annotated[int, typer.Option(help="Another seed, another org.")] = 7,
    days: Annotated[int, typer.Option(help="How many days there are recordings of.")] = 3,
    per_day: Annotated[int, typer.Option(help="Recordings a day.")] = 180,
    end: Annotated[
        str | None, typer.Option(help="The last of those days; default yesterday.", metavar="YYYY-MM-DD")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="A file of faults to rehearse (TOML).")] = None,
    transcode_seconds: Annotated[
        int, typer.Option(help="When recordings that are being prepared become ready; 0 = never.")
    ] = 0,
) -> None:
    """Serve a local Genesys Cloud org with calls that speak; nothing leaves this machine."""
    try:
        from media_pipeline.sandbox.options import SandboxOptions
        from media_pipeline.sandbox.serve import serve
    except ModuleNotFoundError as error:
        raise _stop(f"The sandbox needs {error.name}: pip install 'media-pipeline[sandbox]'.") from None
    try:
        last = dt.date.fromisoformat(end) if end else None
        chosen = {} if last is None else {"end": last}
        serve(
            SandboxOptions(
                port=port,
                seed=seed,
                days=days,
                per_day=per_day,
                rules=rules,
                transcode_seconds=transcode_seconds,
                **chosen,
            )
        )
    except (ValueError, OSError) as error:
        raise _stop(error) from None


@app.command()
def demo(
    root: Annotated[Path, typer.Option(help="Where the demo's files go.")] = Path("data/demo"),
    per_day: Annotated[int, typer.Option(help="Recordings of the day.")] = 180,
) -> None:
    """Take yesterday from the sandbox to Parquet, and answer what an analyst would ask."""
    from media_pipeline.demo import run_demo

    sys.exit(run_demo(root, per_day, _out))


if __name__ == "__main__":
    app()
