"""Whether the archive still is what its tables say: objects re-read, restored and compared; orphans and gaps listed.

What one object is checked for is `object_check`'s subject; what a listing shows is `drift`'s, whether inventory and
outcomes have the same keys is `completeness`'. Reads only: needs no credentials but the store's.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.lease import Holder
from media_pipeline.tables.completeness import MISSING_TABLE, WITHOUT_OUTCOME, judge_day
from media_pipeline.tables.drift import TABLE, days_below, find_drift
from media_pipeline.tables.object_check import COLUMNS, LOSSES, Finding, Kind, ObjectCheck, check_object
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.paths import audio_prefix, lease_key, ledger_prefix, table_key
from media_pipeline.tables.upload_check import check_upload, stored_uploads, unknown_uploads
from media_pipeline.transfer.outcome import STORED
from media_pipeline.transfer.parallel import ordered_map

KEPT_FINDINGS = 1_000
"""Kept with their sentences; the counts are exact."""
THREADS = 4
_INVENTORY = "recording_inventory"
_DAMAGED_TABLE = (pa.ArrowException, OSError)
"""What pyarrow raises for a file that is no Parquet, or not any more."""


class Watcher:
    """Told how far a verification is; this one does not listen."""

    def begin(self, title: str, total: int) -> None:
        """So many objects come next."""

    def advance(self, bytes_read: int) -> None:
        """One of them is checked."""


@dataclass(slots=True)
class Verification:
    """What was read and what was found; `counts` has the number of findings by kind."""

    days: int = 0
    objects: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    seed: int | None = None
    counts: Counter[Kind] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    under_way: list[dt.date] = field(default_factory=list)
    """Days with findings that a run works on, or broke off: they may be of its making."""

    @property
    def losses(self) -> int:
        """Findings that mean that something promised is not so."""
        return sum(count for kind, count in self.counts.items() if kind in LOSSES)

    @property
    def sentence(self) -> str:
        """The result for a person."""
        read = (
            f"{_number(self.days, 'day')}, {_number(self.objects, 'object')} re-read ({self.bytes_read / 1e6:,.1f} MB"
        )
        read += f" in {self.seconds:.1f} s)"
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(self.counts.items()))
        if not found:
            return f"{read}: all as the tables say."
        return f"{read}: {found}." + ("" if self.losses else " No media is lost or changed.")

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it while there is room: losses go before the rest."""
        self.counts[finding.kind] += 1
        if len(self.findings) < KEPT_FINDINGS:
            self.findings.append(finding)
        elif finding.is_loss and (rest := next((f for f in reversed(self.findings) if not f.is_loss), None)):
            self.findings[self.findings.index(rest)] = finding

    def worst_first(self) -> list[Finding]:
        """The findings kept, losses first."""
        return sorted(self.findings, key=lambda finding: not finding.is_loss)

    def _take(self, check: ObjectCheck) -> None:
        self.objects += 1
        self.bytes_read += check.bytes_read
        for finding in check.findings:
            self.add(finding)


def all_days(store: ObjectStore) -> list[dt.date]:
    """Days that have an inventory, outcomes or objects, oldest first: a lost table does not hide its day."""
    return sorted(
        days_below(store, f"tables/{_INVENTORY}/") | days_below(store, f"tables/{TABLE}/") | days_below(store, "audio/")
    )


