"""Finds phone numbers, e-mail addresses, payment cards and US Social Security numbers in text, written or said."""

from __future__ import annotations

import re
from collections.abc import Iterator

from media_pipeline.privacy.cards import MAX_DIGITS, MIN_DIGITS, card_windows, is_card
from media_pipeline.privacy.characters import plain, visible
from media_pipeline.privacy.context import (
    BEFORE_CHARACTERS,
    WORD,
    Context,
    Shields,
    context,
    is_of_a_contract,
    is_of_a_thing,
)
from media_pipeline.privacy.emails import email_spans
from media_pipeline.privacy.findings import CREDIT_CARD, EMAIL_ADDRESS, PHONE_NUMBER, US_SSN, Finding, Spans, settled
from media_pipeline.privacy.phones import is_international, is_phone, named_region, phone_spans
from media_pipeline.privacy.spoken import HESITATIONS, NUMBER_WORDS, Said, is_address_of_a_machine, said_digits
from media_pipeline.privacy.ssn import is_ssn

_DIGITS = re.compile(r"\d[\s().\u00b7\u2010-\u2015\uff0d/-]{0,3}\d[\s().\u00b7\u2010-\u2015\uff0d/-]{0,3}\d")
"""A text without three digits near each other has no number that is written."""
_CARD_RUN = re.compile(
    rf"(?<!{WORD})(?<![.@-])(?<!\d[/:])\d+(?:(?:[.\u2010-\u2015-]|\s[\u2010-\u2015-]\s|\s{{1,2}})\d+)*(?!{WORD}|@|[-.]\d)"
)
_GROUP = re.compile(r"\d+")
_SSN = re.compile(
    rf"(?<!{WORD})(?<![.@+/-])"
    rf"(?:\d{{3}}([-.\u2010-\u2015]|\s[-\u2010-\u2015]\s)\d{{2}}\1\d{{4}}"
    rf"|(?<!\d\s)\d{{3}}(\s)\d{{2}}\2\d{{4}}(?!\s\d{{1,4}}(?!\d)))"  # groups of a longer number
    rf"(?!{WORD}|@|[-./]\d)"
)
_SSN_BARE = re.compile(
    rf"(?<!{WORD})(?<![.@+/-])(?:\d{{9}}|\d{{3}}[-\s]\d{{6}}|\d{{5}}[-\s]\d{{4}})(?!{WORD}|@|[-./]\d)"
)
_HYPHENS = r"\u2010-\u2015\u2026-"
_SAID_BETWEEN = r"(?:(?:and|then|u[hm]|dash|hyphen|dot|point|period)\s{1,4})"
_PAUSE = rf"(?:[\s,.;/{_HYPHENS}]{{1,8}}{_SAID_BETWEEN}{{0,2}})"
_CARD_OF_THREE = re.compile(rf"(?<!{WORD})(?<![.@-])\d{{4}}{_PAUSE}\d{{6}}{_PAUSE}\d{{4,5}}(?!{WORD}|@|[-.]\d)")
"""Printed so by American Express and Diners Club; pieces of six are too long for `said_digits`."""
_FEWEST_SAID = 7
_SAID = NUMBER_WORDS | HESITATIONS
_WORD = re.compile(r"[a-z]+")
_PIECES = re.compile(rf"\d{_PAUSE}\d{{1,4}}{_PAUSE}\d")
_PAUSED = re.compile(
    rf"\d(?:(?:\s?[.{_HYPHENS}]{{1,3}}|[,;])\s{_SAID_BETWEEN}{{0,2}}|\s[.{_HYPHENS}]|\s{_SAID_BETWEEN}{{1,2}}"
    rf"|(?:[-\s.,/;]{{1,2}}\d){{5}}[-\s.,/;]{{1,2}})\d"
)
"""What no number has that is written, or digits one by one: a text without either is read as it is written only."""
_ANNOUNCED = frozenset({"card", "social", "ssn"})
_TOUCHED = re.compile(r"(?:\w-?|[@#$\u20ac\xa3\xa5]|[\d.][-.,:/]|\d{5},?\s)\Z")
_GOES_ON = re.compile(r"\w|@|[-.,:/]\d|,?\s\d{5}")
"""What stands around pieces that belong to something else: an identifier, an amount, a longer list."""


def detect(text: str, region: str = "US") -> list[Finding]:
    """Findings sorted by place, without overlaps; ranges are half-open, in code points of the text as it was given.

    `region`: the two letters of the country whose phone numbers are written without their country's code.
    ValueError when no country has them.
    """
    region = named_region(region)
    if text.isascii():
        return settled(found) if (found := _found(text, region)) else []
    text = plain(text)
    found = _found(text, region)
    if seen := visible(text):
        shown, places = seen
        found += (Finding(places[one.start], places[one.end - 1] + 1, one.type) for one in _found(shown, region))
    return settled(found)


def _found(text: str, region: str) -> list[Finding]:
    words = set(_WORD.findall(text.lower()))
    found: list[Finding] = []
    if "@" in text or "at" in words:
        found += (Finding(start, end, EMAIL_ADDRESS) for start, end in email_spans(text))
    shields = Shields(text)
    if _DIGITS.search(text):
        found += _written(text, region, found, shields)
    if not _SAID.isdisjoint(words) or _is_in_pieces(text, words):
        for said in said_digits(text, _FEWEST_SAID):
            if said.words or (not _is_known(said, found) and _stands_alone(text, said, shields)):
                found += _said(text, region, said)
    return found


def _is_in_pieces(text: str, words: set[str]) -> bool:
    """Whether digits may be said in pieces: that is slow to read, and written numbers are found without."""
    return _PIECES.search(text) is not None and (not _ANNOUNCED.isdisjoint(words) or _PAUSED.search(text) is not None)


