"""Answers and what there is to ask, for a person at a terminal; what came from outside is escaped."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import islice

import pyarrow as pa
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from media_pipeline.escaping import printable
from media_pipeline.sql.described import Described
from media_pipeline.sql.writing import as_text

SHOWN_ROWS = 100
LONGEST_CELL = 60
"""Longer texts are folded in a table; a row that is still too wide is shown as a record, a column a line."""
_NUMBERS = (int, float, Decimal)
_GAP = 2


def show_answer(out: Console, reader: pa.RecordBatchReader, most: int = SHOWN_ROWS, *, folded: bool = True) -> None:
    """At most so many rows; `folded` for people: long texts in several lines, records where a table is too wide.

    Otherwise `out` is made as wide as the table.
    """
    names = [printable(name) for name in reader.schema.names]
    values = (
        tuple(column[row].as_py() for column in batch.columns) for batch in reader for row in range(batch.num_rows)
    )
    found = list(islice(values, most + 1))
    rows = found[:most]
    cells = [[_cell(value) for value in row] for row in rows]
    if not names:
        return
    longest = LONGEST_CELL if folded else None
    width = _width(names, cells, longest)
    if not folded:
        out.width = max(out.width, width)
    if not rows or width <= out.width:
        out.print(_table(names, rows, cells, longest))
    else:
        _show_records(out, names, cells)
    told = f"{len(rows):,} row{'' if len(rows) == 1 else 's'}."
    if len(found) > most:
        told = f"The first {most:,} rows; there are more: --rows N shows more, --format csv writes all."
    out.print(Text(told), soft_wrap=not folded)


def show_plan(out: Console, plan: str) -> None:
    """DuckDB's plan as it is; too wide a line is not broken."""
    for line in plan.rstrip("\n").split("\n"):
        out.print(Text(printable(line)), soft_wrap=True)


def show_listing(out: Console, described: Iterable[Described], *, with_columns: bool) -> None:
    """What there is to ask: a line each, or with all columns."""
    listed = list(described)
    if with_columns:
        for each in listed:
            _show_columns(out, each)
        return
    for kind in dict.fromkeys(each.kind for each in listed):
        _line(out, kind, style="bold")
        for each in (each for each in listed if each.kind == kind):
            grid = _grid()
            grid.add_row(Text("  "), Text(each.name, style="cyan"), Text(printable(each.about)))
            out.print(grid)
            columns = ", ".join(column.name for column in each.columns)
            if columns:
                out.print(_indented(Text(printable(columns), style="dim")))
            out.print(_indented(Text(each.days, style="dim")))
    _line(out, "--tables shows every column with its type and what it means.")


def _show_columns(out: Console, each: Described) -> None:
    _line(out, f"{each.name} - {printable(each.about)} {each.days}", style="bold")
    grid = _grid(fold=2)
    for column in each.columns:
        grid.add_row(f"  {column.name}", Text(column.kind, style="dim"), Text(printable(column.about)))
    out.print(grid)


def _cell(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, dt.datetime):
        moment = value.isoformat(sep=" ", timespec="milliseconds" if value.microsecond else "seconds")
        return moment.replace("+00:00", "Z")
    return printable(as_text(value))


def _table(
    names: Sequence[str], rows: Sequence[Sequence[object]], cells: Sequence[Sequence[str]], longest: int | None
) -> Table:
    table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="bold", pad_edge=False)
    for place, name in enumerate(names):
        known = [row[place] for row in rows if row[place] is not None]
        is_number = bool(known) and all(isinstance(value, _NUMBERS) for value in known)
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold", max_width=longest)
    for row, shown in zip(rows, cells, strict=True):
        table.add_row(
            *(Text(text, style="dim" if value is None else "") for value, text in zip(row, shown, strict=True))
        )
    return table


def _width(names: Sequence[str], cells: Sequence[Sequence[str]], longest: int | None) -> int:
    widest = [
        max([cell_len(name), *(min(cell_len(row[place]), longest or sys.maxsize) for row in cells)])
        for place, name in enumerate(names)
    ]
    return sum(widest) + _GAP * len(widest)


def _show_records(out: Console, names: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(cells, start=1):
        _line(out, f"row {number:,}", style="bold")
        grid = _grid(fold=1)
        for name, text in zip(names, row, strict=True):
            grid.add_row(Text(f"  {name}"), Text(text, style="dim" if text == "null" else ""))
        out.print(grid)


def _grid(fold: int = 2) -> Table:
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    for place in range(fold + 1):
        grid.add_column(no_wrap=place < fold, overflow="fold")
    return grid


def _indented(text: Text) -> Table:
    grid = Table.grid(padding=0)
    grid.add_column(width=6)
    grid.add_column(overflow="fold")
    grid.add_row("", text)
    return grid


def _line(out: Console, text: str, style: str = "") -> None:
    out.print(Text(text, style=style))
