"""Digits as they are said: "four one five, double five five, oh one two three" as digits with their places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_UNITS = {word: str(value) for value, word in enumerate(_WORDS)}
_UNITS |= {"oh": "0", "o": "0", "nought": "0", "naught": "0", "niner": "9"}
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = {"twenty": "2", "thirty": "3", "forty": "4", "fourty": "4", "fifty": "5", "sixty": "6", "seventy": "7"}
_TENS |= {"eighty": "8", "ninety": "9"}
_TIMES = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_SCALES = {"hundred": "00", "thousand": "000"}
HESITATIONS = frozenset({"um", "uh", "uhm", "umm", "er", "erm", "ah", "eh"})
FILLERS = HESITATIONS | {"and", "then", "okay", "ok", "so", "like"}
FILLERS |= {"dash", "hyphen", "space", "comma", "yeah", "yes", "yep", "right", "is", "the", "number"}
_DASHES = frozenset({"dash", "hyphen"})
_DOTS = frozenset({"dot", "point", "period"})
NUMBER_WORDS = frozenset([*_UNITS, *_TEENS, *_TENS, *_TIMES, *_SCALES])
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+|\+")
_GAP = re.compile(r"[\s,.;/\-\u2010-\u2015\u2026'\"]{0,8}")
_GROUPED = ((3, 3, 4), (3, 3, 2, 2), (3, 2, 4), (4, 4, 4, 4))
"""Digits by group, as phone numbers, SSNs and cards are read out and written down: "415 um 555. 2671"."""
_FEWEST_ANNOUNCED = 9
"""Digits in pieces of any length that words before them may call an SSN, a phone number or a card."""
_MAX_FILLERS = 4
"""'and the number is', between an area code and the rest."""
_WRITTEN_DIGITS = 4
"""Digits in one piece within digits that are said: "415 five five five"; longer pieces are somebody's own number."""


@dataclass(slots=True)
class Said:
    """One after another said: digits, and for each of them the range of the words it comes from.

    `dashes` and `dots`: after how many digits they were said. `words`: whether any digit was said as a word.
    `certain`: whether it is a number without words that say so, rather than a list of several.
    """

    digits: str = ""
    spans: list[tuple[int, int]] = field(default_factory=list)
    dashes: list[int] = field(default_factory=list)
    dots: list[int] = field(default_factory=list)
    plus: int | None = None
    words: bool = False
    certain: bool = False
    sizes: tuple[int, ...] = ()

    def add(self, digits: str, start: int, end: int, *, word: bool) -> None:
        """Append digits that come from text[start:end]."""
        self.digits += digits
        self.spans += [(start, end)] * len(digits)
        self.words |= word
        self.sizes += (len(digits),)

    @property
    def is_grouped(self) -> bool:
        """Whether its pieces, or some of them, are as long as those of a phone number, an SSN or a card."""
        return any(
            self.sizes[first : first + len(group)] == group for group in _GROUPED for first in range(len(self.sizes))
        )

    def range(self, first: int, last: int) -> tuple[int, int] | None:
        """Where digits[first:last] are in the text; None when they begin or end within a word."""
        whole = (first == 0 or self.spans[first - 1] != self.spans[first]) and (
            last == len(self.digits) or self.spans[last] != self.spans[last - 1]
        )
        return (self.spans[first][0], self.spans[last - 1][1]) if whole else None


@dataclass(frozen=True, slots=True)
class _Token:
    word: str
    start: int
    end: int


def said_digits(text: str, fewest: int) -> Iterator[Said]:
    """Series of at least so many digits, certain or not."""
    for tokens in _series(text):
        said = _digits_of(tokens)
        if len(said.digits) >= fewest:
            one_by_one = len(said.sizes) == len(said.digits)
            paused = said.sizes in _GROUPED and _is_paused(tokens) and "/" not in text[tokens[0].start : tokens[-1].end]
            said.certain = said.words or one_by_one or paused
            if said.certain or said.is_grouped or len(said.digits) >= _FEWEST_ANNOUNCED:
                yield said


def _is_paused(tokens: list[_Token]) -> bool:
    """Whether nothing but pauses lies between the pieces: "and" comes before the last one of a list, too."""
    return all(token.word.isdecimal() or token.word in HESITATIONS or token.word == "+" for token in tokens)


def _series(text: str) -> Iterator[list[_Token]]:
    """Number words and short numbers with nothing but fillers and punctuation between them."""
    series: list[_Token] = []
    pending: list[_Token] = []
    end = -1
    for found in _WORD.finditer(text):
        token = _Token(found[0].lower(), *found.span())
        joined = (
            end >= 0 and _GAP.fullmatch(text, end, token.start) is not None and (token.start > end or token.word == "+")
        )
        kind = _kind(token.word)
        if not joined or kind is None or (len(pending) >= _MAX_FILLERS and kind != "number"):
            if series:
                yield series
            series, pending = [], []
        if kind == "number" or (kind == "sign" and not series):
            series += [*pending, token]
            pending = []
        elif kind is not None and series:
            pending.append(token)
        end = token.end
    if series:
        yield series


def _kind(word: str) -> str | None:
    if word in _UNITS or word in _TEENS or word in _TENS or word in _TIMES or word in _SCALES:
        return "number"
    if word.isdecimal():
        return "number" if len(word) <= _WRITTEN_DIGITS else None
    if word in ("plus", "+"):
        return "sign"
    return "filler" if word in FILLERS or word in _DOTS else None


def _digits_of(tokens: list[_Token]) -> Said:
    said = Said()
    at = 0
    while at < len(tokens):
        at += _read(said, tokens, at)
    return said


def _read(said: Said, tokens: list[_Token], at: int) -> int:
    """Append what one or more tokens say; returns how many they were."""
    token = tokens[at]
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    if token.word in _TIMES:
        if (
            after is not None
            and (digit := _UNITS.get(after.word, after.word))
            and len(digit) == 1
            and digit.isdecimal()
        ):
            said.add(digit * _TIMES[token.word], token.start, after.end, word=True)
            return 2
        return 1
    if token.word in _TENS:
        unit = _UNITS.get(after.word) if after is not None else None
        if after is not None and unit is not None and unit != "0" and after.word != "o":
            said.add(_TENS[token.word] + unit, token.start, after.end, word=True)
            return 2
        said.add(_TENS[token.word] + "0", token.start, token.end, word=True)
    elif token.word in _TEENS:
        said.add(str(10 + _TEENS.index(token.word)), token.start, token.end, word=True)
    elif token.word in _SCALES:
        said.add(_SCALES[token.word] if said.digits else "1" + _SCALES[token.word], token.start, token.end, word=True)
    elif token.word in _UNITS:
        said.add(_UNITS[token.word], token.start, token.end, word=True)
    elif token.word.isdecimal():
        said.add("".join(str(int(one)) for one in token.word), token.start, token.end, word=False)
    elif token.word in ("plus", "+"):
        said.plus = token.start
    elif token.word in _DASHES:
        said.dashes.append(len(said.digits))
    elif token.word in _DOTS:
        said.dots.append(len(said.digits))
    return 1


def is_address_of_a_machine(said: Said) -> bool:
    """Whether three dots were said with one to three digits between them, as in 192.168.0.1."""
    parts = [0, *said.dots, len(said.digits)]
    return len(said.dots) == 3 and all(1 <= after - before <= 3 for before, after in pairwise(parts))
