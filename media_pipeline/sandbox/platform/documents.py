"""What platform operations have in common: JSON bodies, numbers in queries, and refusals in ErrorBody."""

from __future__ import annotations

import json
from typing import Any

from media_pipeline.sandbox.wire import Operation, Reply, Request, refusal


class BadRequestError(ValueError):
    """A request the API answers with 400, and the code it gives."""

    def __init__(self, message: str, code: str = "bad.request") -> None:
        super().__init__(message)
        self.code = code


def document(request: Request, known: frozenset[str]) -> dict[str, Any]:
    """The body as a JSON object with these properties only. Raises BadRequestError."""
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise BadRequestError("The request body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise BadRequestError("The request body must be a JSON object.")
    if unknown := sorted(set(body) - known):
        raise BadRequestError(f"Unknown property: {', '.join(unknown)}.", "invalid.property")
    return body


def count(value: object, name: str, default: int | None, maximum: int) -> int:
    """A whole number from 1 to a maximum, from a query or a body. Raises BadRequestError."""
    if value is None and default is not None:
        return default
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and 1 <= int(text) <= maximum):
        raise BadRequestError(f"{name} must be a number from 1 to {maximum}.", "invalid.value")
    return int(text)


def missing(operation: Operation, what: str) -> Reply:
    """404 in ErrorBody."""
    return refusal(operation, 404, "not.found", f"The requested {what} was not found.")
