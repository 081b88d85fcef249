"""Annotations handed in by users: JSON lines, each taken or refused with a sentence that names file and line.

Rows are those of the table metadata_annotations; a refused line's text is never repeated. Which interactions a day has,
and what is sent, is the asset's subject.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final

from pydantic import ValidationError

from media_pipeline.genesys.redaction import holds_credentials
from media_pipeline.interactions.annotations import (
    MAX_CATEGORY_CHARACTERS,
    MAX_VALUE_CHARACTERS,
    RESERVED_PREFIX,
    HandedIn,
    format_problem,
    is_tellable_key,
    personal_in,
)
from media_pipeline.privacy import detect
from media_pipeline.storage.base import ObjectStore

Row = dict[str, Any]

SUFFIX = ".jsonl"
MAX_LINE_BYTES = 64 * 1024
"""2,000 characters take 24,000 bytes when each is escaped as two surrogates."""
USER = "user"
REJECTED: Final = "rejected"
_BOM = b"\xef\xbb\xbf"
_FIELDS = ("interaction_id", "key", "value", "mediaType", "format", "category")


@dataclass(slots=True)
class Intake:
    """What was in the inbox: files, lines that are not blank, lines of other days' (or no) interactions, lines that
    another one with the same interaction and key came after, and lines and files that could not be taken."""

    files: int = 0
    lines: int = 0
    of_others: int = 0
    superseded: int = 0
    refused: int = 0
    sentences: list[str] = field(default_factory=list)


class Inbox:
    """The lines below a prefix of a store, files by name; `refused` hears a sentence of each that is none."""

    def __init__(self, store: ObjectStore, prefix: str, refused: Callable[[str, int | None, str], None]) -> None:
        self._store, self._prefix, self._refused = store, prefix, refused
        self.intake = Intake()

    def rows(self, interactions: Container[str]) -> Iterator[Row]:
        """A row per line about one of these interactions, in the order of files and lines; `rejected` or not yet."""
        for key in sorted(self._store.sizes(self._prefix)):
            name = shown_name(key.removeprefix(self._prefix))
            if not key.endswith(SUFFIX):
                self._refuse(name, None, f"only files that end in {SUFFIX} are read; rename it or take it away")
                continue
            file = self._store.open(key)
            if file is None:  # taken away meanwhile
                continue
            self.intake.files += 1
            with file:
                for number, line in _lines(file):
                    if line is None or line.strip():
                        self.intake.lines += 1
                        row = self._row(name, number, line, interactions)
                        if row is not None:
                            yield row

    def _row(self, name: str, number: int, line: bytes | None, interactions: Container[str]) -> Row | None:
        try:
            entry = _parsed(line)
        except ValueError as error:
            self._refuse(name, number, str(error))
            return None
        if entry["interaction_id"] not in interactions:
            self.intake.of_others += 1
            return None
        return _judged(entry, f"{name}:{number}")

    def _refuse(self, name: str, number: int | None, why: str) -> None:
        self.intake.refused += 1
        self._refused(name, number, why)
        if len(self.intake.sentences) < MOST_SENTENCES:
            place = name if number is None else f"{name}, line {number}"
            self.intake.sentences.append(f"{place}: {why}.")


MOST_SENTENCES = 20
"""Kept for the run's metadata; all of them are in the audit log."""


def shown_name(name: str) -> str:
    """A file's name as it may be told: one with personal data in it is not."""
    readable = "".join(character if character.isprintable() else "?" for character in name)
    is_personal = any(detect(each) for each in (readable, readable.replace("_", " ")))
    return "(a file whose name holds personal data)" if is_personal else readable


def settled(rows: list[Row], intake: Intake) -> list[Row]:
    """Rows of one interaction, sorted by key in the order handed in: of several with a key the last one counts, and
    one that holds personal data rejects them all."""
    last = {row["annotation_key"]: row for row in rows}
    intake.superseded += len(rows) - len(last)
    if all(row["reason"] != "pii" for row in last.values()):
        return list(last.values())
    why = "another annotation handed in for this interaction holds personal data, so none is taken"
    return [
        row if row["outcome"] == REJECTED else _rejected(row, "pii", f"{row['detail']}: {why}.")
        for row in last.values()
    ]


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Numbered from 1; None for one that is too long to be any."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + len(b"\r\n")):
        number += 1
        if len(line.rstrip(b"\r\n")) <= MAX_LINE_BYTES:
            yield number, line.removeprefix(_BOM) if number == 1 else line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES)
        yield number, None


