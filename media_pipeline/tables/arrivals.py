"""What a later listing of a day has that the export of that day did not see."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from media_pipeline.genesys.source import Known
from media_pipeline.tables.inventory import DELETED
from media_pipeline.tables.inventory import TABLE as INVENTORY
from media_pipeline.tables.partition import TableMissing, Tables, aligned
from media_pipeline.tables.sorting import SortedRows

TABLE = "recent_listings"
_COLUMNS = ["recording_id", "file_index", "file_state"]
_DIGEST_BYTES = 8


@dataclass(slots=True)
class Difference:
    """New, changed and gone files of a day, counted; `digest` tells two differences apart."""

    day: dt.date
    counts: Counter[str] = field(default_factory=Counter)
    digest: str = ""

    def __bool__(self) -> bool:
        return bool(self.counts)

    @property
    def sentence(self) -> str:
        """The difference for a person."""
        return f"{self.day}: " + (", ".join(f"{n} {kind}" for kind, n in sorted(self.counts.items())) or "unchanged")


def known_files(tables: Tables, day: dt.date) -> dict[str, list[Known]]:
    """What the day's inventory says of each conversation's files; nothing when it was never exported."""
    known: dict[str, list[Known]] = {}
    for row in tables.rows(INVENTORY, day, ["conversation_id", *_COLUMNS, "source_file"]):
        conversation_id = row.pop("conversation_id")
        if conversation_id is not None:
            known.setdefault(conversation_id, []).append(Known(**row))
    return known


def write_listing(tables: Tables, day: dt.date, listed: Iterable[Known]) -> int:
    """Record ids and states of a day as the source lists them now; returns their number."""
    rows = SortedRows(TABLE, ({name: getattr(recording, name) for name in _COLUMNS} for recording in listed))
    return tables.write(TABLE, day, rows)


def difference(tables: Tables, day: dt.date) -> Difference | None:
    """What the recorded listing has that the inventory has not; None unless the day was both exported and listed.

    A recording that the inventory knows as deleted and the source lists no more is no difference.
    """
    try:
        seen, exported = tables.read(TABLE, day, _COLUMNS), tables.read(INVENTORY, day, _COLUMNS)
    except TableMissing:
        return None
    found = Difference(day)
    if seen.equals(exported):
        return found
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for recording_id, rows in aligned(seen=seen.to_pylist(), exported=exported.to_pylist()):
        now = {row["file_index"]: row["file_state"] for row in rows["seen"]}
        then = {row["file_index"]: row["file_state"] for row in rows["exported"]}
        for index in sorted(now.keys() | then.keys()):
            kind = _kind(now.get(index), then.get(index))
            if kind:
                found.counts[kind] += 1
                digest.update(f"{recording_id}\0{index}\0{now.get(index)}\0{then.get(index)}\n".encode())
    found.digest = digest.hexdigest()
    return found


def never_exported(tables: Tables, day: dt.date) -> Difference | None:
    """The recorded listing of a day that has no inventory, as one difference; None for any other day."""
    if tables.exists(INVENTORY, day) or not tables.exists(TABLE, day):
        return None
    listed = tables.read(TABLE, day, ["recording_id"]).num_rows
    return Difference(day, Counter({"listed and never exported": listed}), digest="never-exported")


def _kind(now: str | None, then: str | None) -> str | None:
    if now == then or (now is None and then == DELETED):
        return None
    if then is None:
        return "new"
    return "no longer listed" if now is None else f"{then}, now {now}"
