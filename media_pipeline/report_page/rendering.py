"""Templates with everything from outside escaped, and the style sheet inside the page, allowed by its hash alone."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from media_pipeline.report_page import units
from media_pipeline.report_page.charts import shown

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
CALL_MARK = ' data-call="'
"""Before the address of a call below the service's pages of calls; on a disk there is nothing it could lead to."""
MAX_ID = 200
"""Characters of an id that are shown; ids of Genesys Cloud have 36."""


def rendered(template: str, **values: Any) -> bytes:
    """A page in UTF-8."""
    return _environment().get_template(template).render(values | {"policy": policy_for(_style())}).encode()


def policy_for(style: str) -> str:
    """A Content-Security-Policy that lets this style sheet be, and nothing load or run."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def call_address(recording_id: str, file_index: int, day: object) -> str:
    """Where the page of a call is, below the pages of calls."""
    query = {"date": str(day)} | ({"file": str(file_index)} if file_index else {})
    return f"{quote(recording_id, safe='')}?{urlencode(query)}"


@functools.cache
def _style() -> str:
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


def pages_below(folder: Path) -> Environment:
    """The templates of a folder, which escape what they are given and refuse a name that was not."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _environment() -> Environment:
    from markupsafe import Markup

    environment = pages_below(TEMPLATES)
    environment.globals |= {
        "style": Markup(_style()),  # noqa: S704  a file of our own
        "change": units.change_text,
        "share": units.share_text,
        "value_text": units.value_text,
        "call_address": call_address,
    }
    environment.filters |= {
        "count": units.count_text,
        "bytes": units.bytes_text,
        "lasting": units.lasting,
        "shown": shown,
        "identifier": lambda text: shown(text, MAX_ID),
        "long_day": lambda day: f"{day:%A}, {day.day} {day:%B %Y}",
        "short_day": lambda day: f"{day:%a} {day.day} {day:%b %Y}",
        "picture": lambda drawn: Markup(drawn),  # noqa: S704  escaped where it was drawn
    }
    return environment
