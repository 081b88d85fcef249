"""Templates, and the files that stand in them: one style sheet, one script, one icon.

They stand in the page itself, so that nothing but pages has to be served, and the policy names them by their hashes:
nothing else runs, and nothing is loaded but recordings. All else that goes into a page is escaped by its template.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from media_pipeline.report_page.rendering import pages_below
from media_pipeline.service.problems import Problem

WEB = Path(__file__).with_name("web")
STYLE, SCRIPT, ICON = ((WEB / name).read_text() for name in ("pages.css", "player.js", "icon.svg"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_hash(SCRIPT)}; style-src {_hash(STYLE)}; img-src data:; media-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
NOBODY_KNOWS = "\N{EN DASH}"
_HEADERS = {"Content-Security-Policy": POLICY, "Cross-Origin-Opener-Policy": "same-origin"}
_TITLES = {401: "Please log in", 404: "Not found", 503: "Not now"}


def rendered(template: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    return HTMLResponse(_environment().get_template(template).render(values), status, headers=_HEADERS)


class PageProblem(Problem):
    """A refusal for people: the same status and sentence, as a page."""

    def response(self) -> Response:
        response = rendered(
            "problem.html",
            self.status,
            title=_TITLES.get(self.status, "This cannot be shown"),
            sentence=self.detail,
            reason=self.reason,
        )
        response.headers.update(self.headers)
        for challenge in self.challenges:
            response.headers.append("WWW-Authenticate", challenge)
        return response


@functools.cache
def _environment() -> Environment:
    environment = pages_below(WEB)
    environment.finalize = _in_order
    environment.globals |= {"style": Markup(STYLE), "script": Markup(SCRIPT)}  # noqa: S704  files of ours
    environment.globals["icon"] = "data:image/svg+xml;base64," + base64.b64encode(ICON.encode()).decode()
    environment.filters |= {"clock": clock, "lasting": lasting, "moment": moment, "short": short, "at": seconds_of}
    environment.filters |= {"query": _query, "segment": lambda text: quote(text, safe="")}
    return environment


_TURNING = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
"""Characters that make others read in another order, so that a name's end looks like another one."""


def _in_order(value: Any) -> Any:
    return value.translate(_TURNING) if type(value) is str else value


def _query(values: dict[str, Any]) -> str:
    return urlencode({name: value for name, value in values.items() if value not in ("", None)})


def clock(milliseconds: int) -> str:
    """A place in a recording: 1:23, or 1:02:03 from an hour on."""
    seconds = max(0, milliseconds) // 1000
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def lasting(seconds: float | None) -> str:
    """How long something is; a dash where nobody knows."""
    return NOBODY_KNOWS if seconds is None else clock(round(seconds) * 1000)


def seconds_of(milliseconds: int) -> str:
    """A place as it stands in an address: 83 or 83.5."""
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".")


def moment(value: dt.datetime | int | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A moment in UTC, given as such or in ms since 1970; a dash where nobody knows."""
    if value is None:
        return NOBODY_KNOWS
    if isinstance(value, int):
        value = dt.datetime.fromtimestamp(value / 1000, dt.UTC)
    return value.strftime(form)


def short(identifier: str) -> str:
    """The beginning of an id that is long: lists show it, with the whole beside it for who needs it."""
    return identifier if len(identifier) <= 13 else f"{identifier[:8]}…"
