"""Text from outside as a terminal may have it."""

from __future__ import annotations


def printable(value: object) -> str:
    r"""Text with all that a terminal would act on, or show in disguise, as \x1b, \u202e and the like."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
