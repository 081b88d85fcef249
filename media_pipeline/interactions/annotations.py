"""Annotations: what one may be, what makes it personal or secret, and the payload of an interaction with its hash.

Limits are those of guide 004. Nothing is ever cut: what does not fit is rejected with a reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from media_pipeline.genesys.redaction import holds_credentials
from media_pipeline.genesys.source import ANNOTATIONS_SOURCE, Annotation
from media_pipeline.interactions.matrix import expected_of, format_named, media_type_named
from media_pipeline.privacy import detect

MAX_VALUE_CHARACTERS = 2_000
MAX_CATEGORY_CHARACTERS = 100
RESERVED_PREFIX = "archive."
"""Keys of what we derive ourselves."""
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
Key = Annotated[str, StringConstraints(pattern=f"^{_KEY.pattern}$")]
Value = Annotated[str, StringConstraints(max_length=MAX_VALUE_CHARACTERS)]
Category = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CATEGORY_CHARACTERS)]

_WORDS = re.compile(r"[._-]+|(?<=[a-z])(?=[A-Z])")
_MACHINE_MADE = re.compile(
    r"-?\d{1,12}(?:\.\d{1,6})?|-inf|[0-9a-f]{64}|audio/date=\d{4}-\d\d-\d\d/[A-Za-z0-9_%.-]+\.gz"
)
"""Numbers, SHA-256s and object keys that we made: none of them is text in which somebody could be named."""


class Written(BaseModel):
    """An annotation as it may be written."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    key: Key
    value: Value
    category: Category = "system"


class HandedIn(Written):
    """A line of the inbox."""

    interaction_id: Annotated[str, StringConstraints(min_length=1)]
    media_type: str | None = Field(None, alias="mediaType")
    format: str | None = None


def format_problem(media_type: str | None, media_format: str | None) -> str | None:
    """What the media matrix says against a format; None where it expects any, or no media type is named."""
    name = media_type_named(media_type)
    expected = expected_of(name)
    if not expected.formats or format_named(media_format) in expected.formats:
        return None
    return f"for {name} the media matrix expects {expected.text}; give the format of the file"


def is_tellable_key(key: str) -> bool:
    """Whether it is a key, and without personal data, so that a row may be called by it."""
    return bool(_KEY.fullmatch(key)) and not detect(_words(key))


def personal_in(key: str, value: str, category: str) -> list[str]:
    """Types of personal data in an annotation, by its text alone and with its key as the words before it."""
    words = _words(key)
    found = [*detect(value), *detect(f"{words}: {value}"), *detect(words), *detect(category)]
    return sorted({finding.type for finding in found})


def _words(key: str) -> str:
    """A key as the words that it is made of."""
    return " ".join(word for word in _WORDS.split(key) if word)


def is_unfit(annotation: Annotation) -> str | None:
    """`too_long`, `pii` or `secret` for an annotation of ours that must not leave; numbers and hashes are no text."""
    try:
        Written(key=annotation.key, value=annotation.value, category=annotation.category)
    except ValidationError:  # keys and categories are ours, values may be what the source calls things
        return "too_long"
    if _MACHINE_MADE.fullmatch(annotation.value):
        return None
    if holds_credentials(annotation.value):
        return "secret"
    return "pii" if detect(annotation.value) else None


def payload_sha256(annotations: Sequence[Annotation]) -> str:
    """SHA-256 in hex of an interaction's payload as canonical JSON: the guides' wording, sorted by key."""
    payload = {
        "annotations": [
            {"category": one.category, "key": one.key, "value": one.value}
            for one in sorted(annotations, key=lambda annotation: annotation.key)
        ],
        "source": ANNOTATIONS_SOURCE,
    }
    text = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