def verify_days(
    tables: Tables,
    days: Collection[dt.date],
    *,
    sample: int | None = None,
    seed: int | None = None,
    threads: int = THREADS,
    watcher: Watcher | None = None,
    uploads_only: Collection[dt.date] = (),
) -> Verification:
    """Compare each day's listing with its tables, and re-read its stored objects, or `sample` of all days' objects.

    Files of guests are re-read whole or, with a sample, listed; of days in `uploads_only` nothing else is looked at.
    """
    result, watcher, started = Verification(days=len(days)), watcher or Watcher(), time.monotonic()
    condemned: dict[dt.date, set[str]] = {}
    for day in sorted(days):
        try:
            _verify_uploads(tables, day, result, threads, watcher, read=sample is None)
            if day in uploads_only:
                continue
            known = _compare_listing(tables, day, result)
            if sample is None:
                rows = (row for row in _stored(tables, day) if (row["object_key"] or "") not in known)
                watcher.begin(str(day), _count_stored(tables, day) - len(known))
                _check(tables.store, rows, threads, result, watcher)
            condemned[day] = known
        except _DAMAGED_TABLE as error:
            result.add(_damaged(day, error))
        _mark_under_way(tables, day, result)
    if sample is not None:
        result.seed = random.randrange(2**32) if seed is None else seed
        watcher.begin(f"sample of {_number(len(days), 'day')}", sample)
        drawn = sampled_rows(tables, condemned, sample, result.seed, lambda *damage: result.add(_damaged(*damage)))
        rows = (row for day, row in drawn if (row["object_key"] or "") not in condemned[day])
        _check(tables.store, rows, threads, result, watcher)
    result.seconds = time.monotonic() - started
    return result


def verify_sample(
    tables: Tables, days: Collection[dt.date], *, objects: int, max_bytes: int, seed: int, threads: int = THREADS
) -> Verification:
    """Re-read at most so many random objects, and begin none once `max_bytes` of them are read; lists nothing."""
    result, started = Verification(seed=seed), time.monotonic()
    touched: set[dt.date] = set()

    def within() -> Iterator[Row]:
        left = max_bytes
        for day, row in sampled_rows(tables, days, objects, seed, lambda *damage: result.add(_damaged(*damage))):
            if left <= 0:
                return
            left -= row["stored_size_bytes"] or 0
            touched.add(day)
            yield row

    _check(tables.store, within(), threads, result, Watcher())
    result.days, result.seconds = len(touched), time.monotonic() - started
    return result


