"""Phone numbers as they are written: by shape, by phonenumbers' rules of each country, and by the words before them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import phonenumbers
from phonenumbers import Leniency, PhoneNumberMatcher, ValidationResult

from media_pipeline.privacy.context import WORD, Context
from media_pipeline.privacy.findings import Spans

_EXTENSION = r"(?:[\s,;-]{0,3}(?:ext(?:ension|n)?\b\.?[:=]?|ext\.?(?=\d)|x(?=\s?\d)|\#(?=\s?\d))\s{0,2}\d{1,7}(?!\d))?"
_SEPARATOR = r"(?:[\s]{0,2}[-.\u00b7\u2010-\u2015\uff0d/][\s]{0,2}|\s{1,2})"
_NANP = re.compile(
    rf"""
    (?<!{WORD}) (?<![.@$€£¥+-]) (?: (?=\() | (?=(?:1[-.])?\d{{3}}[-.]\d) | (?<!\d\s) )
    (?: (?P<country>\+?1) (?:{_SEPARATOR})? (?=[(\d]) )?
    (?: \(\s?(?P<area1>\d{{3}})\s?\)\s{{0,2}}(?:[-.]\s?)? | (?P<area2>\d{{3}})(?P<first>{_SEPARATOR}) )
    (?P<exchange>\d{{3}}) (?P<second>{_SEPARATOR}|(?<=\)\d{{3}})|(?<=\)\s\d{{3}})) (?P<line>\d{{4}})
    {_EXTENSION} (?!{WORD}|[-.]\d)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LOCAL = re.compile(
    rf"(?<!{WORD})(?<![.@$€£¥#/+)-])(?<!\d\s)(\d{{3}})[-.\u2010-\u2015](\d{{4}}){_EXTENSION}(?!{WORD}|[-./]\d)",
    re.IGNORECASE,
)
_VANITY = re.compile(
    rf"(?<!{WORD})(?<![.@$€£¥#+-])(?P<country>\+?1[-. ])?\(?8(?:00|33|44|55|66|77|88)\)?[-. ]"
    rf"(?=(?:-?[A-Z0-9]){{7,12}}(?!{WORD}|[-.@]\w))(?=[0-9-]*[A-Z])[A-Z0-9]+(?:-[A-Z0-9]+){{0,3}}",
)
"""Free of charge and spelled on the keypad, 1-800-FLOWERS; letters beyond the seventh digit are not dialled."""
_PLUS = re.compile(
    rf"(?<!{WORD})(?<!\+)(?:\(?[+\uff0b]{{1,2}}|(?<!\d\s)(?<![\d.-])(?:011|00)(?=[\s.-]?[1-9]))[\s(]{{0,2}}\d(?:[\s()./\u2010-\u2015\uff0d-]{{0,3}}\d){{6,16}}{_EXTENSION}(?!{WORD})",
    re.IGNORECASE,
)
_RUN = re.compile(
    rf"(?<!{WORD})(?<![.@$€£¥/-])(?<!\d\s)[(+\uff0b]?\d(?:[\s()./\u2010-\u2015\uff0d-]{{0,3}}\d){{5,16}}{_EXTENSION}"
    rf"(?!{WORD}|[-.:/]\d)",
    re.IGNORECASE,
)
_ELSEWHERE = ("GB", "IL", "DE", "FR", "IN", "JP", "AU", "BR", "IT", "ES", "MX", "CN", "CH", "NL", "IE", "NZ")
"""Countries whose national notation is understood when the words before a number call it a phone number."""
_DIRECTLY = re.compile(r"(?:\b(?:at|on|is|number|phone|tel|dial|call|text)|:)\W*\Z", re.IGNORECASE)
_EPOCH_SECONDS = re.compile(r"1[5-9]\d{8}\Z")
"""From 2017 to 2033: "the call ended at 1732200000"."""
_FEWEST = 7
_NANP_DIGITS = range(10, 19)
"""With a country code and an extension."""
_TYPICAL_MAXIMA = frozenset({"2147483647", "2147483648"})
"""The largest 32-bit integers are also numbers in Dallas."""


def phone_spans(
    text: str, region: str, taken: Callable[[int, int], bool], is_called: Callable[[int, int], bool]
) -> Iterator[tuple[int, int, bool]]:
    """Candidates as (start, end, certain): certain ones need no words before them. They may overlap.

    `taken`: whether a range is something else. `is_called`: whether words say that a range is a phone number; asked
    before the rules of several countries are, which cost about a millisecond for each number.
    """
    known: list[tuple[int, int]] = []
    for found in _PLUS.finditer(text):
        if not taken(*found.span()) and (end := _international(found[0], region)) is not None:
            known.append((found.start() + _opened(found[0][:end]), found.start() + end))
            yield *known[-1], True
    if region in _NANP_REGIONS:
        for start, end, certain in _north_american(text):
            known.append((start, end))
            yield start, end, certain
    written = Spans(known)
    for found in _RUN.finditer(text):
        start, end = found.span()
        if not taken(start, end) and written.touched(start, end) is None:
            called = is_called(start, end)
            if _is_numbered(text, start) and not called:
                continue
            yield from _national(
                found[0], start, region, called, _DIRECTLY.search(text, max(0, start - 12), start) is not None
            )


