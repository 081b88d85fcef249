"""Single values out of foreign JSON: the wanted type, or None; never an error, never a guess."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, Final
from urllib.parse import quote

import msgspec

MOST: Final = 2**63 - 1
"""Of 64 bits with a sign, as columns have them."""
MOST_MILLISECONDS: Final = 10**15
"""Since 1970 this is the year 33,658: more is no time."""
MOST_BYTES: Final = 2**48
"""Fifty times the largest object that S3 takes (5 TiB): more is no file. Sums of a day fit 64 bits."""


def text(value: object) -> str | None:
    """The value as text that UTF-8 can hold: JSON can smuggle in lone surrogates, which become question marks."""
    if not isinstance(value, str) or not value:
        return None
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def decoded_or_nothing(content: bytes) -> Any:
    """JSON, or None for a body that is empty, as replies to writes may be."""
    return msgspec.json.decode(content) if content.strip() else None


def path_segment(identifier: str) -> str:
    """An id as one segment of a path; '.' and '..' would be resolved away."""
    segment = quote(identifier, safe="")
    return segment.replace(".", "%2E") if set(segment) <= {"."} else segment


def number(value: object) -> float | None:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON has integers that no float can hold
        return None


def seconds(value: object) -> float | None:
    """How long something takes, from 0."""
    found = number(value)
    return None if found is None or not 0 <= found <= MOST_MILLISECONDS / 1000 else found


def milliseconds(value: object) -> int | None:
    """A moment or an offset in whole ms."""
    found = number(value)
    return None if found is None or abs(found) > MOST_MILLISECONDS else round(found)


def count(value: object) -> int | None:
    """A whole number from 0 that a table can hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST else None


def size(value: object) -> int | None:
    """A number of bytes that a file can have."""
    found = count(value)
    return found if found is not None and found <= MOST_BYTES else None


def time(value: object) -> dt.datetime | None:
    """An ISO 8601 time in UTC; without a zone it is taken to be UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def items(value: object) -> list[dict[str, object]]:
    """The objects of a list; nothing where there is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
