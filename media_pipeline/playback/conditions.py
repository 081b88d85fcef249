"""Preconditions of a GET or HEAD: pure functions over header fields. Source: RFC 9110, sections 8.8 and 13."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["go_on", "not_modified", "failed"]

ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\Z')
_LISTED = re.compile(r'[\s,]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?=,|\Z)')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_LONG_DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_TIME = r"(?P<t>\d\d:\d\d:\d\d)"
_DATES = (
    re.compile(rf"(?:{_DAYS}), (?P<d>\d\d) (?P<m>\w{{3}}) (?P<y>\d{{4}}) {_TIME} GMT\Z", re.ASCII),
    re.compile(rf"(?:{_LONG_DAYS}), (?P<d>\d\d)-(?P<m>\w{{3}})-(?P<y>\d\d) {_TIME} GMT\Z", re.ASCII),
    re.compile(rf"(?:{_DAYS}) (?P<m>\w{{3}}) (?P<d>[ \d]\d) {_TIME} (?P<y>\d{{4}})\Z", re.ASCII),
)
"""IMF-fixdate, RFC 850's and asctime's form: a recipient takes all three (section 5.6.7)."""
_FUTURE_YEARS = 50


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells versions apart: the entity tag as it is sent, and the modification in seconds since 1970."""

    etag: str | None
    modified: int | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """The request's fields, each as all its lines; one that is absent has none."""

    if_match: Sequence[str] = ()
    if_none_match: Sequence[str] = ()
    if_modified_since: Sequence[str] = ()
    if_unmodified_since: Sequence[str] = ()
    if_range: Sequence[str] = ()
    range: Sequence[str] = field(default=())

    def __bool__(self) -> bool:
        """Whether any of them asks for the current validators; a Range alone does not."""
        return bool(
            self.if_match or self.if_none_match or self.if_modified_since or self.if_unmodified_since or self.if_range
        )


def judged(asked: Conditions, current: Validators) -> Outcome:
    """The preconditions in the order of section 13.2.2, all but If-Range."""
    if asked.if_match:
        if not _names(asked.if_match, current.etag, strongly=True):
            return "failed"
    elif (until := _date(asked.if_unmodified_since)) is not None and _is_after(current, until):
        return "failed"
    if asked.if_none_match:
        return "not_modified" if _names(asked.if_none_match, current.etag, strongly=False) else "go_on"
    since = _date(asked.if_modified_since)
    if since is None or current.modified is None or _is_after(current, since):
        return "go_on"
    return "not_modified"


def range_holds(asked: Conditions, current: Validators, now: float | None = None) -> bool:
    """Whether a Range field is to be obeyed: there is no If-Range, or it names this very version, strongly.

    A date does so only if it is the modification's, and more than a second ago (section 8.8.2.2).
    """
    if not asked.if_range:
        return True
    if len(asked.if_range) > 1:
        return False
    value = asked.if_range[0].strip(" \t")
    if ENTITY_TAG.match(value):
        return not value.startswith("W/") and value == current.etag
    moment = _date(asked.if_range)
    if moment is None or moment != current.modified:
        return False
    return (time.time() if now is None else now) - moment > 1


def http_date(text: str) -> int | None:
    """Seconds since 1970 of an HTTP-date in any of its three forms, None for what is none."""
    for form in _DATES:
        found = form.match(text.strip(" \t"))
        if found is None or found["m"] not in _MONTHS:
            continue
        year = int(found["y"])
        if len(found["y"]) == 2:
            this = dt.datetime.now(dt.UTC).year
            year += this - this % 100
            year -= 100 if year > this + _FUTURE_YEARS else 0
        try:
            hour, minute, second = (int(part) for part in found["t"].split(":"))
            leap = second == 60
            moment = dt.datetime(
                year,
                _MONTHS.index(found["m"]) + 1,
                int(found["d"]),
                hour,
                minute,
                59 if leap else second,
                tzinfo=dt.UTC,
            )
        except ValueError:
            return None
        return int(moment.timestamp()) + leap
    return None


def _is_after(current: Validators, moment: int) -> bool:
    return current.modified is not None and current.modified > moment


def _date(lines: Sequence[str]) -> int | None:
    """One date; None where it is absent, given twice or no date: then the field is to be ignored."""
    return http_date(lines[0]) if len(lines) == 1 else None


def _names(lines: Sequence[str], etag: str | None, *, strongly: bool) -> bool:
    """Whether a list of entity tags, or `*`, names the current one; a list that is none names nothing."""
    text = ",".join(lines)
    if text.strip(" \t,") == "*":
        return True
    at, named = 0, []
    while (found := _LISTED.match(text, at)) is not None:
        named.append(found[1])
        at = found.end()
    if text[at:].strip(" \t,") or etag is None:
        return False
    if strongly:
        return not etag.startswith("W/") and etag in named
    return etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in named]