def named_region(region: str) -> str:
    """The region as phonenumbers spells it; ValueError when it knows none of that name."""
    if (spelled := region.upper()) not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{region!r} is no region: two letters of a country are, such as US (ISO 3166-1).")
    return spelled


def is_phone(digits: str, region: str, context: Context | None) -> bool:
    """Whether digits that were read out, with or without a country code, are a phone number."""
    if digits in _TYPICAL_MAXIMA or (context != "phone" and _is_count(digits)):
        return False
    if region in _NANP_REGIONS:
        national = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
        if len(national) == 10:
            return (national[0] not in "01" and national[3] not in "01") or context == "phone"
        if context == "phone" and digits[0] == "0" and len(digits) > 8:
            return any(_valid(digits, other) for other in _ELSEWHERE)
        return len(national) == 7 and national[0] not in "01" and (context == "phone" or national[:3] == "555")
    return context == "phone" and _possible(digits, region)


def is_international(digits: str) -> bool:
    """Whether digits that followed a plus are possible in the country that they name."""
    return _possible("+" + digits, None)


_NANP_REGIONS = frozenset(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1])


def _north_american(text: str) -> Iterator[tuple[int, int, bool]]:
    for found in _NANP.finditer(text):
        area, exchange = found["area1"] or found["area2"], found["exchange"]
        alike = found["area1"] is not None or found["first"].strip() == found["second"].strip()
        assigned = area[0] not in "01" and exchange[0] not in "01"
        spaced = found["area1"] is None and not found["first"].strip()
        if alike and area != "000":
            certain = assigned or not spaced or area == "555"
            yield found.start(), found.end(), certain and not _is_numbered(text, found.start())
    for found in _VANITY.finditer(text):
        yield *found.span(), found["country"] is not None
    for found in _LOCAL.finditer(text):
        if found[1][0] not in "01":
            yield found.start(), found.end(), found[1] == "555"


def _is_numbered(text: str, start: int) -> bool:
    """Whether the number stands behind a #, as those of tickets and orders do."""
    return text[start - 1 : start] == "#"


def _national(run: str, start: int, region: str, is_called: bool, directly: bool) -> Iterator[tuple[int, int, bool]]:
    """What phonenumbers finds in a run of digits: certain in the region's own notation, uncertain in others'."""
    digits = _digits(run)
    if len(digits) < _FEWEST or digits in _TYPICAL_MAXIMA:
        return
    if region not in _NANP_REGIONS or len(digits) in _NANP_DIGITS or is_called:
        for match in PhoneNumberMatcher(run, region, leniency=Leniency.STRICT_GROUPING):
            if _is_whole(run, match.start, match.end):
                yield start + match.start + _opened(match.raw_string), start + match.end, not _is_count(digits)
                return
    if not is_called:
        return
    formatted = digits[0] == "0" or not run.isdecimal()
    if (formatted and any(_valid(run, other) for other in (region, *_ELSEWHERE))) or (
        region in _NANP_REGIONS and _shaped_like_nanp(run, digits, directly)
    ):
        yield start + _opened(run), start + len(run), False


def _is_whole(run: str, start: int, end: int) -> bool:
    """Whether run[start:end] is no part of a number with decimals."""
    return (start == 0 or run[start - 1].isspace()) and not (run[end : end + 1] == "." and run[start:end].isdecimal())


def _opened(number: str) -> bool:
    """Whether it begins with a bracket that closes behind it."""
    return number.startswith("(") and ")" not in number


def _shaped_like_nanp(run: str, digits: str, directly: bool) -> bool:
    """Ten or eleven digits in one piece, or seven right behind the words: enough where they say it is a number."""
    if not run.isdecimal() or _EPOCH_SECONDS.match(digits):
        return False
    return len(digits) == 10 or (len(digits) == 11 and digits[0] == "1") or (len(digits) == 7 and directly)


def _international(candidate: str, region: str) -> int | None:
    """How much of a candidate is a number with its country's code; None when nothing is."""
    text = candidate.lstrip("(") if ")" in candidate.split("+")[-1] and candidate.startswith("(") else candidate
    for match in PhoneNumberMatcher(candidate, region, leniency=Leniency.VALID):
        return match.end
    plus = text if text[0] in "+\uff0b" else re.sub(r"\A(?:011|00)", "+", text)
    return len(candidate) if len(_digits(candidate)) >= 10 and _possible(plus, region) else None


def _possible(number: str, region: str | None) -> bool:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number_with_reason(parsed) == ValidationResult.IS_POSSIBLE


def _valid(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdecimal())


def _is_count(digits: str) -> bool:
    """Whether somebody counts: 1234567890, 12345678910, 9876543210, or one digit all along."""
    return len(set(digits)) == 1 or any(digits in counted for counted in _COUNTED)


_COUNTED = ("".join(map(str, range(30))), "".join(map(str, range(30, -1, -1))), "1234567890123456789012345")
