"""Annotations that clients wrote: what is in effect, and every write that was understood, for tests to compare.

Guide side here (`PUT /api/v2/interactions/{id}/metadata`); participants' attributes are `platform/attributes`'.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from media_pipeline.sandbox.wire import Operation, Reply, Request, json_reply, refusal

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

WRITES_HELD = 100_000
MAX_VALUE_CHARACTERS = 2_000
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_FIELDS = ("key", "value", "category")


@dataclasses.dataclass
class Annotations:
    """What interactions and participants bear, and how it came; `writes` are in order and the newest."""

    metadata: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    attributes: dict[str, dict[str, dict[str, str]]] = dataclasses.field(default_factory=dict)
    """By conversation and participant."""
    writes: deque[dict[str, Any]] = dataclasses.field(default_factory=lambda: deque(maxlen=WRITES_HELD))

    def wrote(self, operation: Operation, interaction_id: str, body: Mapping[str, Any], **more: str) -> None:
        """Remember one accepted write."""
        self.writes.append({"operation": operation, "interaction_id": interaction_id, "body": body} | more)

    def shown(self) -> dict[str, object]:
        """Everything, as the admin interface has it; an attribute that is empty is not in effect."""
        effective = {
            conversation: {who: {k: v for k, v in each.items() if v} for who, each in held.items()}
            for conversation, held in self.attributes.items()
        }
        return {"metadata": self.metadata, "attributes": effective, "writes": list(self.writes)}


def put_metadata(state: State, request: Request, interaction_id: str) -> Reply:
    """Replace an interaction's metadata: 400 for a bad key or over 2,000 characters, 404 for one that is not there."""
    if state.conversations.find(interaction_id) is None:
        return refusal("interaction_metadata", 404, "not.found", "There is no interaction with this id.")
    try:
        body = json.loads(request.body)
    except ValueError:
        return _bad("The request body is not valid JSON.")
    if problem := _problem(body):
        return _bad(problem)
    state.annotations.metadata[interaction_id] = body
    state.annotations.wrote("interaction_metadata", interaction_id, body)
    return json_reply({"id": interaction_id, **body})


def _problem(body: object) -> str | None:
    """What is wrong with a payload; None when nothing is."""
    if not isinstance(body, dict) or set(body) != {"annotations", "source"} or not isinstance(body["source"], str):
        return "The body must be an object with a list, annotations, and a text, source."
    entries = body["annotations"]
    if not isinstance(entries, list):
        return "annotations must be a list."
    for entry in entries:
        if not isinstance(entry, dict) or sorted(entry) != sorted(_FIELDS):
            return f"Each annotation must have {', '.join(_FIELDS)} and nothing else."
        if not all(isinstance(entry[name], str) for name in _FIELDS):
            return "Key, value and category must be text."
        if not _KEY.fullmatch(entry["key"]):
            return "A key may have letters, digits, hyphens, underscores and periods only."
        if len(entry["value"]) > MAX_VALUE_CHARACTERS:
            return f"A value may have {MAX_VALUE_CHARACTERS:,} characters."
    if len({entry["key"] for entry in entries}) < len(entries):
        return "A key may occur once."
    return None


def _bad(message: str) -> Reply:
    return refusal("interaction_metadata", 400, "bad.request", message)
