"""Objects in JSON that hold moments, as `json.dumps(..., default=str)` writes them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any


def fields_of(data: bytes, moments: Sequence[str]) -> dict[str, Any]:
    """An object's fields, those that are moments as such or None. Raises ValueError, KeyError or TypeError."""
    fields: dict[str, Any] = json.loads(data)
    for name in moments:
        fields[name] = dt.datetime.fromisoformat(fields[name]) if fields[name] is not None else None
    return fields
