"""A transcript without personal data: each segment on its own, and what a speaker said over several of them.

Who reads out a number pauses, and the other says "mm-hm" or repeats what was said: a speaker's segments are read as one
text where the first ends and the next begins like a part of a number or an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from media_pipeline.privacy.detection import detect
from media_pipeline.privacy.findings import EMAIL_ADDRESS, TYPES, Finding, settled
from media_pipeline.privacy.spoken import FILLERS, NUMBER_WORDS

Row = dict[str, Any]

REDACTOR_VERSION: Final = "3"
"""To be raised with every change that finds more: days redacted by another version count as raw."""
TOTAL_COLUMN: Final = "pii_redacted"
_COLUMN_OF: Final = {kind: f"pii_{kind.lower()}" for kind in sorted(TYPES)}
COUNT_COLUMNS: Final = (TOTAL_COLUMN, *_COLUMN_OF.values())
"""Columns of a segment: the count of all, and one for each type."""

MAX_SEGMENTS = 8
"""That one number is looked for in: a card read out digit by digit, with pauses, in fours."""
MAX_BETWEEN = 3
"""Segments of the others between two of a speaker."""
MAX_WORDS_BETWEEN = 6
MAX_PAUSE_MS = 30_000
CONTEXT_CHARACTERS = 80
_BREAK = " | "
"""Between words that say what a number is and the number: nothing is read across it."""

_TOKEN = re.compile(r"[a-z']+|\d+|[@+]")
_SAYINGS = FILLERS | {"umm", "it's", "that's", "mm", "hm", "hmm", "yup", "sorry"}
_MAX_SAYINGS = 3
_ENDS_ADDRESS = frozenset({"@", "at", "dot", "underscore", "dash", "hyphen", "plus"})
_BEGINS_ADDRESS = frozenset({"@", "at", "dot", "underscore"})
_POSSIBLE = NUMBER_WORDS | {"@", "at"}


@dataclass(frozen=True, slots=True)
class _Said:
    """What decides whether a segment goes on with another one."""

    who: tuple[object, object]
    tokens: list[str]
    start_ms: int
    end_ms: int

    @classmethod
    def of(cls, row: Row) -> _Said:
        who = (row.get("channel"), row.get("speaker"))
        return cls(who, _TOKEN.findall(row["text"].lower()), row.get("start_ms") or 0, row.get("end_ms") or 0)

    @property
    def is_possible(self) -> bool:
        """Whether a value or a part of one may be in it."""
        return not _POSSIBLE.isdisjoint(self.tokens) or any(token[0].isdecimal() for token in self.tokens)

    @property
    def is_filler(self) -> bool:
        """Whether nothing is said: "um, yeah"."""
        return _SAYINGS.issuperset(self.tokens)

    @property
    def is_between(self) -> bool:
        """Whether it may stand between two parts of what another speaker says: short, or digits repeated."""
        return len(self.tokens) <= MAX_WORDS_BETWEEN or all(
            _is_number(token) or token in _SAYINGS for token in self.tokens
        )

    def goes_on(self, before: _Said) -> bool:
        """Whether it may go on with what the segment before has begun."""
        if not self.tokens or not before.tokens:
            return False
        if before.tokens[-1] in _ENDS_ADDRESS or self.tokens[0] in _BEGINS_ADDRESS:
            return True
        return _leads(before.tokens[::-1]) and (_leads(self.tokens) or self.tokens[0] in ("+", "plus"))


def _leads(tokens: list[str]) -> bool:
    """Whether a number comes first, but for words that say nothing."""
    for token in tokens[: _MAX_SAYINGS + 1]:
        if token not in _SAYINGS:
            return _is_number(token)
    return False


def _is_number(token: str) -> bool:
    return token[0].isdecimal() or token in NUMBER_WORDS


def placeholder(kind: str) -> str:
    """What takes the place of a value."""
    return f"[{kind}]"


def redact_segments(rows: Sequence[Row], region: str = "US") -> list[Row]:
    """The segments of one recording, in order of time, with placeholders for values and their counts by type.

    Counts are of spans: a value said over two segments is one in each. Rows that were redacted before keep their
    counts and get those of what is found now. Only `text`, the count columns and a `speaker` whose label is a number or
    an address change.
    """
    texts = [row["text"] for row in rows]
    said = [_Said.of(row) for row in rows]
    found = [_alone(texts, number, region) if one.is_possible else [] for number, one in enumerate(said)]
    for chain in _chains(said):
        for number, parts in _across(texts, chain, region).items():
            alone = [one for one in found[number] if not any(one.overlaps(part) for part in parts)]
            found[number] = settled([*parts, *alone])
    return [_redacted(row, findings, region) for row, findings in zip(rows, found, strict=True)]


def _redacted(row: Row, findings: list[Finding], region: str) -> Row:
    text: str = row["text"]
    counts = {column: row.get(column) or 0 for column in COUNT_COLUMNS}
    for one in reversed(findings):
        text = text[: one.start] + placeholder(one.type) + text[one.end :]
        counts[TOTAL_COLUMN] += 1
        counts[_COLUMN_OF[one.type]] += 1
    label = {"speaker": _label(row["speaker"], region)} if row.get("speaker") else {}
    return row | {"text": text} | label | counts


@lru_cache(maxsize=1_024)
def _label(speaker: str, region: str) -> str:
    """A speaker as the source calls him: an external one may be called by his number."""
    if "@" in speaker or any(character.isdecimal() for character in speaker):
        for one in reversed(detect(speaker, region)):
            speaker = speaker[: one.start] + placeholder(one.type) + speaker[one.end :]
    return speaker


def _alone(texts: list[str], number: int, region: str) -> list[Finding]:
    """What a segment holds, in the light of what was said before it: "What is your number?"."""
    before = _said_before(texts, number)
    return [
        Finding(one.start - len(before), one.end - len(before), one.type)
        for one in detect(before + texts[number], region)
        if one.start >= len(before)
    ]


def _said_before(texts: list[str], number: int) -> str:
    said = texts[number - 1] if number else ""
    if number > 1 and len(said) < CONTEXT_CHARACTERS // 2:
        said = texts[number - 2] + _BREAK + said
    return said[-CONTEXT_CHARACTERS:] + _BREAK if said else ""


def _chains(said: list[_Said]) -> Iterator[list[int]]:
    """Numbers of segments that belong together, two at least."""
    taken: set[int] = set()
    for first in range(len(said)):
        if first in taken:
            continue
        chain = [first]
        while len(chain) < MAX_SEGMENTS and (following := _next(said, chain[-1])) is not None:
            chain.append(following)
        if len(chain) > 1:
            taken.update(chain)
            yield chain


def _next(said: list[_Said], number: int) -> int | None:
    """The same speaker's next segment, when it goes on with what this one has begun."""
    this = said[number]
    for following in range(number + 1, min(number + 2 + MAX_BETWEEN, len(said))):
        other = said[following]
        if other.who != this.who:
            if not other.is_between:
                return None
        elif not other.is_filler:
            return following if other.goes_on(this) and other.start_ms - this.end_ms <= MAX_PAUSE_MS else None
    return None


def _across(texts: list[str], chain: list[int], region: str) -> dict[int, list[Finding]]:
    """By segment, the parts of values that lie in more than one of them."""
    joined = _said_before(texts, chain[0])
    starts: list[int] = []
    for number in chain:
        starts.append(len(joined))
        joined += texts[number] + " "
    parts: dict[int, list[Finding]] = {}
    for one in detect(joined, region):
        pieces = [
            (number, max(one.start - start, 0), min(one.end - start, len(texts[number])))
            for number, start in zip(chain, starts, strict=True)
            if one.start < start + len(texts[number]) and one.end > start
        ]
        if len(pieces) < 2 or one.start < starts[0]:
            continue
        for number, first, last in pieces:
            piece = texts[number][first:last]
            if one.type == EMAIL_ADDRESS or any(map(_is_number, _TOKEN.findall(piece.lower()))):
                begin = first + len(piece) - len(piece.lstrip())
                parts.setdefault(number, []).append(Finding(begin, first + len(piece.rstrip()), one.type))
    return parts
