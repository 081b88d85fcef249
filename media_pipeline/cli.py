"""media-pipeline: the command line. Commands parse, call one room, and print; they decide nothing."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from media_pipeline.console import ERR as _err
from media_pipeline.console import OUT as _out
from media_pipeline.console import explained as _explained
from media_pipeline.console import given_day as _given_day
from media_pipeline.console import given_days as _given_days
from media_pipeline.console import stop as _stop

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Genesys Cloud media, complete and verified.",
)
tokens = typer.Typer(no_args_is_help=True, help="Tokens of the service.")
app.add_typer(tokens, name="token")


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

    span = _given_days("verify", date, first, last, every)
    if seed is not None and sample is None:
        raise _stop("--seed chooses the objects of a --sample N: give both.")
    with _explained():
        archive = Archive()
        with nullcontext() if as_json else OneBar(_err) as bar:
            result = archive.verify(span, sample=sample, seed=seed, progress=bar)
    if as_json:
        typer.echo(printing.as_json(printing.verification_facts(result)))
    else:
        printing.show_verification(_out, result)
    raise typer.Exit(1 if result.losses else 0)


@app.command()
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

    day = _given_day(date) if date is not None else None
    with _explained(), _err.status("Looking for it, newest day first ..."):
        story = Archive().story(recording_id, day)
    if as_json:
        typer.echo(printing.as_json(printing.story_facts(story)))
    elif story.days:
        printing.show_story(_out, story)
    else:
        _err.print(printing.printable(story.searched_sentence), style="red", markup=False, highlight=False)
    raise typer.Exit(0 if story.days else 1)


@app.command()
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

    span = _given_days("redact", date, first, last, every)
    with _explained(), _err.status("Looking for raw days ...") as status:
        outcome = Redaction().days(
            span, drop_unredacted=drop, progress=lambda day: status.update(f"Redacting {day} ...")
        )
    printing.show_redaction(_out, outcome)
    raise typer.Exit(1 if outcome.held else 0)


@app.command()
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

    day = _given_day(date) if date is not None else None
    try:
        with _explained():
            silenced = Redaction().audio(recording_id, day, by_channel=by_channel)
    except (CannotSilence, UnreadableError) as error:
        _err.print(printing.printable(f"{error} No copy was written."), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None
    printing.show_silenced(_out, silenced)


@app.command()
def doctor(
    plain: Annotated[bool, typer.Option("--plain", help="One line a check, columns by tabs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Tell whether a day could be exported right now: hosts, credentials, permissions, storage, versions.

    Exit code 0: yes, warnings allowed. 1: something fails. 2: the variables do not name an org and a client.
    """
    from contextlib import nullcontext

    from media_pipeline import printing
    from media_pipeline.doctor.examine import examine
    from media_pipeline.doctor.screen import plain_lines, report_facts, show_report
    from media_pipeline.settings import Settings

    with _explained(), nullcontext() if plain or as_json else _err.status("Looking at everything ..."):
        report = examine(Settings.load())
    if as_json:
        typer.echo(printing.as_json(report_facts(report)))
    elif plain:
        typer.echo("\n".join(plain_lines(report)))
    else:
        show_report(_out, report)
    raise typer.Exit(report.exit_code)


