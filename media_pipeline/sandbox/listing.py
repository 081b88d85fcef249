"""The org as clients see it: queries, pages, and the faults that change what is listed under which id.

Everything is a slice of an array of ordinals, so a page costs the same on the first day and on the thousandth.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from array import array

from media_pipeline.sandbox.clock import Clock
from media_pipeline.sandbox.faults import Call, Rule, Rules
from media_pipeline.sandbox.org import INDEX_BITS, Org, Recording

Hidden = tuple[tuple[int, frozenset[int]], ...]
"""Number of a rule of late arrivals, and the days whose late recordings are not listed yet."""

MAX_PAGE_SIZE = 200
HOSTILE_IDS = (
    "../../etc/passwd",
    "..",
    "a/b",
    "CON",
    "%2e%2e",
    "ü录音",
    'it\'s a "quoted" id',
    "two\nlines",
    "x" * 300,
)


class QueryError(ValueError):
    """A query the API would answer with 400."""


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """Recordings created in [start, end), perhaps of one media type or status only."""

    start: dt.datetime
    end: dt.datetime
    media_type: str | None = None
    status: str | None = None


def parse_query(text: str) -> Query:
    """`start_time:<iso> end_time:<iso> [type:<media type>] [status:<status>]`, in any order. Raises QueryError."""
    terms: dict[str, str] = {}
    for term in text.split():
        name, colon, value = term.partition(":")
        if not colon or name not in ("start_time", "end_time", "type", "status"):
            raise QueryError(f"Unknown query term {term!r}.")
        terms[name] = value
    if "start_time" not in terms or "end_time" not in terms:
        raise QueryError("The query needs start_time and end_time.")
    return Query(_moment(terms["start_time"]), _moment(terms["end_time"]), terms.get("type"), terms.get("status"))


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise QueryError(f"{text!r} is no ISO 8601 time.") from error
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


class Listing:
    """Finds and lists recordings under the rules in force."""

    def __init__(self, org: Org, rules: Rules, clock: Clock) -> None:
        self._org = org
        self._rules = rules
        self._clock = clock
        self._rows = functools.lru_cache(maxsize=8)(self._compute_rows)
        self._names_of = functools.lru_cache(maxsize=1)(self._compute_names)

    def wire_id(self, recording: Recording) -> str:
        """The id clients see: the org's, or a hostile one."""
        return self._names().get(recording.ordinal, recording.id)

    def find(self, wire_id: str) -> Recording | None:
        """The recording clients know by this id."""
        names = self._names()
        for ordinal, name in names.items():
            if name == wire_id:
                return self._org.recording(ordinal)
        found = self._org.find(wire_id)
        return None if found is None or found.ordinal in names else found

    def page(self, query: Query, size: int, number: int) -> list[Recording]:
        """One page, numbered from 1; empty past the end. Pages overlap under the fault `duplicates`."""
        overlap = min(self._rules.through(("paging",), Call("list"), 0), size - 1)
        rows = self.rows(query)
        start = (number - 1) * (size - overlap)
        if number > 1 and start + overlap >= len(rows):
            return []
        return [self._org.recording(ordinal) for ordinal in rows[start : start + size]]

    def rows(self, query: Query) -> array[int]:
        """Ordinals of everything a query lists now."""
        return self._rows(query, self.hidden(), self._rules.version, self._org.transcoded())

    @property
    def version(self) -> int:
        """Rises with each change of the rules."""
        return self._rules.version

    def hides(self, ordinal: int) -> bool:
        """Whether this recording arrives late and is not listed yet."""
        day = ordinal >> INDEX_BITS
        return any(day in days and self._strikes(self._rules.active[number], ordinal) for number, days in self.hidden())

    def hidden(self) -> Hidden:
        """What the rules of late arrivals keep back by now."""
        now = self._clock.now()

        def appears(day: dt.date, rule: Rule) -> dt.datetime:
            return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(days=1, hours=rule.params["hours"])

        return tuple(
            (number, frozenset(day.toordinal() for day in self._org.dates() if now < appears(day, rule)))
            for number, rule in enumerate(self._rules.active)
            if rule.kind.stage == "late"
        )

    def _compute_rows(self, query: Query, hidden: Hidden, _version: int, _transcoded: bool) -> array[int]:
        rows = self._org.between(query.start, query.end)
        neighbours = self._rules.at("neighbours")
        if neighbours is not None:
            count = neighbours.params["count"]
            before = query.start.date() - dt.timedelta(days=1)
            after = (query.end - dt.timedelta(milliseconds=1)).date() + dt.timedelta(days=1)
            per_day = self._org.per_day
            rows = self._org.slice_of(before, per_day - count, per_day) + rows + self._org.slice_of(after, 0, count)
        for number, days in hidden:
            if days:
                rule = self._rules.active[number]
                rows = array("Q", (o for o in rows if o >> INDEX_BITS not in days or not self._strikes(rule, o)))
        if query.media_type or query.status:
            rows = array("Q", (o for o in rows if self._matches(query, o)))
        return rows

    def _strikes(self, rule: Rule, ordinal: int) -> bool:
        return rule.selects(self.wire_id(self._org.recording(ordinal)))

    def _matches(self, query: Query, ordinal: int) -> bool:
        kind = self._org.recording(ordinal).kind
        return query.media_type in (None, kind.media_type) and query.status in (None, kind.status)

    def _names(self) -> dict[int, str]:
        return self._names_of(self._rules.version)

    def _compute_names(self, _version: int) -> dict[int, str]:
        """Hostile ids for ordinary recordings; bare on the last day, with the date behind them on others."""
        rule = self._rules.at("ids")
        if rule is None:
            return {}
        ids = HOSTILE_IDS[: rule.params["count"]]
        names: dict[int, str] = {}
        for day in self._org.dates():
            suffix = "" if day == self._org.last_day else f" {day}"
            recordings = (self._org.recording(ordinal) for ordinal in self._org.day(day))
            ordinary = (each for each in recordings if each.kind.name == "ordinary")
            names |= {each.ordinal: name + suffix for name, each in zip(ids, ordinary, strict=False)}
        return names
