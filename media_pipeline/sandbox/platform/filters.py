"""Filters of analytics queries: segmentFilters and conversationFilters, checked and applied to conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from media_pipeline.sandbox.platform.documents import BadRequestError
from media_pipeline.sandbox.platform.rows import Row

Test = Callable[[Row], bool]

SEGMENT_DIMENSIONS = {
    "recording": "session",
    "mediaType": "session",
    "direction": "session",
    "purpose": "participant",
    "userId": "participant",
    "participantName": "participant",
    "screenRecording": "participant",
    "queueId": "segment",
    "segmentType": "segment",
    "conference": "segment",
}
"""Where a dimension is found. The API has some 70; those the org has no data for are refused, not ignored."""
CONVERSATION_DIMENSIONS = {"conversationId": "conversationId", "divisionId": "divisionIds", "originatingDirection": ""}
OPERATORS = ("matches", "exists", "notExists")


def compile_filters(body: dict[str, Any]) -> Test | None:
    """One test for all filters of a query; None when every recorded conversation passes. Raises BadRequestError."""
    tests = [_filter(each, _segment_predicate) for each in _list(body, "segmentFilters")]
    wholes = [_filter(each, _conversation_predicate) for each in _list(body, "conversationFilters")]
    for name in ("evaluationFilters", "surveyFilters", "resolutionFilters"):
        if body.get(name):
            raise BadRequestError(f"The sandbox has no data for {name}.", "invalid.value")
    if not wholes and all(_asks_for_recordings(each) for each in _list(body, "segmentFilters")):
        return None  # all but message conversations are recorded

    def passes(row: Row) -> bool:
        flattened = list(_flattened(row))
        return all(any(test(each) for each in flattened) for test in tests) and all(test(row) for test in wholes)

    return passes


def asks_for_recordings(body: dict[str, Any]) -> bool:
    """Whether one of a query's filters lets nothing pass but what is recorded."""
    return any(_asks_for_recordings(each) for each in _list(body, "segmentFilters"))


def _asks_for_recordings(entry: dict[str, Any]) -> bool:
    plain = [{k: v for k, v in each.items() if k not in ("type", "operator")} for each in entry.get("predicates", [])]
    return (
        not entry.get("clauses")
        and plain == [{"dimension": "recording", "value": "true"}]
        and all(each.get("operator", "matches") == "matches" for each in entry["predicates"])
    )


def _filter(entry: object, predicate: Callable[[dict[str, Any]], Test]) -> Test:
    if not isinstance(entry, dict) or entry.get("type") not in ("and", "or"):
        raise BadRequestError("A filter needs a type, 'and' or 'or'.", "invalid.value")
    tests = [predicate(_object(each)) for each in _list(entry, "predicates")]
    tests += [_filter(each, predicate) for each in _list(entry, "clauses")]
    if not tests:
        raise BadRequestError("A filter needs predicates or clauses.", "invalid.value")
    joined = all if entry["type"] == "and" else any
    return lambda row: joined(test(row) for test in tests)


def _segment_predicate(entry: dict[str, Any]) -> Test:
    dimension = entry.get("dimension")
    if dimension not in SEGMENT_DIMENSIONS:
        raise _unknown(dimension)
    return _comparison(entry, lambda row: row.get(str(dimension)))


def _conversation_predicate(entry: dict[str, Any]) -> Test:
    dimension = entry.get("dimension")
    if dimension not in CONVERSATION_DIMENSIONS:
        raise _unknown(dimension)
    field = CONVERSATION_DIMENSIONS[dimension] or dimension
    return _comparison(entry, lambda row: row.get(field))


def _comparison(entry: dict[str, Any], field: Callable[[Row], object]) -> Test:
    if entry.get("type", "dimension") != "dimension":
        raise BadRequestError("The sandbox knows dimension predicates only.", "invalid.value")
    operator, value = entry.get("operator", "matches"), entry.get("value")
    if operator not in OPERATORS:
        raise BadRequestError(f"operator must be one of {', '.join(OPERATORS)}.", "invalid.value")
    if operator == "matches":
        if not isinstance(value, str):
            raise BadRequestError("A predicate that matches needs a value, written as a string.", "invalid.value")
        wanted = value.lower()
        return lambda row: wanted in _words(field(row))
    return lambda row: bool(_words(field(row))) == (operator == "exists")


def _words(value: object) -> list[str]:
    if value is None:
        return []
    return [str(each).lower() for each in value] if isinstance(value, list) else [str(value).lower()]


def _flattened(row: Row) -> Iterator[Row]:
    """Every segment with the fields of its session and participant beside its own."""
    for participant in row["participants"]:
        for session in participant["sessions"]:
            for segment in session["segments"]:
                yield {**participant, **session, **segment}


def _unknown(dimension: object) -> BadRequestError:
    return BadRequestError(f"Unknown or unsupported dimension {dimension!r}.", "invalid.value")


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequestError("A predicate must be an object.", "invalid.value")
    return value


def _list(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise BadRequestError(f"{name} must be a list of objects.", "invalid.value")
    return cast(list[dict[str, Any]], value)