def _parsed(line: bytes | None) -> dict[str, Any]:
    """The line's object, which names an interaction; raises ValueError with what is wrong."""
    if line is None:
        raise ValueError(f"the line has more than {MAX_LINE_BYTES:,} bytes; shorten it")
    try:
        entry = json.loads(line.decode())
    except UnicodeDecodeError:
        raise ValueError("the line is not UTF-8; save the file as UTF-8") from None
    except RecursionError:
        raise ValueError("the line is nested too deeply; it must be one flat object") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the line is not JSON ({error.msg} at character {error.pos + 1}); correct it") from None
    except ValueError:  # a number of very many digits
        raise ValueError("the line is not JSON that can be read; correct it") from None
    if not isinstance(entry, dict):
        raise ValueError(f"the line is not an object; it must be one with {', '.join(_FIELDS)}")
    if not isinstance(entry.get("interaction_id"), str) or not entry["interaction_id"]:
        raise ValueError("the line names no interaction; give interaction_id as text")
    return entry


def _judged(entry: dict[str, Any], place: str) -> Row:
    """The row of a line; `detail` is its place while nothing is wrong with it."""
    key, value, category = (entry.get(name) for name in ("key", "value", "category"))
    row: Row = {
        "interaction_id": entry["interaction_id"],
        "annotation_key": place,
        "value": None,
        "category": None,
        "origin": USER,
        "payload_sha256": None,
        "outcome": "",
        "reason": None,
        "detail": place,
    }
    texts = [each for each in (key, value, category) if isinstance(each, str)]
    if isinstance(key, str) and is_tellable_key(key) and not key.startswith(RESERVED_PREFIX):
        row["annotation_key"] = key  # else it is called by its place
    if any(_is_torn(each) for each in texts):
        return _rejected(row, "bad_text", f"{place}: half a surrogate pair is no text; escape both halves.")
    if found := personal_in(*(each if isinstance(each, str) else "" for each in (key, value, category))):
        return _rejected(row, "pii", f"{place}: {' and '.join(found)} found, so none of this interaction is taken.")
    if any(map(holds_credentials, texts)):
        return _rejected(row, "secret", f"{place}: a token, a signature or a password was found; leave it out.")
    try:
        taken = HandedIn.model_validate(entry)
    except ValidationError as error:
        return _rejected(row, *_problem(error, entry, place))
    row |= {"value": taken.value, "category": taken.category}
    if taken.key.startswith(RESERVED_PREFIX):
        return _rejected(row, "reserved_key", f"{place}: keys that begin with {RESERVED_PREFIX} are ours; rename it.")
    if why := format_problem(taken.media_type, taken.format):
        return _rejected(row, "format_mismatch", f"{place}: {why}.")
    return row


def _problem(error: ValidationError, entry: dict[str, Any], place: str) -> tuple[str, str]:
    """Reason and what to do, without what was handed in; the key's problem first, then the value's length."""
    kinds = {str(each["loc"][0]) if each["loc"] else "": each["type"] for each in error.errors(include_input=False)}
    if "key" in kinds:
        return "bad_key", f"{place}: a key must be given, of letters, digits, hyphens, underscores and periods."
    if kinds.get("value") == "string_too_long":
        long = len(entry["value"])
        return (
            "too_long",
            f"{place}: the value has {long:,} characters and may have {MAX_VALUE_CHARACTERS:,}; shorten it.",
        )
    if "extra_forbidden" in kinds.values():
        return "bad_field", f"{place}: there is a field that is none of {', '.join(_FIELDS)}; take it out."
    if "category" in kinds:
        return "bad_field", f"{place}: a category must be text of 1 to {MAX_CATEGORY_CHARACTERS} characters."
    named = " and ".join(name for name in _FIELDS if name in kinds)
    return "bad_field", f"{place}: {named} must be text, in quotes."


def _rejected(row: Row, reason: str, detail: str) -> Row:
    return row | {"value": None, "outcome": REJECTED, "reason": reason, "detail": detail}


def _is_torn(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
