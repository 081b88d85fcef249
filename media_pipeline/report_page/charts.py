"""The pictures of the pages, drawn by matplotlib; without it (the extra `reports`) the pages have their tables only.

Narrow, because telephones are: on a wide screen two stand side by side. Each says in words what it shows.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import io
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from media_pipeline.report_page.figures import Figures
from media_pipeline.report_page.runs import bars_of
from media_pipeline.report_page.svg import COLOURS, MARK, inline
from media_pipeline.report_page.units import bytes_text, count_text, day_text, lasting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 380
"""In the SVG's own units: of about the size of a pixel on a telephone."""
_PER_INCH = 72
_TEXT, _SMALL = 13.5, 12.5
DAYS_A_WEEK = 7
MAX_LABEL = 16
MOST_FORMATS = 6
_RC = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": _TEXT,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["soft"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": COLOURS["soft"],
    "ytick.color": COLOURS["soft"],
    "xtick.labelsize": _SMALL,
    "ytick.labelsize": _SMALL,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.8,
    "hatch.linewidth": 1.4,
    "hatch.color": COLOURS["card"],
    "legend.frameon": False,
    "legend.fontsize": _SMALL,
}


def available() -> bool:
    """Whether pictures can be drawn here."""
    return importlib.util.find_spec("matplotlib") is not None


def funnel(figures: Figures) -> str:
    """From what is listed to what has a transcript."""
    stages = figures.funnel
    said = "; ".join(f"{stage.label}: {count_text(stage.files)}" for stage in stages)
    with _drawing("funnel", 30 * len(stages) + 8, "From the listing to the transcript", said) as (axes, finished):
        axes.set_position((160 / WIDTH, 0, 160 / WIDTH, 1))
        axes.set_axis_off()
        most = max(stages[0].files, 1)
        for place, stage in enumerate(stages):
            axes.barh(place, 1, height=0.62, color=COLOURS["faint"], clip_on=False)
            (bar,) = axes.barh(place, stage.files / most, height=0.62, color=COLOURS["accent"], clip_on=False)
            bar.set_gid(f"{MARK}{stage.name}={stage.files}")
            axes.text(-0.04, place, stage.label, ha="right", va="center")
            axes.text(1.04, place, count_text(stage.files), ha="left", va="center", fontweight="bold")
        axes.set_xlim(0, 1)
        axes.set_ylim(len(stages) - 0.5, -0.5)
    return finished()


def storage(figures: Figures) -> str:
    """Bytes before and after compression by media type and format; nothing without any."""
    rows = [row for row in figures.storage or [] if row["source_bytes"]][:MOST_FORMATS]
    if not rows:
        return ""
    names = [f"{shown(row['format'] or 'none', MAX_LABEL)} ({shown(row['media_type'] or 'none', 8)})" for row in rows]
    said = "; ".join(
        f"{name}: {bytes_text(row['source_bytes'])} before, {bytes_text(row['stored_bytes'])} as stored"
        for name, row in zip(names, rows, strict=True)
    )
    with _drawing("storage", 44 * len(rows) + 30, "Bytes before and after compression", said) as (axes, finished):
        height = 44 * len(rows) + 30
        axes.set_position((118 / WIDTH, 0, 180 / WIDTH, 1 - 28 / height))
        axes.set_axis_off()
        most = max(max(row["source_bytes"], row["stored_bytes"]) for row in rows)
        for place, (name, row) in enumerate(zip(names, rows, strict=True)):
            axes.text(-0.03, place, name, ha="right", va="center")
            for column, offset, colour in (("source_bytes", -0.2, "soft"), ("stored_bytes", 0.2, "accent")):
                label = {"source_bytes": "before compression", "stored_bytes": "as stored"}[column]
                (bar,) = axes.barh(
                    place + offset,
                    row[column] / most,
                    height=0.36,
                    color=COLOURS[colour],
                    label=None if place else label,
                    clip_on=False,
                )
                bar.set_gid(f"{MARK}{column}.{place}={row[column]}")
                axes.text(row[column] / most + 0.02, place + offset, bytes_text(row[column]), va="center", size=_SMALL)
        axes.set_xlim(0, 1)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        _legend(axes, 2, -118 / 180)
    return finished()


