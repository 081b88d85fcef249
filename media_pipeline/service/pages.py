"""The pages: all days, the calls of a day with search, one call with its player. Rendered here; scripts only add to it.

Forms and links work without scripts. Nothing of a page is left in a cache.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import time
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from media_pipeline.listening import PAGE, PATH, Listening, place, signed
from media_pipeline.playback import drawing
from media_pipeline.playback.call import CallPage, call_page
from media_pipeline.playback.catalogue import Entry
from media_pipeline.playback.links import Scope
from media_pipeline.playback.requests import MAX_ID_CHARACTERS
from media_pipeline.playback.searching import (
    MAX_CHARACTERS,
    MAX_PAGE,
    MAX_TERMS,
    TooSlow,
    Wanted,
    find,
    has_too_many,
    opened,
)
from media_pipeline.service.rendering import PageProblem, rendered
from media_pipeline.service.tokens import LISTEN, REDACTED, Caller
from media_pipeline.service.visitors import ForListeners, ForPeople, Visitor, file_of
from media_pipeline.storage.base import StorageError
from media_pipeline.transfer.outcome import EMPTY, STORED

PLAYER_SECONDS = 4 * 3600
"""How long the player of a page works that was opened with a token."""
WRITTEN = ("chat", "email", "message")
"""Kinds of recordings in which there is nothing to hear."""
DAYS_A_PAGE = 31
MAX_MINUTES = 24 * 60
_people, _listeners = ForPeople(LISTEN, REDACTED), ForListeners(LISTEN, REDACTED)


def add_routes(app: FastAPI) -> None:
    """Add these routes to an app that plays recordings; they are no API, so its description does not have them."""
    for path, page in (
        ("/", get_days),
        ("/days/{date}", get_day),
        (PAGE + "{recording_id:path}", get_call),
    ):
        app.get(path, include_in_schema=False, response_class=Response)(page)


def get_days(request: Request, caller: Annotated[Caller, Depends(_people)]) -> Response:
    """The days there are, the newest first."""
    wanted = request.query_params.get("date", "")
    if wanted:
        return RedirectResponse(f"/days/{_day(wanted)}", 303)
    catalogue = _listening(request).catalogue
    with _in_sentences():
        catalogue.refresh()
        days = catalogue.days()
        pages = max(1, -(-len(days) // DAYS_A_PAGE))
        page = min(_page(request), pages)
        shown = days[(page - 1) * DAYS_A_PAGE : page * DAYS_A_PAGE]
        rows = [(day, catalogue.outcomes(day)) for day in shown]
    reports = LISTEN in caller.scopes
    return rendered("days.html", rows=rows, page=page, pages=pages, days=len(days), stored=STORED, reports=reports)


def get_day(request: Request, date: str, caller: Annotated[Caller, Depends(_people)]) -> Response:
    """The calls of a day that are asked for."""
    day = _day(date)
    wanted = _wanted(request)
    with _in_sentences():
        file = _listening(request).days.get(day)
        if file is None:
            raise PageProblem(404, f"Nothing of {day} is archived: no table knows that day.")
        with opened(file.path) as connection:
            found = find(connection, wanted if file.with_text else _without_words(wanted))
    given = {name: request.query_params.get(name, "") for name in _FIELDS}
    return rendered(
        "day.html",
        day=day,
        found=found,
        wanted=wanted,
        file=file,
        given=given,
        page_path=PAGE,
        most_words=MAX_TERMS if has_too_many(wanted.words) else None,
        reports=LISTEN in caller.scopes,
    )


def get_call(request: Request, recording_id: str, visitor: Annotated[Visitor, Depends(_listeners)]) -> Response:
    """One call: player, waveform, transcript."""
    listening, index = _listening(request), file_of(request)
    with _in_sentences():
        entry = _entry(listening, recording_id, index, request.query_params.get("date", ""))
        call = call_page(listening.tables, entry, redacted_only=visitor.scope == REDACTED)
    heard = _heard(listening, visitor, entry, call)
    day = request.query_params.get("date", "")

    def at(scope: Scope, download: str = "") -> str:
        expires = visitor.expires or int(time.time()) + PLAYER_SECONDS
        link = signed(
            listening.keys, recording_id, subject=visitor.name, expires=expires, scope=scope, file_index=index
        )
        return place(PATH, recording_id, index, date=day, link=link, download=download)

    return rendered(
        "call.html",
        call=call,
        entry=entry,
        lanes=list(_lanes(call)),
        box=drawing,
        audio=at(heard) if heard else None,
        muted_by_script=bool(call.silent) and heard != REDACTED,
        original=at("download", "1") if visitor.scope == "download" and entry.status == STORED else None,
        sees_all=visitor.expires is None,
        written=WRITTEN,
    )


def _heard(listening: Listening, visitor: Visitor, entry: Entry, call: CallPage) -> Scope | None:
    """What the page's player asks for: with silence wherever that can be made, nothing where there is nothing to hear.

    Where it cannot be made, the page's script mutes what is redacted, for who may listen to all.
    """
    if entry.status == EMPTY or (entry.status != STORED and call.listed.get("media_type") in WRITTEN):
        return None
    if visitor.scope != REDACTED and not call.silent:
        return visitor.scope
    if listening.player.can_redact(entry):
        return REDACTED
    return None if visitor.scope == REDACTED else visitor.scope


def _lanes(call: CallPage) -> Iterator[drawing.Lane]:
    """A lane for each channel; while there is no waveform, for each speaker."""
    if call.waveform is not None:
        levels = [drawing.bars_of(each) for each in call.waveform.channels]
        loudest = max((max(each, default=0) for each in levels), default=0)
        for channel, each in enumerate(levels):
            speaker = call.speaker_of(channel) if len(levels) > 1 else None
            name = speaker.name if speaker else f"Channel {channel + 1}" if len(levels) > 1 else "All"
            colour = speaker.colour if speaker else channel % 2 if len(levels) > 1 else 1
            yield drawing.Lane(name, colour, drawing.path_of(each, loudest))
        return
    for speaker in call.speakers if call.words == "here" else ():
        spans = [(line.start_ms, line.end_ms) for line in call.lines if line.speaker == speaker]
        yield drawing.Lane(speaker.name, speaker.colour, drawing.spoken(spans, call.length))


def _entry(listening: Listening, recording_id: str, index: int, date: str) -> Entry:
    day = _day(date) if date else None
    if len(recording_id) <= MAX_ID_CHARACTERS:
        catalogue = listening.catalogue
        entry = catalogue.find(recording_id, index, day)
        if entry is None:
            catalogue.refresh()
            entry = catalogue.find(recording_id, index, day)
        if entry is not None:
            return entry
    raise PageProblem(404, "There is no such recording in the archive's tables.", reason="not_found")


@contextlib.contextmanager
def _in_sentences() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise PageProblem(503, "The archive's tables are being read for the first time: try again soon.") from None
    except TooSlow:
        raise PageProblem(503, "The search took too long: ask for more of a word, or for fewer words.") from None
    except (StorageError, sqlite3.Error, OSError):
        raise PageProblem(503, "The archive cannot be read now: try again later.") from None


_FIELDS = ("q", "agent", "queue", "outcome", "min", "max")


def _wanted(request: Request) -> Wanted:
    texts = {name: request.query_params.get(name, "").strip()[:MAX_CHARACTERS] for name in _FIELDS}
    shortest, longest = (_number(request, name, MAX_MINUTES) for name in ("min", "max"))
    return Wanted(
        words=_encodable(texts["q"]),
        agent=_encodable(texts["agent"]),
        queue=_encodable(texts["queue"]),
        outcome=_encodable(texts["outcome"]),
        shortest=None if shortest is None else shortest * 60,
        longest=None if longest is None else longest * 60,
        page=_page(request),
    )


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _without_words(wanted: Wanted) -> Wanted:
    from dataclasses import replace

    return replace(wanted, words="")


def _number(request: Request, name: str, most: int) -> Any:
    """A number of the query from 0 on, None where there is none or none that can be."""
    try:
        value = float(request.query_params.get(name, ""))
    except ValueError:
        return None
    if not 0 <= value <= most:
        return None
    return int(value) if value.is_integer() else value


def _page(request: Request) -> int:
    return max(1, int(_number(request, "page", MAX_PAGE) or 1))


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text) if len(text) == 10 else _no_day()
    except ValueError:
        return _no_day()


def _no_day() -> dt.date:
    raise PageProblem(404, "That is no day such as 2026-11-20.")


def _listening(request: Request) -> Listening:
    listening: Listening = request.app.state.listening
    return listening
