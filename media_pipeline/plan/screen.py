"""A plan, and a plan against what came of it, for a person in 80 columns or as JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from media_pipeline.plan.calls import TRANSCRIPT_OPERATIONS
from media_pipeline.plan.compare import Comparison, Line
from media_pipeline.plan.model import DayPlan, Plan, Term, as_document

MOST_DAYS = 31
"""Longer ranges are shown by the month."""
FEW = 100
"""Recordings below which calls per 1,000 would mislead: they are the day's, not theirs."""
CLOSE_SHARE = 0.1
STATES = {"complete": "complete", "partly": "in part", "to_export": "to export"}
UNITS = {"platform": "conversations", "guide": "recordings"}


def plan_facts(plan: Plan, where: str | None, comparison: Comparison | None) -> dict[str, Any]:
    """The plan, where it is kept and, after the backfill, what came of it, for machines."""
    compared = None if comparison is None else comparison.facts()
    return {"plan": as_document(plan), "kept_as": where, "actual": compared}


def show_plan(out: Console, plan: Plan, where: str | None) -> None:
    """Days, totals with their basis, the formula, space; one closing sentence."""
    _line(out, f"Plan for {_span(plan)}", style="bold")
    out.print(_days(plan))
    if not plan.open_days:
        _line(out, "Every day is complete: there is nothing to export.", style="green")
        return
    out.print(_totals(plan))
    _line(out, "\nAPI calls, by kind", style="bold")
    out.print(_formula(plan))
    short = [place.variable for place in plan.places if not place.suffices]
    if short:
        _line(out, f"\nNot enough space at {' and '.join(short)}: free some, or export fewer days.", style="red")
    if where is not None:
        _line(out, f"\nKept as {where}. After the backfill, the same command compares.", style="dim")


def show_comparison(out: Console, comparison: Comparison) -> None:
    """Planned, actual and the difference, figure by figure."""
    plan = comparison.plan
    _line(out, f"Plan of {plan.made_at:%Y-%m-%d %H:%M} UTC against actual", style="bold")
    _line(out, _span(plan), style="dim")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("figure")
    for name in ("planned", "actual", "difference"):
        table.add_column(name, justify="right")
    for line in comparison.lines:
        table.add_row(line.name, _figure(line, line.planned), _figure(line, line.actual), _difference(line))
    out.print(table)
    runs = f"{comparison.runs} run{'' if comparison.runs == 1 else 's'}"
    _line(out, f"{len(comparison.days)} of the plan's {len(plan.open_days)} days were exported since, in {runs}.")


def _span(plan: Plan) -> str:
    return f"{plan.first} to {plan.last}: {_days_in_words(len(plan.days))}, {len(plan.open_days)} to export"


def _days_in_words(number: int) -> str:
    return f"{number:,} day{'' if number == 1 else 's'}"