def calls(figures: Figures) -> str:
    """Calls, refusals and retries of the run with most calls, over its time; nothing without any."""
    run = figures.runs.busiest
    if run is None or not run.over_time:
        return ""
    wide, bars = bars_of(run)
    totals = [sum(getattr(bar, name) for bar in bars) for name in ("calls", "refused", "retries")]
    said = (
        f"Run {run.run_id[:8]}, in steps of {lasting(wide)}: {count_text(totals[0])} calls and downloads, "
        f"{count_text(totals[1])} refused with 429, {count_text(totals[2])} retries; most in one step: "
        f"{count_text(max(bar.calls for bar in bars))} calls."
    )
    with _drawing("calls", 190, "Calls, refusals and retries over the time of the busiest run", said) as (
        axes,
        finished,
    ):
        axes.set_position((44 / WIDTH, 40 / 190, (WIDTH - 56) / WIDTH, 118 / 190))
        unit, name = (60, "minutes") if wide * len(bars) > 300 else (1, "seconds")
        places = [(bar.from_second + wide / 2) / unit for bar in bars]
        broad = 0.86 * wide / unit
        drawn = axes.bar(places, [bar.calls for bar in bars], broad, color=COLOURS["accent"], label="calls")
        for number, bar in enumerate(bars):
            drawn[number].set_gid(f"{MARK}calls.{number}={bar.calls}")
        if totals[1]:
            refused = [bar.refused for bar in bars]
            drawn = axes.bar(places, refused, broad, color=COLOURS["bad"], hatch="////", label="429")
            for number, bar in enumerate(bars):
                drawn[number].set_gid(f"{MARK}refused.{number}={bar.refused}")
        if totals[2]:
            retries = [bar.retries for bar in bars]
            axes.plot(places, retries, color=COLOURS["card"], linewidth=4.5)  # a rim, or it would be lost on the bars
            (line,) = axes.plot(
                places, retries, color=COLOURS["ink"], marker="o", markersize=3.5, linewidth=1.6, label="retries"
            )
            line.set_gid(f"{MARK}retries={totals[2]}")
        axes.set_xlim(0, wide * len(bars) / unit)
        axes.set_ylim(0, max(1, max(bar.calls for bar in bars)) * 1.05)
        axes.set_xlabel(f"{name} from the run's first step on", size=_SMALL)
        _few_ticks(axes)
        _legend(axes, 3, 0)
    return finished()


def trend(figures: Figures) -> str:
    """Recordings a day over four weeks, days that are not complete by hatch and colour; nothing for a first day."""
    if len(figures.trend) < 2:
        return ""
    days = [day for day, _ in figures.trend]
    open_days = {day for day, totals in figures.trend if totals is not None and not totals.is_settled}
    if not figures.verdict.complete:
        open_days.add(figures.day)
    missing = [day for day, totals in figures.trend if totals is None]
    files = [0 if totals is None else totals.listed for _, totals in figures.trend]
    said = (
        f"{len(days)} days to {figures.day}: {count_text(min(files))} to {count_text(max(files))} recording files a "
        f"day; {len(open_days)} days not complete, {len(missing)} never exported."
    )
    with _drawing("trend", 190, "Recording files a day", said) as (axes, finished):
        axes.set_position((44 / WIDTH, 24 / 190, (WIDTH - 66) / WIDTH, 134 / 190))
        drawn = dict[str, Any]()
        for place, (day, number) in enumerate(zip(days, files, strict=True)):
            kind = "not complete" if day in open_days else "complete"
            drawn[kind] = axes.bar(
                place,
                number,
                0.8,
                label=kind if kind not in drawn else None,
                color=COLOURS["warn" if day in open_days else "accent"],
                hatch="////" if day in open_days else None,
            )
            drawn[kind][0].set_gid(f"{MARK}{day}={number}")
        gone = [place for place, day in enumerate(days) if day in missing]
        if gone:
            height = max(max(files), 1) * 0.04
            axes.plot(gone, [height] * len(gone), "x", color=COLOURS["bad"], markersize=5, label="never exported")
        axes.set_xlim(-0.6, len(days) - 0.4)
        axes.set_ylim(0, max(max(files), 1) * 1.05)
        ticks = list(range(len(days) - 1, -1, -7))
        axes.set_xticks(ticks, [day_text(days[place]) for place in ticks])
        _few_ticks(axes, only_y=True)
        _legend(axes, 3, 0)
    return finished()


