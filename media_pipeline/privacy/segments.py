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

from media_pipeline.privacy.characters import plain
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

MAX_SEGMENTS = 40
"""That are read as one text. The next such text begins in the middle of this one: what is said over at most half of
them, as a card of 19 digits one by one, is whole in one of both."""
MAX_BETWEEN = 4
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
_HALF_ADDRESS = re.compile(r"@[\w-]+(?:\.[\w-]+)*\.? \Z")
_REST_OF_ADDRESS = re.compile(r"\.\w|(?:com?|edu|gov|net|org)\b", re.IGNORECASE)
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
        return cls(who, _TOKEN.findall(plain(row["text"]).lower()), row.get("start_ms") or 0, row.get("end_ms") or 0)

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
        """Whether it may stand between two parts of what another speaker says: short but for digits repeated."""
        if len(self.tokens) <= MAX_WORDS_BETWEEN:
            return True
        words = [token for token in self.tokens if not _is_number(token) and token not in _SAYINGS]
        return len(words) <= MAX_WORDS_BETWEEN

    def goes_on(self, before: _Said) -> bool:
        """Whether it may go on with what the segment before has begun."""
        if not self.tokens or not before.tokens:
            return False
        if before.tokens[-1] in _ENDS_ADDRESS or self.tokens[0] in _BEGINS_ADDRESS or "@" in before.tokens[-4:]:
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
    split: dict[int, list[Finding]] = {}
    for chain in _chains(said):
        for number, part in _across(texts, chain, region):
            split.setdefault(number, []).append(part)
    for number, parts in split.items():
        alone = [one for one in found[number] if not any(one.overlaps(part) for part in parts)]
        found[number] = settled([*settled(parts), *alone])
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
    if "@" in plain(speaker) or any(character.isdecimal() for character in speaker):
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
    """Numbers of segments that belong together, two at least; long chains in overlapping pieces."""
    taken: set[int] = set()
    for first in range(len(said)):
        if first in taken:
            continue
        chain = [first]
        while (following := _next(said, chain[-1])) is not None:
            chain.append(following)
        taken.update(chain)
        for begin in range(0, max(len(chain) - MAX_SEGMENTS // 2, 1), MAX_SEGMENTS // 2):
            if len(piece := chain[begin : begin + MAX_SEGMENTS]) > 1:
                yield piece


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


def _across(texts: list[str], chain: list[int], region: str) -> Iterator[tuple[int, Finding]]:
    """The parts of values that lie in more than one segment, each with the segment's number."""
    joined = _said_before(texts, chain[0])
    starts: list[int] = []
    for number in chain:
        if starts and _is_torn_address(joined, texts[number]):
            joined = joined[:-1]
        starts.append(len(joined))
        joined += texts[number] + " "
    for one in detect(joined, region):
        if one.start >= starts[0]:
            yield from _pieces(texts, chain, starts, one)


def _pieces(texts: list[str], chain: list[int], starts: list[int], one: Finding) -> Iterator[tuple[int, Finding]]:
    """What of a value lies in which segment, when it is in several."""
    pieces = [
        (number, max(one.start - start, 0), min(one.end - start, len(texts[number])))
        for number, start in zip(chain, starts, strict=True)
        if one.start < start + len(texts[number]) and one.end > start
    ]
    if len(pieces) == 1:
        return
    for number, first, last in pieces:
        piece = texts[number][first:last]
        if one.type == EMAIL_ADDRESS or any(map(_is_number, _TOKEN.findall(piece.lower()))):
            begin = first + len(piece) - len(piece.lstrip())
            yield number, Finding(begin, first + len(piece.rstrip()), one.type)


def _is_torn_address(before: str, text: str) -> bool:
    """Whether a written address goes on in another segment: "jane@example." | "com"."""
    if text.startswith("@") or before.endswith("@ "):
        return True
    return _HALF_ADDRESS.search(before) is not None and _REST_OF_ADDRESS.match(text) is not None
