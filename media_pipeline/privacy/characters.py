"""Characters that are not seen or that look like others: in a number or an address they change nothing for a reader."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\u20e3\ufe00-\ufe0f\ufeff]"
)
"""Soft hyphens, joiners, zero widths, marks of direction and variation, and the frame of a keycap."""
_FULL_WIDTH = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFF01, 0xFF5F)}
_LOOK_ALIKE = {0x2212: "-", 0xFE63: "-", 0x2043: "-", 0x2024: ".", 0xFE52: ".", 0xFE6B: "@", 0x2044: "/", 0x2215: "/"}
_SAME = str.maketrans(_FULL_WIDTH | _LOOK_ALIKE)


def plain(text: str) -> str:
    """The text with ASCII's own for look-alikes, one for one: places stay."""
    return text if text.isascii() else text.translate(_SAME)


def visible(text: str) -> tuple[str, list[int]] | None:
    """The text without what is not seen, and where each of its characters was; None when nothing is left out."""
    if not _INVISIBLE.search(text):
        return None
    gone = {found.start() for found in _INVISIBLE.finditer(text)}
    places = [place for place in range(len(text)) if place not in gone]
    return "".join(text[place] for place in places), places
