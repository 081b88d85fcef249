"""Times as the Platform API writes and reads them: ISO 8601 in UTC with milliseconds, intervals with a slash."""

from __future__ import annotations

import datetime as dt

DAY = dt.timedelta(days=1)


class BadIntervalError(ValueError):
    """An interval the API would answer with 400."""


def iso(moment: dt.datetime) -> str:
    """`2026-11-20T10:00:00.000Z`."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_ms(moment: dt.datetime) -> int:
    """Milliseconds since 1970, exactly."""
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def interval(text: object) -> tuple[dt.datetime, dt.datetime]:
    """Start and end of `<start>/<end>`; a time without a zone is UTC. Raises BadIntervalError."""
    if not isinstance(text, str) or text.count("/") != 1:
        raise BadIntervalError("interval must be two ISO 8601 times with a slash between them.")
    start, end = (moment(part) for part in text.split("/"))
    if start >= end:
        raise BadIntervalError("The interval must end after it begins.")
    return start, end


def midnight(moment: dt.datetime) -> dt.datetime:
    """The beginning of its UTC day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def moment(text: str) -> dt.datetime:
    """An ISO 8601 time in UTC, which is also meant where none is named. Raises BadIntervalError."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise BadIntervalError(f"{text!r} is no ISO 8601 time.") from error
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
