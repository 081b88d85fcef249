"""What a question would read: the scans of Parquet in a plan of DuckDB's, as `explain (format json)` gives it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from media_pipeline.tables.months import DAY


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan of Parquet in a plan: its columns, and how many files it opens of how many; None where it is all."""

    told: str
    columns: set[str]
    read: int | None
    among: int | None

    def may_be(self, columns: Iterable[str], files: int) -> bool:
        """Whether it can be one of that many files with these columns."""
        return self.columns <= {*columns, DAY, "filename"} and self.among in (None, files)

    def means(self, column: str) -> bool:
        """Whether it reads a column or filters by it, or names something alike."""
        return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", self.told) is not None


def scans_of(plan: Any) -> Iterator[Scan]:
    """The scans of Parquet of what DuckDB's `explain` gives as JSON."""
    for node in plan:
        if node.get("name") == "READ_PARQUET":
            told = node.get("extra_info", {})
            columns = told.get("Projections", [])
            read, _, among = str(told.get("Scanning Files", "")).partition("/")
            yield Scan(
                str(told),
                ({columns} if isinstance(columns, str) else set(columns)) - {""},
                int(read) if read else None,
                int(among) if among else None,
            )
        yield from scans_of(node.get("children", []))
