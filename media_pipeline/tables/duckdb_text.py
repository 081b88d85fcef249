"""Texts and paths as DuckDB's SQL has them."""

from __future__ import annotations

import re

_PATTERN_CHARACTERS = re.compile(r"[*?\[]")


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def as_pattern(url: str) -> str:
    """A path as DuckDB takes it for that path, whatever is in it, and for no pattern."""
    return _PATTERN_CHARACTERS.sub(r"[\g<0>]", url)
