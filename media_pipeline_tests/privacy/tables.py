"""The labelled strings under tables/, and how well findings agree with them: exactly, code point by code point."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from media_pipeline.privacy import CREDIT_CARD, EMAIL_ADDRESS, PHONE_NUMBER, US_SSN, detect

FOLDER = Path(__file__).parent / "tables"
TABLES = {"phone": PHONE_NUMBER, "email": EMAIL_ADDRESS, "card": CREDIT_CARD, "ssn": US_SSN}
ALONE = ("heldout", "unseen")
"""Written without sight of the others, and each judged alone."""
MIXED = ("calls", *ALONE)
"""Tables in which each mark names its type."""
MARK = re.compile(rf"<<(?!<)(?:({'|'.join(TABLES.values())}):)?(.*?)>>")
"""<<what is found>>, of the table's type or of the one that is named."""


class Labelled(NamedTuple):
    """A string and what is to be found in it, as (type, start, end)."""

    text: str
    expected: set[tuple[str, int, int]]


def labelled(table: str) -> Iterator[Labelled]:
    """The strings of a table."""
    for line in (FOLDER / f"{table}.txt").read_text().splitlines():
        if not line or line.startswith("# "):
            continue
        text, expected, end = "", set(), 0
        for mark in MARK.finditer(line):
            text += line[end : mark.start()]
            expected.add((mark[1] or TABLES[table], len(text), len(text) + len(mark[2])))
            text, end = text + mark[2], mark.end()
        yield Labelled(text + line[end:], expected)


def counts(tables: list[str]) -> tuple[dict[str, Counter[str]], list[str]]:
    """True and false positives and false negatives by type; and a line for each string that is not as labelled."""
    by_type = {name: Counter[str]() for name in TABLES.values()}
    wrong = []
    for table in tables:
        for string in labelled(table):
            found = {(one.type, one.start, one.end) for one in detect(string.text)}
            for kind, _, _ in found & string.expected:
                by_type[kind]["true"] += 1
            for kind, _, _ in found - string.expected:
                by_type[kind]["too many"] += 1
            for kind, _, _ in string.expected - found:
                by_type[kind]["missed"] += 1
            if found != string.expected:
                wrong.append(f"{table}: {string.text!r}: {sorted(found)}, not {sorted(string.expected)}")
    return by_type, wrong


if __name__ == "__main__":
    result, lines = counts([*TABLES, *MIXED])
    print(*lines, sep="\n")
    for kind, count in result.items():
        precision = count["true"] / (count["true"] + count["too many"])
        recall = count["true"] / (count["true"] + count["missed"])
        print(f"{kind}: precision {precision:.3f}, recall {recall:.3f}, {dict(count)}")
