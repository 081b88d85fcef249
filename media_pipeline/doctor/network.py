"""Whether a host can be reached: name, connection, TLS, HTTP; how long each took, and what time the host has."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from media_pipeline.doctor.findings import GENESYS, Finding

CONNECT_SECONDS, READ_SECONDS = 4.0, 4.0
MOST_SKEW_SECONDS = 60.0
_STAGES = {"connect_tcp": "connected", "start_tls": "TLS", "receive_response_headers": "replied"}


@dataclass(slots=True)
class Visit:
    """One request without credentials: milliseconds by stage, and seconds that the host's clock is ahead of ours."""

    status: int = 0
    milliseconds: dict[str, float] = field(default_factory=dict)
    ahead_seconds: float | None = None


def visit(url: str) -> Visit:
    """Ask a host for its root page; raises httpx.HTTPError."""
    seen = Visit()
    began: dict[str, float] = {}

    def trace(event: str, facts: dict[str, Any]) -> None:
        _, stage, moment = event.rsplit(".", 2)
        if moment == "started":
            began[stage] = time.monotonic()
        elif moment == "complete" and stage in _STAGES:
            seen.milliseconds[_STAGES[stage]] = (time.monotonic() - began[stage]) * 1000

    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx.Client(timeout=timeout, follow_redirects=False, headers={"User-Agent": "media-pipeline"}) as http:
        before = dt.datetime.now(dt.UTC)
        with http.stream("GET", f"{url}/", extensions={"trace": trace}) as reply:
            after = dt.datetime.now(dt.UTC)
            seen.status = reply.status_code
            seen.ahead_seconds = _ahead(reply.headers.get("Date"), before + (after - before) / 2)
    return seen


def reached(name: str, url: str, found: Visit | Exception, hint: str) -> Finding:
    """The line about one host; `hint` says which variable leads there."""
    host = urlsplit(url).netloc
    if isinstance(found, Visit):
        stages = ", ".join(f"{stage} in {spent:.0f} ms" for stage, spent in found.milliseconds.items())
        if found.status >= 500:
            seen = f"{host} answered HTTP {found.status} ({stages})"
            return Finding(GENESYS, name, "warn", seen, "Look at status.mypurecloud.com, or at the proxy in between.")
        return Finding(GENESYS, name, "ok", f"{host}: {stages}")
    todo = f"Check {hint}, the name servers, the firewall and HTTPS_PROXY."
    return Finding(GENESYS, name, "fail", f"{host} cannot be reached: {_cause(found)}", todo)


def clock(visits: list[Visit | Exception]) -> Finding:
    """The line about our clock, by the hosts' Date headers."""
    known = [found.ahead_seconds for found in visits if isinstance(found, Visit) and found.ahead_seconds is not None]
    if not known:
        return Finding(GENESYS, "clock", "warn", "unknown: no host told its time", "Make a host reachable first.")
    ahead = min(known, key=abs)
    if abs(ahead) <= MOST_SKEW_SECONDS:
        return Finding(GENESYS, "clock", "ok", f"within {max(1, round(abs(ahead)))} s of Genesys Cloud's")
    side = "behind" if ahead > 0 else "ahead of"
    seen = f"{abs(ahead) / 60:,.1f} minutes {side} Genesys Cloud's"
    todo = "Set this machine's clock by NTP: days are judged finished by it, and S3 refuses requests 15 minutes off."
    return Finding(GENESYS, "clock", "warn", seen, todo)


def _ahead(stated: str | None, ours: dt.datetime) -> float | None:
    try:
        theirs = parsedate_to_datetime(stated or "")
    except (ValueError, OverflowError):
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=dt.UTC)
    # Whole seconds, cut off: half of one is the best guess.
    return (theirs - ours).total_seconds() + 0.5


def _cause(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "its name is not known (DNS)"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or 'handshake'})"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection is refused"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:.0f} s"
    if isinstance(error, httpx.ReadTimeout):
        return f"connected, and no answer within {READ_SECONDS:.0f} s"
    if isinstance(error, httpx.HTTPError):
        return type(error).__name__
    return str(error)