def _days(plan: Plan) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("month" if len(plan.days) > MOST_DAYS else "day", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("recordings", "download", "API calls", "for transcripts"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, state, days in _rows(plan):
        if all(day.state == "complete" for day in days):
            table.add_row(name, state, "", "", "", "", style="dim")
        else:
            table.add_row(name, state, *_sums(days))
    if len(plan.open_days) > 1:
        table.add_row("total", "", *_sums(list(plan.days)), style="bold")
    return table


def _rows(plan: Plan) -> Iterator[tuple[str, str, list[DayPlan]]]:
    if len(plan.days) <= MOST_DAYS:
        for day in plan.days:
            yield str(day.day), STATES[day.state], [day]
        return
    for month, group in groupby(plan.days, key=lambda day: f"{day.day:%Y-%m}"):
        days = list(group)
        left = sum(day.state != "complete" for day in days)
        yield month, f"{left} to export" if left else "complete", days


def _sums(days: list[DayPlan]) -> list[str]:
    return [
        _sum(day.recordings for day in days),
        _size(sum(day.source_bytes for day in days)),
        _sum(day.calls for day in days),
        _sum(day.transcript_calls for day in days),
    ]


def _sum(figures: Iterable[float]) -> str:
    """Of each day's figure as it is shown, so that a column adds up."""
    return f"{sum(map(round, figures)):,}"


def _totals(plan: Plan) -> Table:
    figures = plan.figures
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")

    def row(label: str, text: str, basis: str = "", style: str = "") -> None:
        grid.add_row(Text(label, style="bold"), Text(text, style=style))
        if basis:
            grid.add_row("", Text(basis, style="dim"))

    grid.add_row("", "")
    entries = sum(day.entries for day in plan.days)
    row(
        "listed", f"{entries:,} {UNITS[plan.dialect]} on {_days_in_words(len(plan.open_days))}", f"by {plan.counted_by}"
    )
    per_file = f"{_size(figures.bytes_per_file)} a recording" if figures.files else "nothing to measure"
    row("download", _size(plan.source_bytes), f"{per_file}, by {figures.basis}")
    rests = f"this plan took {plan.calls_spent}"
    if plan.recordings >= FEW:
        rests = f"{plan.calls * 1000 / plan.recordings:,.0f} per 1,000 recordings, transcripts apart; {rests}"
    _, _, calls, transcript_calls = _sums(list(plan.days))
    row("API calls", f"{calls}, and {transcript_calls} for transcripts", rests)
    known = "no earlier run tells how long transfers take"
    if plan.run_minutes is not None:
        known = f"runs took {figures.seconds_per_file or 0:.2f} s a recording so far: {_time(plan.run_minutes)}"
    at_rate = f"{_time(plan.rate_minutes)} at {plan.calls_per_minute} calls a minute ({plan.rate_basis})"
    least = "" if plan.run_minutes is not None else "at least "
    row("time", least + _time(plan.minutes), f"{at_rate}; {known}")
    for place in plan.places:
        free = "space not limited"
        if place.free is not None:
            free = f"{_size(place.free)} free, {_size(place.reserved)} of it reserved"
        text = f"{_size(place.needed)} needed, {free}"
        row(place.variable, text, place.where, style="" if place.suffices else "red")
    share = figures.stored_share
    told = "as if gzip saved nothing" if share is None else f"with the {share:.0%} that gzip left of earlier days"
    flight = f"{plan.concurrency} of the largest ({_size(figures.largest_bytes)}) in flight"
    grid.add_row("", Text(f"reckoned {told}, and {flight}", style="dim"))
    return grid


def _formula(plan: Plan) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for term in plan.terms:
        apart = ", apart" if term.operation in TRANSCRIPT_OPERATIONS else ""
        table.add_row(term.operation, _factor(term), f"per {_unit(plan, term)}{apart}", term.basis)
    return table


def _unit(plan: Plan, term: Term) -> str:
    entry = {"platform": "conversation", "guide": "recording"}[plan.dialect]
    pages = {"platform": "1,000 conversations", "guide": "page of 200"}[plan.dialect]
    return {"entry": entry, "page": pages, "batch": "100 conversations", "file": "recording"}.get(term.unit, term.unit)


def _factor(term: Term) -> str:
    return f"{term.factor:,.3g}"


def _size(number: float) -> str:
    for unit, each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= each:
            amount = number / each
            return f"{amount:,.0f} {unit}" if amount >= 100 else f"{amount:.3g} {unit}"
    return f"{number:.0f} B"


def _time(minutes: float) -> str:
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    if minutes < 100:
        return f"{minutes:.1f} min"
    return str(dt.timedelta(minutes=round(minutes))).removesuffix(":00") + " h"


def _figure(line: Line, value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.{line.digits}f}"


def _difference(line: Line) -> Text:
    share = line.difference
    if share is None:
        return Text("")
    return Text(f"{share:+.1%}", style="green" if abs(share) <= CLOSE_SHARE else "yellow")


def _line(out: Console, text: str, style: str = "") -> None:
    out.print(Text(text, style=style))
