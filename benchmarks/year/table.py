"""From figures to Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.year.building import Build
from benchmarks.year.questions import Measured

_COLUMNS = {
    "tables": "tables",
    "session": "tables, session",
    "session_months": "months, session",
    "months": "months, by hand",
    "hive": "days, by hand",
    "marts": "marts",
    "session_marts": "marts, session",
    "database": "marts' DuckDB file",
}
_MERGED = {"session": "session_merged", "session_months": "session_merged", "session_marts": "session_merged"}
"""Which connection over merged files a way is compared with, where that is not `merged`: the one of its settings."""
Found = Mapping[str, Mapping[str, Measured]]
MOST_OF_TABLES, MOST_OF_MARTS = 2.5, 1.2
"""What a group-by over the year may take, with one merged file as 1."""


def of_questions(queries: Mapping[str, str], found: Found) -> list[str]:
    """Seconds of each documented question, and in brackets how many times those of merged files."""
    lines = _head("question", "merged files")
    for name, ways in found.items():
        title = queries[name].splitlines()[0].removeprefix("-- ")
        cells = [_cell(ways, way) for way in _COLUMNS]
        lines.append(f"| {title} (`{name}`) | " + " | ".join(cells) + f" | {ways['merged'].seconds:.3f} s |")
    return lines


def of_group_bys(found: Found) -> list[str]:
    """The same for bare group-bys, with CPU time behind the slash; how many keep what is promised of them."""
    lines = _head("group-by over all days", "merged file")
    for query, ways in found.items():
        cells = [_cell(ways, way, with_cpu=True) for way in _COLUMNS]
        lines.append(f"| `{query}` | " + " | ".join(cells) + f" | {ways['merged'].seconds:.3f} s |")
    for way, title in _COLUMNS.items():
        most = MOST_OF_MARTS if "mart" in title else MOST_OF_TABLES
        asked = [ways for ways in found.values() if way in ways]
        for other, settings in {"merged": "DuckDB's own", _MERGED.get(way, "merged"): "the same"}.items():
            ratios = [ways[way].against(ways[other]) for ways in asked]
            for kind, number in (("by the clock", 0), ("of CPU", 1)) if ratios else ():
                kept = sum(ratio[number] <= most for ratio in ratios)
                lines += [
                    "",
                    f"{title}: {kept} of {len(ratios)} take at most {most} times one merged file with {settings} "
                    f"settings {kind}, {min(r[number] for r in ratios):.2f} to {max(r[number] for r in ratios):.2f}.",
                ]
    return lines


def of_the_least(query: str, ways: Mapping[str, Measured]) -> list[str]:
    """What one group-by takes by hand where a day's file holds its column alone."""
    clock, cpu = ways["least"].against(ways["merged"])
    return [
        f"`{query}` by hand from a file a day that holds this one column, without statistics: "
        f"{ways['least'].seconds:.3f} s, {clock:.2f} times one merged file by the clock and {cpu:.2f} of CPU."
    ]


def of_plans(plans: Mapping[str, list[str]]) -> list[str]:
    """How many of its tables' files each dated question reads."""
    lines = ["| dated question | files read, table by table |", "|---|---|"]
    return lines + [f"| `{name}` | {', '.join(read)} |" for name, read in plans.items()]


def of_builds(whole: Build, more: Build) -> list[str]:
    """What the marts cost: all days at once, then one more."""
    lines = ["| model | all days but one | one more day |", "|---|---|---|"]
    for name in sorted(whole.models, key=lambda name: -whole.models[name]):
        lines.append(f"| {name} | {whole.models[name]:.1f} s | {more.models.get(name, 0.0):.2f} s |")
    lines.append(f"| all of `dbt build`, tests included | {whole.seconds:.0f} s | {more.seconds:.0f} s |")
    lines.append(f"| peak memory | {whole.peak_mb:.0f} MB | {more.peak_mb:.0f} MB |")
    return lines


def _head(first: str, last: str) -> list[str]:
    titles = [first, *_COLUMNS.values(), last]
    return [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]


def _against(ways: Mapping[str, Measured], way: str) -> tuple[float, float]:
    return ways[way].against(ways[_MERGED.get(way, "merged")])


def _cell(ways: Mapping[str, Measured], way: str, *, with_cpu: bool = False) -> str:
    if way not in ways:
        return "-"
    clock, cpu = _against(ways, way)
    return f"{ways[way].seconds:.3f} s ({clock:.2f}{f' / {cpu:.2f}' if with_cpu else ''})"
