"""E-mail addresses, written (RFC 5321, RFC 6531) and spoken ("jane dot doe at example dot com")."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LATIN = r"A-Za-z0-9\u00c0-\u024f\u0300-\u036f"
_OTHER = r"\u0370-\u1fff\u2c00-\u2dff\u3040-\ud7ff\uf900-\ufdff\U00010000-\U0001efff\U00020000-\U0003ffff"
_ATOM = rf"(?:[{_LATIN}!#$%&'*+/=?^_`{{|}}~-]{{1,64}}+|[{_OTHER}]{{1,64}}+)"
_LABEL = rf"(?:[{_LATIN}](?:[{_LATIN}_-]{{0,61}}[{_LATIN}])?|[{_OTHER}]{{1,63}})"
_TLD = rf"(?:xn--[A-Za-z0-9-]{{1,59}}|[A-Za-z\u00c0-\u024f]{{2,63}}|[{_OTHER}]{{2,63}})"
_DOMAIN = rf"(?:{_LABEL}[.\u3002]){{1,8}}{_TLD}"
_LITERAL = r"\[(?:IPv6:[0-9A-Fa-f:.]{2,45}|\d{1,3}(?:\.\d{1,3}){3})\]"
_AT_DOMAIN = re.compile(
    rf"@(?:(?P<domain>{_DOMAIN})(?![A-Za-z0-9@]|[_-]+[A-Za-z0-9@]|\.{{1,2}}[A-Za-z0-9])|(?P<literal>{_LITERAL}))"
)
_LOCAL = re.compile(rf"(?P<quoted>\"(?:[^\"\\\r\n]|\\.){{1,64}}\")\Z|(?P<plain>{_ATOM}(?:\.{_ATOM})*)\Z")
_LOCAL_CHARACTERS = 66
_ACCOUNT = re.compile(
    r"(?:\b(?:sips?|xmpp|h323|irc|svn|ssh):|://[^\s/]*|\b(?:call|content|message)-?id[:=]?\s*<?|(?<![^\r\n])i:\s*)\Z",
    re.IGNORECASE,
)
"""What stands before something that is spelled like an address: an account, or an id in a header of SIP or of mail."""
_TOUCHED = re.compile(r"(?:[.@\\]|\w\")\Z")
"""What stands before a part of something that as a whole is no local part."""
_RETINA = re.compile(r"@[1-9]x\.", re.IGNORECASE)
_NEXT_SENTENCE = re.compile(r"(?<=[a-z])\.[A-Z][a-z]*\Z")

_SPACE, _GAP = r"\s{1,8}", r"\s{0,8}"
"""Bounded: a text of nothing but spaces would be searched from each of them on."""
_AT = rf"(?:{_SPACE}at(?:{_SPACE}sign)?{_SPACE}|{_GAP}[\[({{<]{_GAP}at{_GAP}[\])}}>]{_GAP}|{_GAP}@{_GAP})"
_DOT = rf"(?:{_GAP}(?:[\[({{<]{_GAP}dot{_GAP}[\])}}>]|\.){_GAP}|{_SPACE}(?:dot|period|point){_SPACE})"
_SPOKEN_TLD = (
    rf"(?:com?|ac|org|net){_DOT}(?:uk|au|nz|in|jp|br|za|kr)|"
    r"com|net|org|edu|gov|mil|info|biz|io|co|us|uk|ca|de|fr|au|in|eu|me|tv|ai|app|dev|nz|ie|ch|at|nl|be|es|it|se|no|dk|jp"
)
_NAME = r"(?!at\b|dot\b)[a-z0-9-]{1,40}"
_SPOKEN = re.compile(
    rf"(?P<at>{_AT})(?P<domain>{_NAME}(?:(?:{_DOT}|{_SPACE}(?:dash|hyphen|minus){_SPACE}|{_SPACE}){_NAME}){{0,3}}?)"
    rf"(?P<dot>{_DOT})(?:{_SPOKEN_TLD})(?![\w@]|\.\w)",
    re.IGNORECASE,
)
_DOT_OF_ANY_KIND = re.compile(_DOT, re.IGNORECASE)
_BETWEEN = re.compile(rf"{_DOT}|\s+(?:dash|hyphen|minus)\s+", re.IGNORECASE)
_JOIN = r"(?:\s+(?:dot|period|point|underscore|dash|hyphen|minus|plus)\s+"
_JOIN += r"|\s*[\[({<]\s*(?:dot|underscore|dash)\s*[\])}>]\s*)"
_DIGIT = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple|\d{1,4})"
_PIECE = rf"(?:[a-z](?:\s+[a-z]\b){{2,}}|[a-z](?:-[a-z])+\b|[\w.+'-]{{1,64}})(?:\s+{_DIGIT})*"
_BEFORE = re.compile(rf"(?<![\w@])(?P<local>{_PIECE}(?:{_JOIN}{_PIECE})*)\Z", re.IGNORECASE)
_BEFORE_CHARACTERS = 120
_MAIL_WORDS = re.compile(
    r"\be-?mails?\b|\bmail\b|\baddress\b|\bcontact\b|\breach\b|\bwrite to\b|\bsend\b", re.IGNORECASE
)
_FREE_MAIL = re.compile(
    r"\A(?:g ?mail|googlemail|yahoo|hot ?mail|outlook|i ?cloud|aol|msn|live|proton|protonmail|gmx|comcast|verizon"
    r"|yandex|zoho|fastmail)\Z",
    re.IGNORECASE,
)
_AFTER_CHARACTERS = 40
_SIMPLE = re.compile(rf"(?P<word>[\w'-]+)(?P<digits>(?:\s+{_DIGIT})*)", re.IGNORECASE)
_CONTRACTED = re.compile(r"'(?:d|ll|m|re|s|t|ve)\Z", re.IGNORECASE)
_OPENING = re.compile(
    r"(?:\A|[,.:;|!?(\r\n\"]|\b(?:and|is|it's|ok|okay|or|sure|that's|to|u[hm]|yeah|yes))[\s'\"]*\Z", re.IGNORECASE
)
"""Before a name that no sentence leads up to: "It's ann at example dot com"."""
_NOT_A_NAME = frozenset(
    """
    a about account accounts all also am an and any anything app apps are arrive arrived as available back based be
    been bill bills book booking both bought browse browsed but buy by call cancel cancelled chat cheap cheaper
    check checked checking click community coupon coupons deal deals details directly discount docs documentation
    done download each either email ends events every everything existing expensive experience few find followed for
    form forms free from get go goods got guide have headquarters help here herself him himself hosted hosting how i
    if in is it item items job join just keep know later learn link listed live located log login look looked
    looking lookup lot made manual many me meet more much myself new news not nothing now of off on one online only
    open options or order ordered ordering orders our ourselves out over page pages paid password passwords pay
    paying payment people plans please portal post posted posting price prices product products profile purchase
    purchased read reading register registered registering reset returned returns review reviews rewards run running
    sale same saw search searched searching see sell selling server service shipping shoes shop shopped shopping
    showed shown sign signed site site's sold some something staff start started starts status stay stayed stop
    store stores stuck stuff subscribe subscribed support's team that the them themselves there these they thing
    things this those ticket tickets time to today tomorrow tonight try up updated us use used using via visit
    visited waiting was watch watched we website week went were what when where which while who with work worked
    working works would wrote yesterday you your yourself
    """.split()  # noqa: SIM905  a list of them is 170 lines
)


def email_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where addresses are; they may overlap."""
    if "@" in text:
        yield from _written(text)
    yield from _spoken(text)


