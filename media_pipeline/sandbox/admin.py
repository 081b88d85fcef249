"""`/_sandbox`: what a person or a test may look at and change while the sandbox runs. Loopback only, no login."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import hashlib
import html
import json
from collections.abc import Callable
from typing import Any

from media_pipeline.sandbox.bodies import Body, chunks
from media_pipeline.sandbox.credentials import single_values
from media_pipeline.sandbox.faults import RuleError
from media_pipeline.sandbox.messaging import admin as messaging
from media_pipeline.sandbox.org import Recording
from media_pipeline.sandbox.platform import facts
from media_pipeline.sandbox.platform.permissions import KNOWN
from media_pipeline.sandbox.platform.truth import platform_truth
from media_pipeline.sandbox.state import State
from media_pipeline.sandbox.wire import Reply, Request, html_reply, json_reply, refusal


class _RequestError(ValueError):
    """A request an admin operation cannot serve."""


async def answer(state: State, request: Request) -> Reply:
    """Answer one request below `/_sandbox`."""
    operation = _OPERATIONS.get((request.method, request.segments[1:]))
    if operation is None:
        return refusal(None, 404, "not.found", "No such sandbox operation; GET /_sandbox lists them.")
    try:
        if operation is _truth:
            return await asyncio.to_thread(_truth, state, request)
        return operation(state, request)
    except (_RequestError, RuleError, messaging.MessagingRequestError) as error:
        return refusal(None, 400, "bad.request", str(error))


def _stats(state: State, request: Request) -> Reply:
    wanted = single_values(request.query).get("recordings", "0") != "0"
    return json_reply(state.stats.snapshot(recordings=wanted))


def _reset_stats(state: State, _: Request) -> Reply:
    state.forget()
    return json_reply({})


def _rules(state: State, _: Request) -> Reply:
    return json_reply({"rules": [rule.described() for rule in state.rules.active]})


def _replace_rules(state: State, request: Request) -> Reply:
    state.rules.replace(_document(request))
    return _rules(state, request)


def _clock(state: State, _: Request) -> Reply:
    return json_reply({"offset_seconds": state.clock.offset_seconds, "now": state.clock.now().isoformat()})


def _move_clock(state: State, request: Request) -> Reply:
    offset = _document(request).get("offset_seconds")
    if isinstance(offset, bool) or not isinstance(offset, int | float) or abs(offset) > 3.2e9:
        raise _RequestError("offset_seconds must be a number of seconds within a century.")
    state.clock.offset_seconds = float(offset)
    return _clock(state, request)


def _options(state: State, _: Request) -> Reply:
    return json_reply(dataclasses.asdict(state.settings))


def _change_options(state: State, request: Request) -> Reply:
    changes = _document(request)
    known = {field.name for field in dataclasses.fields(state.settings)}
    for name, value in changes.items():
        if name not in known or isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _RequestError(f"Options are whole numbers from 0, named {', '.join(sorted(known))}; not {name!r}.")
    for name, value in changes.items():
        setattr(state.settings, name, value)
    return _options(state, request)


def _permissions(state: State, _: Request) -> Reply:
    return json_reply({"held": sorted(state.permissions), "lacks": sorted(set(KNOWN) - state.permissions)})


def _take_permissions(state: State, request: Request) -> Reply:
    """`{"lacks": [...]}`: what the client may not do from now on; it may do everything else."""
    lacks = _document(request).get("lacks")
    if not isinstance(lacks, list) or set(map(str, lacks)) - set(KNOWN):
        raise _RequestError(f"lacks must list permissions among {', '.join(KNOWN)}.")
    state.permissions = frozenset(KNOWN) - set(lacks)
    return _permissions(state, request)


def _truth(state: State, request: Request) -> Reply:
    """What the org really holds of one day, to compare an export with; `body=0` leaves out size and hashes."""
    arguments = single_values(request.query)
    try:
        day = dt.date.fromisoformat(arguments.get("date", ""))
    except ValueError as error:
        raise _RequestError("date must be a day like 2026-11-20.") from error
    hashing = arguments.get("body", "1") != "0"
    recordings = map(state.org.recording, state.org.day(day))
    return json_reply([_true_record(state, recording, hashing=hashing) for recording in recordings])


def _true_record(state: State, recording: Recording, *, hashing: bool) -> dict[str, object]:
    available = recording.transcript == "available"
    record: dict[str, object] = {
        "id": state.listing.wire_id(recording),
        "conversation_id": recording.conversation_id,
        "kind": recording.kind.name,
        "media_type": recording.kind.media_type,
        "format": recording.kind.format,
        "status": recording.kind.status,
        "created_time": recording.created_time,
        "duration_seconds": state.media.duration_seconds(recording),
        "file_name": recording.file_name,
        "content_type": recording.content_type,
        "has_file": recording.kind.has_file,
        "transcript": recording.transcript,
        "transcript_segments": len(state.media.segments(recording)) if available else 0,
        "platform": platform_truth(state, recording),
    }
    return record | _true_body(state, recording) if hashing else record


def _true_body(state: State, recording: Recording) -> dict[str, object]:
    """Size and hashes; `second_file` has those of the file that only batches of the published API deliver."""
    first = _hashes(state.media.body(recording))
    if not facts.has_two_files(recording):
        return first
    return first | {"second_file": _hashes(state.media.body(facts.second_part(recording)))}


def _hashes(body: Body | None) -> dict[str, object]:
    if body is None:
        return {"size": None, "md5": None, "sha256": None}
    digest = hashlib.sha256()
    for chunk in chunks(body):
        digest.update(chunk)
    return {"size": body.size, "md5": body.md5, "sha256": digest.hexdigest()}


def _annotations(state: State, _: Request) -> Reply:
    """What clients wrote to interactions and participants: what is in effect, and every write in order."""
    return json_reply(state.annotations.shown())


def _page(state: State, _: Request) -> Reply:
    """One screen for a person: what this is, what it holds, what it was asked, what is broken on purpose."""
    org, options = state.org, state.options
    counted = state.stats.snapshot(recordings=False)
    facts = {
        "Days (UTC)": f"{org.first_day} to {org.last_day}, {org.per_day} recordings each",
        "Bodies": f"{options.bodies}" + (f", one of {options.huge_mb} MB a day" if options.huge_mb else ""),
        "Seed": str(options.seed),
        "Clock": f"{state.clock.now():%Y-%m-%d %H:%M:%S} UTC (moved by {state.clock.offset_seconds:g} s)",
        "Links live": f"{state.settings.link_seconds} s",
        "Tokens live": f"{state.settings.token_seconds} s",
        "Rate limit": f"{state.settings.rate_limit} calls a minute" if state.settings.rate_limit else "none",
        "Permissions missing": ", ".join(sorted(set(KNOWN) - state.permissions)) or "none",
        "Most requests at once": str(counted["in_flight_max"]),
    }
    requests: Any = counted["requests"]
    sent: Any = counted["bytes"]
    calls = {name: f"{_listed(statuses)} · {sent.get(name, 0):,} bytes" for name, statuses in requests.items()}
    faults = {
        f"{number}. {rule.fault}": json.dumps(rule.described()) for number, rule in enumerate(state.rules.active, 1)
    }
    operations = [f"{method} {'/'.join(('/_sandbox', *path))}" for method, path in _OPERATIONS]
    return html_reply(
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Sandbox</title>"
        "<style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "th{text-align:left;padding-right:2rem;vertical-align:top}td{overflow-wrap:anywhere}</style>"
        "<h1>Genesys Cloud sandbox</h1><p>A local, deterministic org to rehearse exports on. Nothing here is real: "
        "every voice is synthetic, every name and number made up.</p>"
        f"<h2>Org</h2>{_table(facts)}<h2>Requests by status</h2>{_table(calls)}"
        f"<h2>Faults in force</h2>{_table(faults)}<h2>Operations</h2>{_table(dict.fromkeys(operations, ''))}</html>"
    )


def _listed(statuses: dict[str, int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))


def _table(rows: dict[str, str]) -> str:
    cells = (f"<tr><th>{html.escape(name)}<td>{html.escape(value)}" for name, value in rows.items())
    return f"<table>{''.join(cells)}</table>" if rows else "<p>None.</p>"


def _document(request: Request) -> dict[str, Any]:
    try:
        document = json.loads(request.body)
    except ValueError as error:
        raise _RequestError(f"The body must be JSON: {error}.") from error
    if not isinstance(document, dict):
        raise _RequestError("The body must be a JSON object.")
    return document


_OPERATIONS: dict[tuple[str, tuple[str, ...]], Callable[[State, Request], Reply]] = {
    ("GET", ()): _page,
    ("GET", ("stats",)): _stats,
    ("POST", ("stats", "reset")): _reset_stats,
    ("GET", ("truth",)): _truth,
    ("GET", ("clock",)): _clock,
    ("PUT", ("clock",)): _move_clock,
    ("GET", ("rules",)): _rules,
    ("PUT", ("rules",)): _replace_rules,
    ("GET", ("options",)): _options,
    ("PUT", ("options",)): _change_options,
    ("GET", ("annotations",)): _annotations,
    ("GET", ("permissions",)): _permissions,
    ("PUT", ("permissions",)): _take_permissions,
    **messaging.OPERATIONS,
}
