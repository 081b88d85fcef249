"""Turns what matplotlib draws into SVG for a page: small, coloured by the page's own variables, with a name and a text.

Colours become presentation attributes: unlike `style=`, a strict Content-Security-Policy lets them be.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html import escape

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
COLOURS = {
    "ink": "#010101",
    "soft": "#020202",
    "line": "#030303",
    "accent": "#040404",
    "faint": "#050505",
    "good": "#060606",
    "warn": "#070707",
    "bad": "#080808",
    "card": "#090909",
}
"""What is drawn with instead of the page's variables of the same names."""
_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_NUMBER = re.compile(r"-?\d+\.\d+")
_KEPT_STYLES = {
    "fill",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "stroke-linecap",
    "stroke-linejoin",
    "font-size",
    "font-weight",
    "text-anchor",
    "opacity",
    "fill-opacity",
    "stroke-opacity",
}
_PLAIN = {"fill": "#000000", "stroke-linejoin": "miter", "text-anchor": "start", "stroke-linecap": "butt"}
"""Values that need not be said."""
MARK = "mark:"
"""A gid that begins so becomes the attribute data-mark."""


def inline(drawn: str, name: str, title: str, description: str) -> str:
    """The drawing as one `svg` element, called `name` in the page, for people who see it and for those who do not."""
    root = ET.fromstring(drawn)  # noqa: S314  as above
    references = set(re.findall(r"(?:url\(#|href=\"#)([\w-]+)", drawn))
    body = "".join(_written(child, name, references) for child in root)
    return (
        f'<svg class="chart" viewBox="{root.get("viewBox")}" role="img" aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-text">{escape(description)}</desc>'
        f"{body}</svg>"
    )


def _written(element: ET.Element, name: str, references: set[str]) -> str:
    tag = element.tag.removeprefix(_SVG)
    if tag in ("metadata", "style", "title"):
        return ""
    attributes = _attributes(element, tag, name, references)
    text = escape(element.text) if tag == "text" and element.text else ""
    inside = text + "".join(_written(child, name, references) for child in element)
    if tag in ("g", "defs") and (not inside or not attributes):
        # groups that say nothing; definitions keep their frame, or they would be drawn
        return f"<defs>{inside}</defs>" if tag == "defs" and inside else inside
    said = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{tag}{said}>{inside}</{tag}>" if inside else f"<{tag}{said}/>"


def _attributes(element: ET.Element, tag: str, name: str, references: set[str]) -> dict[str, str]:
    found = dict[str, str]()
    for key, value in element.attrib.items():
        if key == "id":
            if value in references:
                found["id"] = f"{name}-{value}"
            elif value.startswith(MARK):
                found["data-mark"] = value.removeprefix(MARK)
        elif key == "style":
            found |= _presentation(value)
        elif key == _HREF:
            found["href"] = f"#{name}-{value.removeprefix('#')}"
        elif key == "transform" and value.startswith("rotate(-0 "):
            continue
        elif key == "d":
            found[key] = _rounded(" ".join(value.split()))
        else:
            found[key] = _VARIABLES.get(value) or _rounded(value)
    return {key: value.replace("url(#", f"url(#{name}-") for key, value in found.items() if _PLAIN.get(key) != value}


def _presentation(style: str) -> dict[str, str]:
    pairs = (each.partition(":")[::2] for each in style.split(";") if ":" in each)
    said = {key.strip(): value.strip() for key, value in pairs}
    return {key: _VARIABLES.get(value, value.removesuffix("px")) for key, value in said.items() if key in _KEPT_STYLES}


def _rounded(value: str) -> str:
    return _NUMBER.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), value)
