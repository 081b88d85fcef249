"""Names that guests give their files, as tables and conversations may show them; no path is ever made of one.

Personal data: a name is the guest's own words. What the house's detector finds in it (cards, e-mail addresses, phone
and social security numbers) is replaced by its type; names of people it does not know, and they stay.
"""

from __future__ import annotations

import re
import unicodedata

from media_pipeline.privacy import detect

MOST_CHARACTERS = 255
"""Of a name that is accepted: as many as file systems take."""
SHOWN_CHARACTERS = 200
_SEPARATORS = re.compile(r"[/\\\0]")
_HARMFUL = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Categories of characters that are invisible, steer the direction of text, end lines, or are none."""
_JOINERS = "\u200c\u200d"
"""Of category Cf, and part of ordinary words and pictures."""


def is_hostile(name: str) -> bool:
    """Whether a name is made to mislead a program or a person: separators, NUL, controls, overrides, endless length."""
    return (
        len(name) > MOST_CHARACTERS
        or name.strip(". ") == ""
        or _SEPARATORS.search(name) is not None
        or any(_is_harmful(character) for character in name)
    )


def shown(name: str | None) -> str | None:
    """The name on one line, harmful characters as escapes, personal data as their type, at most 200 characters."""
    if name is None:
        return None
    begun = name[: 4 * SHOWN_CHARACTERS]
    escaped = "".join(_escaped(character) if _is_harmful(character) else character for character in _masked(begun))
    return escaped if len(escaped) <= SHOWN_CHARACTERS else escaped[: SHOWN_CHARACTERS - 1] + "…"


def _masked(name: str) -> str:
    """Names join words with underscores, hyphens and dots where people would write spaces."""
    found = {(one.start, one.end): one.type for text in (name, name.replace("_", " ")) for one in detect(text)}
    end = len(name)
    for (start, stop), kind in sorted(found.items(), reverse=True):
        if stop <= end:
            name, end = f"{name[:start]}[{kind}]{name[stop:]}", start
    return name


def _is_harmful(character: str) -> bool:
    if character.isascii():
        return not character.isprintable()
    return unicodedata.category(character) in _HARMFUL and character not in _JOINERS


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
