"""What a question would read: the scans of Parquet in a plan of DuckDB's, as `explain (format json)` gives it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from media_pipeline.tables.months import DAY


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan of Parquet in a plan: its columns, and whether it opens all files there are."""

    told: str
    columns: set[str]
    is_whole: bool

    def may_be(self, columns: Iterable[str]) -> bool:
        """Whether it can be one of files with these columns; a plan names no files."""
        return self.columns <= {*columns, DAY, "filename"}

    def means(self, column: str) -> bool:
        """Whether it reads a column or filters by it, or names something alike."""
        return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", self.told) is not None


def scans_of(plan: Any) -> Iterator[Scan]:
    """The scans of Parquet of what DuckDB's `explain` gives as JSON."""
    for node in plan:
        if node.get("name") == "READ_PARQUET":
            told = node.get("extra_info", {})
            columns = told.get("Projections", [])
            named = ({columns} if isinstance(columns, str) else set(columns)) - {""}
            yield Scan(str(told), named, "Scanning Files" not in told)
        yield from scans_of(node.get("children", []))