def sampled_rows(
    tables: Tables,
    days: Iterable[dt.date],
    count: int,
    seed: int,
    damaged: Callable[[dt.date, Exception], None],
) -> Iterator[tuple[dt.date, Row]]:
    """`count` stored rows, or all there are: days in random order, each gives the same number, chosen at random.

    Days count alike, however many recordings they have; what a small day cannot give, the others give in another
    round. Only the tables of the days drawn are read. Equal archives and seeds give equal rows.
    A day whose table cannot be read is told to `damaged` and passed over.
    """
    chance, taken = random.Random(seed), set[tuple[dt.date, str]]()
    order = sorted(days)
    chance.shuffle(order)
    left = count
    while left > 0 and order:
        giving = []
        for number, day in enumerate(order):
            share = -(-left // (len(order) - number))
            try:
                rows = _reservoir(tables, day, share, chance, taken)
            except _DAMAGED_TABLE as error:
                damaged(day, error)
                continue
            for row in rows:
                taken.add((day, row["object_key"]))
                yield day, row
            left -= len(rows)
            if len(rows) == share:
                giving.append(day)
            if left <= 0:
                return
        order = giving


def _reservoir(
    tables: Tables, day: dt.date, count: int, chance: random.Random, taken: Collection[tuple[dt.date, str]]
) -> list[Row]:
    """So many of a day's stored rows, each equally likely, in one pass (Vitter's algorithm R)."""
    kept: list[Row] = []
    rows = (row for row in _stored(tables, day) if (day, row["object_key"]) not in taken)
    for number, row in enumerate(rows):
        if number < count:
            kept.append(row)
        elif (place := chance.randrange(number + 1)) < count:
            kept[place] = row
    return kept


def _verify_uploads(
    tables: Tables, day: dt.date, result: Verification, threads: int, watcher: Watcher, *, read: bool
) -> None:
    for finding in unknown_uploads(tables, day):
        result.add(finding)
    if read:
        watcher.begin(f"{day}, files of guests", sum(1 for _ in stored_uploads(tables, day)))
        rows = stored_uploads(tables, day)
        for check in ordered_map(lambda row: check_upload(tables.store, row), rows, threads=threads):
            result._take(check)
            watcher.advance(check.bytes_read)


def _check(store: ObjectStore, rows: Iterable[Row], threads: int, result: Verification, watcher: Watcher) -> None:
    for check in ordered_map(lambda row: check_object(store, row), rows, threads=threads):
        result._take(check)
        watcher.advance(check.bytes_read)


def _compare_listing(tables: Tables, day: dt.date, result: Verification) -> set[str]:
    """Add what tables and a listing show without reading objects; returns the keys that need no reading any more."""
    if not tables.exists(TABLE, day):
        _without_outcomes(tables, day, result)
        return set()
    verdict = judge_day(tables, day)
    for problem, count in sorted(verdict.problems.items()):
        named = [recording_id for recording_id, what in verdict.samples if what == problem]
        for finding in _mismatches(day, problem, count, named):
            result.add(finding)
    drift = find_drift(tables, day, read=False)
    for key in drift.added:
        result.add(Finding("orphan", key, None, "No table knows this file. It was not touched."))
    for key in drift.disowned:
        sentence = "Its recording is settled as not stored, and yet has this object. It was not touched."
        result.add(Finding("orphan", key, None, sentence))
    known = {*drift.removed, *drift.changed}
    if known:
        for row in _stored(tables, day):
            if (row["object_key"] or "") in known:
                for finding in check_object(tables.store, row).findings:
                    result.add(finding)
    return known


def _mismatches(day: dt.date, problem: str, count: int, named: list[str]) -> Iterator[Finding]:
    """Of what keeps a day from being complete, what means that its tables contradict each other."""
    if problem == MISSING_TABLE + _INVENTORY:
        yield Finding("mismatch", table_key(_INVENTORY, day), None, f"{day} has outcomes and no inventory.")
    elif problem.startswith(MISSING_TABLE):
        table = problem.removeprefix(MISSING_TABLE)
        sentence = f"{day} has no {table}, so its keys were not compared: run the day again."
        yield Finding("unfinished", table_key(table, day), None, sentence)
    elif problem == WITHOUT_OUTCOME:
        key = table_key(TABLE, day)
        sentence = "Inventory and recording_audio do not have it exactly once each."
        for recording_id in named:
            yield Finding("mismatch", key, recording_id, sentence)
        for _ in range(count - len(named)):
            yield Finding("mismatch", key, None, f"One of {count} on {day}. {sentence}")


def _damaged(day: dt.date, error: Exception) -> Finding:
    sentence = f"A table of {day} cannot be read ({type(error).__name__}): run the day again, or restore the file."
    return Finding("unreadable", table_key(TABLE, day), None, sentence)


def _without_outcomes(tables: Tables, day: dt.date, result: Verification) -> None:
    files = len(tables.store.sizes(audio_prefix(day)))
    key = table_key(TABLE, day)
    if files:
        sentence = f"{day} has {files} files and no recording_audio: nothing says what they are. Run the day again."
        result.add(Finding("mismatch", key, None, sentence))
    elif tables.exists(_INVENTORY, day):
        result.add(Finding("unfinished", key, None, f"{day} was listed and not exported: run the day again."))
    else:
        result.add(Finding("never_exported", key, None, f"{day} was never exported."))


def _mark_under_way(tables: Tables, day: dt.date, result: Verification) -> None:
    """Note a day with findings that a run holds, or has left unfinished."""
    if not any(f"date={day}" in finding.key for finding in result.findings):
        return
    lease = tables.store.get_small(lease_key(day))
    at_work = lease is not None and not Holder.of(lease.data).is_gone()
    if at_work or tables.store.sizes(ledger_prefix(day)):
        result.under_way.append(day)


def _stored(tables: Tables, day: dt.date) -> Iterator[Row]:
    return (row for row in tables.rows(TABLE, day, COLUMNS) if row["status"] == STORED)


def _count_stored(tables: Tables, day: dt.date) -> int:
    return sum(row["status"] == STORED for row in tables.rows(TABLE, day, ["status"]))


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
