"""Which bytes a Range field asks for: pure functions over text and sizes. Source: RFC 9110, section 14, and 17.15.

Where the RFC leaves a choice: what is no range-set is rejected (416), as Go's and nginx' servers do, blanks around
numbers are passed over, and a set that would send more than the whole is answered with the whole.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_RANGES = 64
"""In one request; a player asks for one, a download manager for a few."""
MAX_UNORDERED_RANGES = 16
"""Of a set that jumps back and forth: nobody who reads a file needs more (RFC 9110, section 14.2)."""
_UNIT = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=(.*)\Z", re.DOTALL)
_SPEC = re.compile(r"(\d*)[ \t]*-[ \t]*(\d*)\Z", re.ASCII)
_DIGITS = 18
"""More cannot be a position in any file, and long numbers cost time."""


class Span(NamedTuple):
    """Bytes [start, stop)."""

    start: int
    stop: int


class Unsatisfiable(Exception):
    """No byte of the representation is asked for, or the set is malformed or excessive: 416."""


def spans_of(field: str | None, size: int) -> list[Span] | None:
    """The spans to send, in the order they were asked for; None for the whole. Raises Unsatisfiable.

    Spans that overlap or touch are made one, at the place of the first of them.
    """
    if field is None or size == 0:  # nothing of nothing: the whole is as good, and 416 helps nobody
        return None
    found = _UNIT.match(field)
    if found is None or found[1].lower() != "bytes":
        return None
    specs = [part for part in (part.strip(" \t") for part in found[2].split(",", MAX_RANGES * 2)) if part]
    if not specs:
        return None
    if len(specs) > MAX_RANGES:
        raise Unsatisfiable
    asked = [span for span in (_span(spec, size) for spec in specs) if span is not None]
    if not asked:
        raise Unsatisfiable
    if len(asked) > 1:
        if sum(span.stop - span.start for span in asked) > size:
            return None
        if len(asked) > MAX_UNORDERED_RANGES and asked != sorted(asked):
            raise Unsatisfiable
    return _coalesced(asked)


def _span(spec: str, size: int) -> Span | None:
    """One range-spec; None when it lies outside. Raises Unsatisfiable for what is none."""
    found = _SPEC.match(spec)
    if found is None or not (found[1] or found[2]):
        raise Unsatisfiable
    first, last = (_number(text) for text in found.groups())
    if first is None:
        assert last is not None
        return Span(max(0, size - last), size) if last else None
    if last is not None and last < first:
        raise Unsatisfiable
    if first >= size:
        return None
    return Span(first, size if last is None else min(last + 1, size))


def _number(text: str) -> int | None:
    if not text:
        return None
    text = text.lstrip("0") or "0"
    return int(text) if len(text) <= _DIGITS else 10**_DIGITS


def _coalesced(asked: list[Span]) -> list[Span]:
    groups: list[tuple[int, Span]] = []
    for place, span in sorted(enumerate(asked), key=lambda each: each[1]):
        if groups and span.start <= groups[-1][1].stop:
            before, joined = groups[-1]
            groups[-1] = (min(before, place), Span(joined.start, max(joined.stop, span.stop)))
        else:
            groups.append((place, span))
    return [span for _, span in sorted(groups)]
