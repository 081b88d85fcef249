"""Finds calls in a day's index. Words from outside are quoted one by one: none is an operator of the index."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media_pipeline.playback.day_index import MARK, SEGMENT_BITS, UNMARK

PAGE_CALLS = 50
MAX_PAGE = 10_000
MAX_TERMS = 10
MAX_CHARACTERS = 200
SNIPPETS = 2
SNIPPET_WORDS = 14
SEARCH_SECONDS = 5.0
"""Longer than this nobody waits, and no page holds a core."""
_PHRASE = re.compile(r'"([^"]*)"?|([^\s"]+)')
_AS_TYPED = str.maketrans({"\0": " "} | dict.fromkeys("“”„‟«»", '"'))
"""Telephones and word processors write quotation marks of their own."""
_STEPS = 20_000
_COLUMNS = (
    "id, recording_id, file_index, conversation_id, started_ms, seconds, media_type, format, status, reason, "
    "agents, queues, segments, redacted"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a day: words of the transcript, parts of ids, an outcome, a length in seconds."""

    words: str = ""
    agent: str = ""
    queue: str = ""
    outcome: str = ""
    shortest: float | None = None
    longest: float | None = None
    page: int = 1

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.words or self.agent or self.queue or self.outcome) and self.shortest is self.longest is None


@dataclass(frozen=True, slots=True)
class Place:
    """Where words were found: in ms from the recording's start; pieces of text, the found ones marked."""

    start_ms: int
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One file of a recording in the list."""

    recording_id: str
    file_index: int
    conversation_id: str | None
    started_ms: int | None
    seconds: float | None
    media_type: str | None
    format: str | None
    status: str
    reason: str | None
    agents: tuple[str, ...]
    queues: tuple[str, ...]
    segments: int
    redacted: int
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A page of calls, how many there are in all, and how many of the day have which outcome."""

    calls: tuple[Call, ...]
    total: int
    page: int
    pages: int
    outcomes: dict[str, int] = field(default_factory=dict)


class TooSlow(Exception):
    """The search took longer than anybody waits."""


def terms_of(words: str) -> list[str]:
    """Words and "quoted phrases" as strings of FTS5, at most ten; a word is also found as a beginning of one."""
    return _all_terms(words)[:MAX_TERMS]


def has_too_many(words: str) -> bool:
    """Whether some of the words are not looked for."""
    return len(_all_terms(words)) > MAX_TERMS


def _all_terms(words: str) -> list[str]:
    found = []
    for phrase, word in _PHRASE.findall(words[:MAX_CHARACTERS].translate(_AS_TYPED)):
        text = phrase or word
        if any(character.isalnum() for character in text):
            found.append(f'"{text}"' + ("" if phrase else "*"))
    return found


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """A finished index, to be read only; raises TooSlow from within."""
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    deadline = time.monotonic() + SEARCH_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield connection
    except sqlite3.OperationalError:
        if time.monotonic() > deadline:
            raise TooSlow from None
        raise
    finally:
        connection.close()


def find(connection: sqlite3.Connection, wanted: Wanted) -> Found:
    """The page that is asked for, or the last one there is. Every word occurs in a call, not in one utterance."""
    terms = terms_of(wanted.words)
    conditions, values = _conditions(wanted, terms)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    # the conditions are those below, values are bound
    (total,) = connection.execute(f"SELECT count(*) FROM calls {where}", values).fetchone()  # noqa: S608
    pages = max(1, -(-total // PAGE_CALLS))
    page = min(max(1, wanted.page), pages)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM calls {where} ORDER BY started_ms, id LIMIT ? OFFSET ?",  # noqa: S608
        (*values, PAGE_CALLS, (page - 1) * PAGE_CALLS),
    ).fetchall()
    outcomes = dict(connection.execute("SELECT status, count(*) FROM calls GROUP BY status ORDER BY 2 DESC, 1"))
    return Found(tuple(_call(connection, row, terms) for row in rows), total, page, pages, outcomes)


def _conditions(wanted: Wanted, terms: list[str]) -> tuple[list[str], list[object]]:
    conditions, values = [], list[object]()
    for term in terms:
        conditions.append(f"id IN (SELECT rowid >> {SEGMENT_BITS} FROM said WHERE said MATCH ?)")  # noqa: S608  a number of ours
        values.append(term)
    if wanted.words and not terms:
        conditions.append("0")
    for column, part in (("agents", wanted.agent), ("queues", wanted.queue)):
        if part:
            conditions.append(f"instr(lower({column}), lower(?)) > 0")
            values.append(part)
    for condition, value in (
        ("status = ?", wanted.outcome or None),
        ("seconds >= ?", wanted.shortest),
        ("seconds <= ?", wanted.longest),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return conditions, values


def _call(connection: sqlite3.Connection, row: tuple[Any, ...], terms: list[str]) -> Call:
    number, recording_id, file_index, conversation_id, started, seconds, media_type, form, status, reason = row[:10]
    agents, queues, segments, redacted = row[10:]
    return Call(
        recording_id=recording_id,
        file_index=file_index,
        conversation_id=conversation_id,
        started_ms=started,
        seconds=seconds,
        media_type=media_type,
        format=form,
        status=status,
        reason=reason,
        agents=tuple(agents.split()),
        queues=tuple(queues.split()),
        segments=segments,
        redacted=redacted,
        places=_places(connection, number, terms) if terms else (),
    )


def _places(connection: sqlite3.Connection, call: int, terms: list[str]) -> tuple[Place, ...]:
    rows = connection.execute(
        "SELECT start_ms, snippet(said, 0, ?, ?, '…', ?) FROM said "
        "WHERE said MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid LIMIT ?",
        (
            *(MARK, UNMARK, SNIPPET_WORDS),
            " OR ".join(terms),
            *(call << SEGMENT_BITS, (call + 1 << SEGMENT_BITS) - 1, SNIPPETS),
        ),
    )
    return tuple(Place(start, tuple(_pieces(text))) for start, text in rows)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    for number, part in enumerate(text.split(MARK)):
        marked, _, plain = part.partition(UNMARK) if number else ("", "", part)
        yield from ((piece, found) for piece, found in ((marked, True), (plain, False)) if piece)
