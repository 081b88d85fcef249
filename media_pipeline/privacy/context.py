"""What stands around a number: words that say what it is, and spans in which numbers are never personal data."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Literal

from media_pipeline.privacy.findings import Spans

Context = Literal["phone", "ssn", "card", "other"]

WORD = r"[^\W\u2e80-\ud7ff]"
"""A letter, digit or underscore that a number may not touch; scripts without spaces between words are left out."""
BEFORE_CHARACTERS = 60
AFTER_CHARACTERS = 24

_PHONE = (
    r"(?:tele|cell)?phones?|cell|mobile|call(?:s|ed|ing)?(?:[ -]?back)?|dial(?:ed|ing)?|tel|fax|text|sms|whatsapp"
    r"|caller(?:[ _-]?id)?|reach(?:ed)?|contact|hotline|helpline|landline|voice ?mail|ring|toll[- ]?free|area code|ph"
    r"|(?:my|his|her|their|our|your|best|good|direct|work|home|office|emergency)"
    r" (?!(?:card|social|ssn)\b)(?:\w+ )?(?:number|line)"
)
_SSN = r"ssn|s s n|s\.s\.n|ss ?#|socials?|soc\.? ?sec\.?"
_CARD = (
    r"(?:credit|debit|payment|bank) ?cards?|card|visa|master ?card|amex|american express|diners|maestro|jcb|pan"
    r"|cc(?= ?#)"
)
_WORD = re.compile(rf"(?<![^\W_])(?:(?P<phone>{_PHONE})|(?P<ssn>{_SSN})|(?P<card>{_CARD}))(?![^\W_])", re.IGNORECASE)
_AFTER_SSN = re.compile(r"\W+(?:is|was|as)\W+(?:my|his|her|their|the|your)\W+(?:ssn|social)\b", re.IGNORECASE)

_SHIPPED = (
    "order|invoice|tracking|shipment|part|serial|sku|model|ticket|case|reference|ref|confirmation|po|batch|lot|isbn|"
    "ean|upc|gtin|barcode|imei|iccid|build|version|product|item|booking|receipt|transaction|claim|error|catalog|asset"
)
_FILED = (
    "account|acct|policy|member|membership|routing|licen[cs]e|zip|zipcode|postal|code|codes|pin|passcode|vin|location|"
    "room|flight|ids?|identifier|uuid|guid|key|row|page|port|pid|seed|offset|size|length|range|bytes|epoch|timestamp|unix|"
    "duration|elapsed|millis|ms|count|hits|sequence|seq|nonce|thread|session|trace|span|amount|total|price|cost|balance|hash|checksum|md5|sha\\d*|recording|conversation|document|iban|score|student|patient"
    "|interaction|media|rec|segment|(?<!my )(?<!his )(?<!her )(?<!our )(?<!their )job"
)
_CAMEL = "(?-i:(?<=[a-z])(?:I[dD]s?|Bytes|Count|Duration|Hits|Index|Length|Millis|Ms|Offset|Size|Time|Timestamp))"
"""How a field's name in a program's text ends: totalHits, startOffset, recordingId."""
_FILLING = r"""(?:[\s:=#.,_'"(\[-]|(?:numbers?|no|num|nr|ids?|codes?|is|was|are|of)(?![^\W_]))*\Z"""
_OF_A_THING = re.compile(rf"(?<![^\W_])(?:{_SHIPPED})s?{_FILLING}", re.IGNORECASE)
_OF_A_FILE = re.compile(rf"(?<!caller)(?<!caller[ _-])(?:(?<![^\W_])(?:{_FILED})s?|{_CAMEL}){_FILLING}", re.IGNORECASE)
_OF_A_CONTRACT = re.compile(rf"(?<![^\W_])(?:policy|member|membership){_FILLING}", re.IGNORECASE)
_ONLY_ABOUT = re.compile(r"(?:\b(?:on|for|with|in|to) (?:the|my|your|this|that|his|her) |\barea )\Z", re.IGNORECASE)
_UNITS = re.compile(
    r"\s?(?:[$€£¥%]|(?:bytes?|[kmgt]i?b|ms|usd|eur|dollars?|euros?|users|items|rows|records|times)\b)", re.IGNORECASE
)
_MONEY = re.compile(r"(?:[$€£¥]|\b(?:usd|eur|gbp|chf|cad|aud|jpy|inr))\s*\Z", re.IGNORECASE)


def context(text: str, start: int, end: int) -> Context | None:
    """What the words say that the number at text[start:end] is; `other`: a thing's number, nobody's."""
    before = text[max(0, start - BEFORE_CHARACTERS) : start]
    if is_of_a_thing(before) or _attached(_OF_A_FILE, before) or _MONEY.search(before):
        return "other"
    if _UNITS.match(text, end):
        return "other"
    if _AFTER_SSN.match(text, end, end + AFTER_CHARACTERS):
        return "ssn"
    last: Context | None = None
    for found in _WORD.finditer(before):
        last = "phone" if found["phone"] else "ssn" if found["ssn"] else "card"
    return last


def is_of_a_thing(before: str) -> bool:
    """Whether the text right before a number calls it that of an order, a part, a ticket and the like."""
    return _attached(_OF_A_THING, before)


def is_of_a_contract(before: str) -> bool:
    """Whether the text right before a number calls it that of a policy or a member: they are grouped like SSNs."""
    return _attached(_OF_A_CONTRACT, before)


def _attached(words: re.Pattern[str], before: str) -> bool:
    found = words.search(before)
    return found is not None and not _ONLY_ABOUT.search(before[: found.start()])


_SHIELDS = re.compile(
    r"""
    [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}                                    # UUID
  | \bsips?:\S+                                                                     # SIP URI
  | \b(?:https?|wss?|s3|ftp|ssh|git|file)://\S+
  | (?<![\w+.])(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}(?:[:/]\d{1,5})?(?![\w.]*\d)  # IPv4
  | \b(?:19|20)\d\d-[01]\d-[0-3]\d(?:(?:T|\s(?=\d\d?:))[\d:.,]+(?:Z|[+-]\d\d:?\d\d)?)?  # ISO 8601
  | \b(?:19|20)\d{6}T\d{6}(?:\.\d+)?Z?
  | \b(?:content-)?range:?\s*(?:bytes)?[\s=]*[\d\s,*-]+(?:/[\d*]+)?
  | \bbytes[\s=]*\d+\s?-\s?\d*(?:/[\d*]+)?
  | (?-i:\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,4})?\b)             # IBAN
  | \b\d{1,3}(?:,\d{3})+(?:\.\d+)?\b                                                # 4,155,550,132
  | \b(?=[0-9]*+[a-f])[0-9a-f]{15,}+\b                                              # digests
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NAMED_IN_URL = re.compile(r"[?&;](?:phone|tel|mobile|cell|msisdn|card|cc|pan|ssn)\w*=(?:\+|%2B)?\Z", re.IGNORECASE)


class Shields:
    """Spans of identifiers, addresses and ranges: a number in one of them is a part of it."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _spans(self) -> Spans:
        return Spans(found.span() for found in _SHIELDS.finditer(self._text))

    def cover(self, start: int, end: int) -> bool:
        """Whether a shielded span shares a code point with [start, end)."""
        began = self._spans.touched(start, end)
        return began is not None and not _NAMED_IN_URL.search(self._text[began:start])