def _written(text: str, region: str, found: list[Finding], shields: Shields) -> list[Finding]:
    numbers = [one for one in (*_cards(text), *_ssns(text)) if not shields.cover(one.start, one.end)]
    known = Spans((one.start, one.end) for one in (*numbers, *found))

    def taken(start: int, end: int) -> bool:
        return known.touched(start, end) is not None or shields.cover(start, end)

    def is_called(start: int, end: int) -> bool:
        return context(text, start, end) == "phone"

    phones = []
    for start, end, certain in phone_spans(text, region, taken, is_called):
        about = context(text, start, end)
        if (about == "phone" or (certain and about != "other")) and not taken(start, end):
            phones.append(Finding(start, end, PHONE_NUMBER))
    return [*numbers, *phones]


def _ssns(text: str) -> Iterator[Finding]:
    for match in _SSN.finditer(text):
        before = text[max(0, match.start() - BEFORE_CHARACTERS) : match.start()]
        if not is_ssn(_ascii_digits(match[0])) or is_of_a_thing(before) or is_of_a_contract(before):
            continue
        if not before.endswith("#") or context(text, *match.span()) == "ssn":
            yield Finding(*match.span(), US_SSN)
    for match in _SSN_BARE.finditer(text):
        if is_ssn(_ascii_digits(match[0])) and context(text, *match.span()) == "ssn":
            yield Finding(*match.span(), US_SSN)


def _cards(text: str) -> Iterator[Finding]:
    for run in _CARD_RUN.finditer(text):
        if sum(map(str.isdecimal, run[0])) < MIN_DIGITS:
            continue
        groups = [(run.start() + group.start(), run.start() + group.end()) for group in _GROUP.finditer(run[0])]
        for first, last in card_windows([_ascii_digits(text[start:end]) for start, end in groups]):
            start, end = groups[first][0], groups[last - 1][1]
            if _is_decimal(text, groups, first, last):
                continue
            before = text[max(0, start - BEFORE_CHARACTERS) : start]
            if is_of_a_thing(before) or (before.endswith("#") and context(text, start, end) != "card"):
                continue
            yield Finding(start, end, CREDIT_CARD)
    for three in _CARD_OF_THREE.finditer(text):
        if is_card(_ascii_digits(three[0])) and context(text, *three.span()) != "other":
            yield Finding(*three.span(), CREDIT_CARD)


def _is_decimal(text: str, groups: list[tuple[int, int]], first: int, last: int) -> bool:
    """Whether groups of digits are a number with its decimals, or these alone: cards are printed in more pieces."""
    if last - first == 1:
        return first > 0 and text[groups[first][0] - 1] == "."
    return last - first == 2 and text[groups[first][1]] == "."


def _is_known(said: Said, found: list[Finding]) -> bool:
    return any(one.start <= said.spans[0][0] and said.spans[-1][1] <= one.end for one in found)


def _stands_alone(text: str, said: Said, shields: Shields) -> bool:
    """Whether digits in pieces are no part of anything else."""
    start, end = said.spans[0][0], said.spans[-1][1]
    touched = _TOUCHED.search(text[max(0, start - 8) : start]) or _GOES_ON.match(text, end)
    return touched is None and not shields.cover(start, end)


def _said(text: str, region: str, said: Said) -> Iterator[Finding]:
    """The first reading that fits all digits, or, with words that say so, the digits behind those words."""
    if is_address_of_a_machine(said):
        return
    start, end = said.spans[0][0], said.spans[-1][1]
    about = context(text, start, end)
    if about == "other" and not is_card(said.digits):
        return
    if not said.certain and (about in (None, "other") or not (said.is_grouped or _fits(said.digits, about))):
        return
    if said.plus is not None and is_international(said.digits):
        yield Finding(said.plus, end, PHONE_NUMBER)
    elif is_card(said.digits):
        yield Finding(start, end, CREDIT_CARD)
    elif is_ssn(said.digits) and (about == "ssn" or said.dashes == [3, 5]):
        yield Finding(start, end, US_SSN)
    elif about != "card" and about != "ssn" and is_phone(said.digits, region, about):
        yield Finding(start, end, PHONE_NUMBER)
    else:
        yield from _parts(said, region, about)


def _fits(digits: str, about: Context | None) -> bool:
    """Whether digits in pieces of any length are, as a whole, what the words before them announce."""
    if about == "phone":
        return _ten(digits)
    return is_card(digits) if about == "card" else is_ssn(digits)


def _parts(said: Said, region: str, about: Context | None) -> Iterator[Finding]:
    """Within more digits than a number has: what is said right before or after it may be digits, too."""
    digits, first = said.digits, 0
    while first < len(digits):
        for length in (*range(MAX_DIGITS, MIN_DIGITS - 1, -1), 11, 10, 9):
            part = digits[first : first + length]
            place = said.range(first, first + length) if len(part) == length else None
            if place is None:
                continue
            if length >= MIN_DIGITS:
                kind = CREDIT_CARD if is_card(part) and (about == "card" or first == 0) else None
            elif length == 9:
                kind = US_SSN if about == "ssn" and is_ssn(part) and first == 0 else None
            else:
                kind = PHONE_NUMBER if about == "phone" and _ten(part) and is_phone(part, region, about) else None
            if kind:
                yield Finding(*place, kind)
                first += length
                break
        else:
            first += 1


def _ten(digits: str) -> bool:
    national = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
    return len(national) == 10 and national[0] not in "01" and national[3] not in "01"


def _ascii_digits(text: str) -> str:
    return "".join(str(int(character)) for character in text if character.isdecimal())
