"""Before a run: doctor, plan."""

from __future__ import annotations

from typing import Annotated

import typer

from media_pipeline.console import ERR, OUT, explained, given_day


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

    with explained(), nullcontext() if plain or as_json else ERR.status("Looking at everything ..."):
        report = examine(Settings.load())
    if as_json:
        typer.echo(printing.as_json(report_facts(report)))
    elif plain:
        typer.echo("\n".join(plain_lines(report)))
    else:
        show_report(OUT, report)
    raise typer.Exit(report.exit_code)


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

    span = (given_day(first), given_day(last))
    with explained(), nullcontext() if as_json else ERR.status("Planning ...") as status:
        result = planned(*span, compare_kept=against, told=lambda text: status.update(text) if status else None)
    if result.unkept:
        ERR.print(printing.printable(f"The plan could not be kept: {result.unkept}"), style="yellow", markup=False)
    if as_json:
        typer.echo(printing.as_json(plan_facts(result.plan, result.where, result.comparison)))
    elif result.comparison is not None:
        show_comparison(OUT, result.comparison)
    else:
        show_plan(OUT, result.plan, result.where)
    fits = result.comparison is not None or all(place.suffices for place in result.plan.places)
    raise typer.Exit(0 if fits else 1)