@app.command()
def plan(
    first: Annotated[str, typer.Option("--from", help="First day.", metavar="YYYY-MM-DD", show_default=False)],
    last: Annotated[str, typer.Option("--to", help="Last day, included.", metavar="YYYY-MM-DD", show_default=False)],
    against: Annotated[
        bool | None,
        typer.Option(
            "--compare/--anew", help="Compare a kept plan with what came, or plan anew.  [default: by itself]"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Tell what a backfill will bring and cost before it is begun; after it, plan against actual.

    Exit code 0: planned, or compared. 1: the space does not suffice. 2: it cannot be planned.
    """
    from contextlib import nullcontext

    from media_pipeline import printing
    from media_pipeline.plan.command import planned
    from media_pipeline.plan.screen import plan_facts, show_comparison, show_plan

    span = (_given_day(first), _given_day(last))
    with _explained(), nullcontext() if as_json else _err.status("Planning ...") as status:
        result = planned(*span, compare_kept=against, told=lambda text: status.update(text) if status else None)
    if result.unkept:
        _err.print(printing.printable(f"The plan could not be kept: {result.unkept}"), style="yellow", markup=False)
    if as_json:
        typer.echo(printing.as_json(plan_facts(result.plan, result.where, result.comparison)))
    elif result.comparison is not None:
        show_comparison(_out, result.comparison)
    else:
        show_plan(_out, result.plan, result.where)
    fits = result.comparison is not None or all(place.suffices for place in result.plan.places)
    raise typer.Exit(0 if fits else 1)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Where to listen; off loopback only with tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
) -> None:
    """Serve the HTTP API: recordings to play, voice messages in, cleanup, health, metrics. Ends in peace on SIGTERM."""
    try:
        from media_pipeline.service.serve import serve as run
    except ModuleNotFoundError as error:
        raise _stop(f"The service needs {error.name}: pip install 'media-pipeline[serve]'.") from None
    from media_pipeline.settings import Settings

    with _explained():
        run(Settings.load(), host, port, lambda sentence: print(sentence, flush=True))


@app.command()
def link(
    recording_id: Annotated[str, typer.Argument(help="The recording's id at Genesys Cloud.", show_default=False)],
    subject: Annotated[str, typer.Option(help="Who is going to listen; plays are logged with it.", show_default=False)],
    expires: Annotated[int, typer.Option(help="Seconds it works; a week at most.")] = 900,
    file: Annotated[int, typer.Option(min=0, help="Of a recording with several files.")] = 0,
    download: Annotated[bool, typer.Option("--download", help="It may be kept as a file.")] = False,
    base: Annotated[str, typer.Option(help="Where the service is reached.")] = "http://127.0.0.1:8080",
) -> None:
    """Sign a link that plays one recording for one person, through `media-pipeline serve`. Needs MEDIA_LINK_KEY."""
    from media_pipeline.listening import signed_link
    from media_pipeline.settings import Settings

    with _explained():
        path = signed_link(
            Settings.load(),
            recording_id,
            subject=subject,
            seconds=expires,
            scope="download" if download else "listen",
            file_index=file,
        )
    typer.echo(base.rstrip("/") + path)


@tokens.command("new")
def new_token(
    name: Annotated[str, typer.Option(help="Who will use it; audit lines carry this name.", show_default=False)],
    scope: Annotated[list[str], typer.Option(help="What it is for; repeat for more.", show_default=False)],
) -> None:
    """Make a token for the service: shown once, kept nowhere; the entry for MEDIA_SERVICE_TOKENS holds its hash."""
    from media_pipeline.service.tokens import new_token as made

    with _explained():
        token, entry = made(name, scope)
    typer.echo(f"token: {token}\nentry: {entry}")


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
    rate_limit: Annotated[int, typer.Option(help="API calls a minute and client; 0 = any number.")] = 0,
    lacks: Annotated[
        list[str] | None, typer.Option(help="A permission the client lacks; repeat for more.", metavar="PERMISSION")
    ] = None,
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
                rate_limit=rate_limit,
                lacks=tuple(lacks or ()),
                **chosen,
            )
        )
    except (ValueError, OSError) as error:
        raise _stop(error) from None


@app.command()
def demo(
    root: Annotated[Path, typer.Option(help="Where the demo's files go.")] = Path("data/demo"),
    per_day: Annotated[int, typer.Option(help="Recordings of the day.")] = 180,
    dialect: Annotated[
        Literal["platform", "guide"], typer.Option(help="Which of the sandbox's two APIs.")
    ] = "platform",
) -> None:
    """Take yesterday from the sandbox to Parquet, and answer what an analyst would ask."""
    from media_pipeline.demo import run_demo

    sys.exit(run_demo(root, per_day, _out, dialect))


if __name__ == "__main__":
    app()
