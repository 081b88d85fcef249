"""Numbers as people read them."""

from __future__ import annotations

import datetime as dt

NO_BREAK = "\N{NO-BREAK SPACE}"
NOBODY_KNOWS = "\N{EN DASH}"
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def count_text(value: float) -> str:
    """12,345."""
    return f"{value:,.0f}"


def bytes_text(size: float) -> str:
    """185.8 MB, of 10^6 bytes."""
    if abs(size) < 1000:
        return f"{size:,.0f} B"
    for unit in _UNITS:
        size /= 1000
        if abs(size) < 999.95 or unit == _UNITS[-1]:
            return f"{size:,.1f} {unit}" if abs(size) < 99.95 else f"{size:,.0f} {unit}"
    raise AssertionError


def lasting(seconds: float) -> str:
    """8.3 s, 4 min 10 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def value_text(value: float | None, unit: str) -> str:
    """A number with its unit: files, bytes or seconds; a dash where nobody knows."""
    if value is None:
        return NOBODY_KNOWS
    return {"bytes": bytes_text, "seconds": lasting}.get(unit, count_text)(value)


def change_text(now: float | None, then: float | None, unit: str) -> str:
    """How a number changed, with its share of what it was."""
    if now is None or then is None:
        return NOBODY_KNOWS
    difference = now - then
    if not difference:
        return "no change"
    sign = "+" if difference > 0 else "\N{MINUS SIGN}"
    text = sign + value_text(abs(difference), unit)
    share = abs(difference) / then * 100 if then else 0.0
    if now and difference < 0:
        share = min(share, 99.9)  # -100 % would be all of it
    return f"{text} ({sign}{share:,.1f}{NO_BREAK}%)" if then else text


def share_text(part: float, whole: float) -> str:
    """94.4 %, never 100 % for less than all, nor 0 % for more than nothing; a dash of nothing."""
    if not whole:
        return NOBODY_KNOWS
    share = part / whole * 100
    if part != whole:
        share = min(max(share, 0.1 if part else 0.0), 99.9)
    return f"{share:.1f}".removesuffix(".0") + f"{NO_BREAK}%"


def day_text(day: dt.date) -> str:
    """20 Nov."""
    return f"{day.day} {day:%b}"
