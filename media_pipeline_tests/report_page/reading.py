"""A report page as a test reads it: its figures with the row they stand in, its text, its pictures' marks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "rect", "use", "path"}


@dataclass
class Figure:
    """One number: its name, the data-* of its table row, its exact value, and as it is shown."""

    name: str
    row: tuple[tuple[str, str], ...]
    value: str
    text: str = ""

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        return self.name, self.row


@dataclass
class Reading(HTMLParser):
    """All that a page says."""

    page: str
    figures: list[Figure] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    open_days: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._row: tuple[tuple[str, str], ...] = ()
        self._figure: Figure | None = None
        self._depth = 0
        self._in_command = False
        self.feed(self.page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.tags.append(tag)
        if tag == "tr":
            self._row = tuple((name, value) for name, value in found.items() if name.startswith("data-"))
        if self._figure is not None and tag not in VOID:
            self._depth += 1
        if "data-figure" in found and "data-value" in found:
            self._figure, self._depth = Figure(found["data-figure"], self._row, found["data-value"]), 1
            self.figures.append(self._figure)
        if "data-mark" in found:
            name, _, value = found["data-mark"].rpartition("=")
            self.marks[name] = value
        for attribute, into in (("data-call", self.calls), ("href", self.links), ("data-open-day", self.open_days)):
            if attribute in found:
                into.append(found[attribute])
        if tag == "pre":
            self._in_command = True
            self.commands.append("")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._row = ()
        if tag == "pre":
            self._in_command = False
        if self._figure is not None and tag not in VOID:
            self._depth -= 1
            if self._depth == 0:
                self._figure = None

    def handle_data(self, data: str) -> None:
        if self._figure is not None:
            self._figure.text += data
        if self._in_command:
            self.commands[-1] += data

    def value(self, name: str, **row: str) -> str:
        """The exact value of the one figure of this name, in the row that has these data-*."""
        wanted = {(f"data-{key.replace('_', '-')}", value) for key, value in row.items()}
        (found,) = [each for each in self.figures if each.name == name and wanted <= set(each.row)]
        return found.value

    @property
    def text(self) -> str:
        """What a person reads."""
        from html import unescape

        body = re.sub(r"<style>.*?</style>", "", self.page, flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def shown_number(text: str) -> tuple[float, float]:
    """What a text such as `1,234`, `185.8 MB` or `2 h 5 min` says, and how far rounding may be off."""
    units = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "h": 3600.0, "min": 60.0, "s": 1.0, "": 1.0}
    parts = re.findall(r"([\d,]+(?:\.\d+)?)\s*([A-Za-z]*)", text)
    number = sum(float(digits.replace(",", "")) * units[unit] for digits, unit in parts)
    digits, unit = parts[-1]
    finest = 10.0 ** -len(digits.partition(".")[2]) * units[unit]
    return number, finest * (0.51 if unit not in ("h", "min") or len(parts) > 1 else 60)