def _written(text: str) -> Iterator[tuple[int, int]]:
    behind = 0
    for found in _AT_DOMAIN.finditer(text):
        begin = max(behind, found.start() - _LOCAL_CHARACTERS)
        before = text[begin : found.start()]
        local = _LOCAL.search(before)
        if local is None or _RETINA.match(text, found.start()):
            continue
        start, end = begin + local.start(), found.end()
        if local["plain"]:
            start += _leading(local["plain"], text[max(0, start - 200) : start])
            if start == found.start() or _TOUCHED.search(text[max(0, start - 2) : start]):
                continue
        account = text[max(0, start - 60) : start]
        if _ACCOUNT.search(account) or (text[start : found.start()] == "git" and text[end : end + 1] == ":"):
            continue
        sentence = _NEXT_SENTENCE.search(text, found.start(), end)
        if sentence and "." in text[found.start() : sentence.start()]:
            end = sentence.start()
        behind = end
        yield start, end


def _leading(local: str, before: str) -> int:
    """How many characters of a local part are something else: quotes, or a key of a query or a log line."""
    token = before.rsplit(None, 1)[-1] if before and not before[-1].isspace() and before.strip() else ""
    if "://" in token + local and (cut := max(local.rfind(mark) for mark in "=&?/")) >= 0:
        return cut + 1
    if named := re.match(r"\??[A-Za-z_]\w*=(?=\w)", local):
        return named.end()
    return len(local) - len(local.lstrip("'`*|{/=-"))


def _spoken(text: str) -> Iterator[tuple[int, int]]:
    for found in _SPOKEN.finditer(text):
        begin = max(0, found.start() - _BEFORE_CHARACTERS)
        before = text[begin : found.start()]
        local = _BEFORE.search(before)
        if local is None:
            continue
        start = begin + local.end() - len(local["local"].lstrip(" \t\r\n-'."))
        name = text[start : found.start()]
        if name and _is_address(name, found, text[max(0, start - 60) : start]):
            yield start, found.end()


def _is_address(name: str, found: re.Match[str], before: str) -> bool:
    word = _SIMPLE.fullmatch(name)
    if word and (word["word"].lower() in _NOT_A_NAME or _CONTRACTED.search(word["word"])):
        return False
    simple = word is not None and not word["digits"]
    after = found.string[found.end() : found.end() + _AFTER_CHARACTERS]
    known = _FREE_MAIL.match(found["domain"]) is not None or _MAIL_WORDS.search(f"{before} | {after}") is not None
    if " " in _BETWEEN.sub(".", found["domain"]).strip() and not known:
        return False  # words between "at" and "dot" are a sentence rather than a name
    if "@" in found["at"] and not (found["at"][0].isspace() and found["at"][-1].isspace()):
        return _is_torn(found) and (known or not simple or not found["at"][0].isspace())
    if any(mark in found["at"] for mark in "[({<@") or not simple or known:
        return True
    if found["dot"].strip() == ".":
        return False  # "the docs at example.com"
    return re.search(r"\d", name) is not None or _OPENING.search(before) is not None  # "I saw shoes at example dot com"


def _is_torn(found: re.Match[str]) -> bool:
    """Whether an address is written but for a space beside its @ ("jane@ example.com") or a dot that is said."""
    dots = _DOT_OF_ANY_KIND.findall(text := found[0][len(found["at"]) :])
    if any(dot.strip() != "." for dot in dots):
        return True
    return found["at"] != "@" and not any(character.isspace() for character in text)
