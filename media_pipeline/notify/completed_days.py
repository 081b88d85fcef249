"""day_completed: what is announced of a day that was proved, also when the run that proved it was killed before."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from media_pipeline.notify.announcer import Announcer
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.completeness import Verdict
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import CHECKING_PREFIX, checking_key, report_key

_COLUMNS = ["recording_id", "file_index", "status", "object_key", "sha256", "source_size_bytes", "stored_size_bytes"]


def begin_check(store: ObjectStore, day: dt.date, run_id: str) -> None:
    """Note that the day's report is written next and its completeness announced after it."""
    store.put(checking_key(day), json.dumps({"run_id": run_id}).encode())


def end_check(store: ObjectStore, day: dt.date) -> None:
    """The check is over, announced or red."""
    store.remove(checking_key(day))


def broken_off_checks(store: ObjectStore, older_than: float) -> Iterator[tuple[dt.date, str]]:
    """Days and runs of checks that began before a moment (seconds since 1970, by the store's clock) and never ended."""
    for key, stat in sorted(store.stats(CHECKING_PREFIX)):
        small = store.get_small(key) if stat.modified < older_than else None
        if small is not None:
            with suppress(ValueError, KeyError, TypeError):
                day = dt.date.fromisoformat(key.removeprefix(f"{CHECKING_PREFIX}date=").removesuffix(".json"))
                yield day, str(json.loads(small.data)["run_id"])


def announce_day(announcer: Announcer, tables: Tables, verdict: Verdict) -> None:
    """Announce the day if it is complete; once for the same outcomes and bytes."""
    if not verdict.complete:
        return
    outcomes = hashlib.blake2b(digest_size=16)
    statuses: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for row in tables.rows("recording_audio", verdict.day, _COLUMNS):
        outcomes.update(json.dumps([row[name] for name in _COLUMNS[:5]]).encode())
        statuses[row["status"]] += 1
        if row["object_key"] is not None:
            sizes["source"] += row["source_size_bytes"] or 0
            sizes["stored"] += row["stored_size_bytes"] or 0
    announcer.announce(
        str(verdict.day),
        outcomes.hexdigest(),
        {
            "recordings": verdict.listed,
            "by_status": dict(sorted(statuses.items())),
            "source_bytes": sizes["source"],
            "stored_bytes": sizes["stored"],
            "report": report_key(verdict.day, "availability.json"),
        },
    )