def volume(days: list[tuple[dt.date, int, int]]) -> str:
    """Recordings a week over all days (day, files, stored bytes); weeks with days that were not exported are hatched.

    Nothing for less than three weeks.
    """
    weeks, exported = Counter[dt.date](), Counter[dt.date]()
    for day, files, _ in days:
        monday = day - dt.timedelta(days=day.weekday())
        weeks[monday] += files
        exported[monday] += 1
    if len(weeks) < 3:
        return ""
    first, last = min(weeks), max(weeks)
    mondays = [first + dt.timedelta(weeks=n) for n in range((last - first).days // 7 + 1)]
    files_a_week = [weeks[monday] for monday in mondays]
    partial = sum(exported[monday] < DAYS_A_WEEK for monday in mondays)
    said = (
        f"{len(mondays)} weeks from {first} on: {count_text(min(files_a_week))} to {count_text(max(files_a_week))} "
        f"recording files a week, {count_text(sum(files_a_week))} in all; {partial} weeks not exported on all days."
    )
    with _drawing("volume", 186, "Recording files a week", said, width=900) as (axes, finished):
        axes.set_position((52 / 900, 26 / 186, (900 - 84) / 900, 134 / 186))
        told = set[str]()
        for place, (monday, number) in enumerate(zip(mondays, files_a_week, strict=True)):
            whole = exported[monday] == DAYS_A_WEEK
            label = "all days exported" if whole else "not all days exported"
            (bar,) = axes.bar(
                place,
                number,
                0.8,
                color=COLOURS["accent"],
                hatch=None if whole else "////",
                label=None if label in told else label,
            )
            bar.set_gid(f"{MARK}{monday}={number}")
            told.add(label)
        axes.set_xlim(-0.8, len(mondays) - 0.2)
        axes.set_ylim(0, max(max(files_a_week), 1) * 1.08)
        step = max(1, len(mondays) // 9)
        ticks = list(range(0, len(mondays), step))
        form = "%b %Y" if len(mondays) > 40 else "%-d %b"
        begun = [max(monday, days[0][0]) for monday in mondays]
        axes.set_xticks(ticks, [begun[place].strftime(form) for place in ticks])
        _few_ticks(axes, only_y=True)
        _legend(axes, 2, 0.6)  # where a telephone begins to show it: at the newest
    return finished()


def shown(text: str, most: int) -> str:
    """A name from outside, short and without what could turn a line of text around or break XML."""
    printable = "".join(each if unicodedata.category(each)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for each in text)
    return printable if len(printable) <= most else printable[: most - 1] + "…"


@contextmanager
def _drawing(
    name: str, height: int, title: str, description: str, *, width: int = WIDTH
) -> Iterator[tuple[Axes, Callable[[], str]]]:
    """Axes to draw on, and what gives the picture afterwards."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    options: Any = _RC | {"svg.hashsalt": name}  # without salt ids are random
    with rc_context(options), warnings.catch_warnings():
        # texts stay texts: the reader's fonts have what the one they are measured with lacks
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width / _PER_INCH, height / _PER_INCH))
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.patch.set_visible(False)
        written = io.StringIO()
        yield axes, lambda: inline(written.getvalue(), name, title, description)
        figure.savefig(written, format="svg", metadata={"Date": None})


def _legend(axes: Axes, columns: int, left: float) -> None:
    handles, labels = axes.get_legend_handles_labels()
    lines_last = sorted(range(len(labels)), key=lambda place: hasattr(handles[place], "get_linestyle"))
    axes.legend(
        [handles[place] for place in lines_last],
        [labels[place] for place in lines_last],
        loc="lower left",
        bbox_to_anchor=(left, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        borderpad=0,
        handlelength=1,
        handleheight=0.9,
        handletextpad=0.5,
        columnspacing=1.2,
    )


def _few_ticks(axes: Axes, *, only_y: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.grid(visible=True, axis="y")
    axes.tick_params(axis="x", pad=8)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    if not only_y:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _short(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= 10 * size or (value >= size and value % (size / 10) == 0):
            return f"{value / size:g}{unit}"
    return f"{value:,.0f}"
