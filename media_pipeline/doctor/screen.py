"""The doctor's report for a person in 80 columns, as plain lines, or as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from media_pipeline.doctor.findings import GROUPS, Finding, Level, Report

STYLES: dict[Level, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def report_facts(report: Report) -> dict[str, Any]:
    """The report for machines."""
    return {
        "ok": report.exit_code == 0,
        "exit_code": report.exit_code,
        "api_calls": report.api_calls,
        "seconds": round(report.seconds, 2),
        "checks": [asdict(finding) for finding in report.findings],
    }


def show_report(out: Console, report: Report) -> None:
    """One screen: a group a block, a line a check, below it what to do."""
    for group in GROUPS:
        found = [finding for finding in report.findings if finding.group == group]
        if not found:
            continue
        out.print(Text(group[0].upper() + group[1:], style="bold"))
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(no_wrap=True, width=5)
        grid.add_column(width=18)
        grid.add_column(overflow="fold")
        for finding in found:
            seen = Text(_printable(finding.seen))
            if finding.todo:
                seen.append("\n" + _printable(finding.todo), style="dim" if finding.level == "ok" else "italic")
            grid.add_row(Text(f" {finding.level}", style=STYLES[finding.level]), Text(finding.name), seen)
        out.print(grid)
    out.print(Text("\n" + summary(report), style=STYLES["fail" if report.exit_code else "ok"]))


def plain_lines(report: Report) -> list[str]:
    """One line a check, columns by tabs, for logs and grep."""
    lines = [_plain(finding) for finding in report.findings]
    return [*lines, summary(report)]


def summary(report: Report) -> str:
    """One closing sentence."""
    counts = f"{report.count('ok')} ok, {report.count('warn')} to look at, {report.count('fail')} failed"
    took = f"{report.api_calls} API call{'' if report.api_calls == 1 else 's'}, {report.seconds:.1f} s"
    verdict = "Not ready to export" if report.exit_code else "Ready to export"
    return f"{verdict}: {counts}; {took}."


def _plain(finding: Finding) -> str:
    fields = (finding.level, finding.group, finding.name, finding.seen, finding.todo)
    return "\t".join(_printable(text) for text in fields).rstrip()


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
