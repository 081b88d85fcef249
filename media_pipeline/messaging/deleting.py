"""Works the ledger: chooses what is due, oldest deadline first, marks it, has it done, and keeps what came of it.

A run that dies leaves marks; the next one goes on with them, and takes the 404 of what is gone already for what it is.
"""

from __future__ import annotations

import datetime as dt
import heapq
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from media_pipeline.genesys.errors import GenesysError
from media_pipeline.genesys.messaging_source import RetentionTarget
from media_pipeline.messaging.deciding import FAILED, Step, next_step
from media_pipeline.messaging.deletion_steps import Steps, doomed
from media_pipeline.messaging.holds import Hold, Holds, digest
from media_pipeline.messaging.retention import LOCAL, RECORDING
from media_pipeline.messaging.retention_days import Days, Index
from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.lease import Lease
from media_pipeline.tables.partition import Row
from media_pipeline.tables.paths import RETENTION_LEASE

RUN_SECONDS = 45.0
MOST_STEPS = 1_000
BATCH = 20
"""Entries marked with one write; a kill leaves at most so many marks."""
SICK = 3
"""So many failures in a row are the source's own: the rest waits for the next run."""


class Emit(Protocol):
    """The audit log's `emit`."""

    def __call__(self, event: str, recording_id: str | None = None, **facts: object) -> None:
        """Append one event."""


@dataclass(slots=True)
class Tally:
    """What a run did: entries taken in, steps by outcome, problems in sentences; not `whole`: more is due by now."""

    index: Index
    taken_in: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    whole: bool = False


@dataclass(slots=True)
class _Item:
    day: dt.date
    before: Row
    row: Row
    step: Step

    @property
    def order(self) -> tuple[dt.datetime, str]:
        return self.before["due"], self.before["entry_id"]


def utc_now() -> dt.datetime:
    """This machine's clock."""
    return dt.datetime.now(dt.UTC)


def work_ledger(
    store: ObjectStore,
    target: RetentionTarget | None,
    *,
    run_id: str,
    allowed: bool,
    protects: bool = False,
    emit: Emit,
    only_holds: bool = False,
    now: Callable[[], dt.datetime] = utc_now,
    seconds: float = RUN_SECONDS,
    wait_seconds: float | None = None,
) -> Tally:
    """Work the ledger once, alone: raises LeaseHeld while another run does, StorageError, permanent GenesysErrors.

    `target` None: only objects of ours can be deleted. `allowed`: MEDIA_ALLOW_REMOTE_DELETE; `protects`: the source may
    be told to protect held conversations. `only_holds`: nothing but what holds ask for.
    """
    lease = Lease(store, RETENTION_LEASE, "The retention ledger", run_id)
    lease.acquire(wait_seconds)
    try:
        worker = Worker(
            store,
            target,
            allowed=allowed,
            protects=protects,
            emit=emit,
            still_ours=lease.check,
            now=now,
            seconds=seconds,
        )
        return worker.run(only_holds=only_holds)
    finally:
        lease.release()


class Worker:
    """One run over the ledger, by whoever has the lease."""

    def __init__(
        self,
        store: ObjectStore,
        target: RetentionTarget | None,
        *,
        allowed: bool,
        protects: bool,
        emit: Emit,
        still_ours: Callable[[], None],
        now: Callable[[], dt.datetime],
        seconds: float,
    ) -> None:
        self._target, self._allowed, self._protects = target, allowed, protects
        self._emit, self._still_ours, self._now = emit, still_ours, now
        self._ends = time.monotonic() + seconds
        self._holds, self._days = Holds(store), Days(store)
        self._steps = Steps(store, target, self._holds, now=now, still_ours=still_ours, later=self._put_off_to)
        self._arrived: set[str] = set()
        self._put_off: dict[str, dt.datetime] = {}
        self.tally = Tally(self._days.index)

    def run(self, *, only_holds: bool) -> Tally:
        """Do what is to be done now."""
        all_holds = self._holds.all()
        self.tally.taken_in = self._days.take_in()
        now = self._now()
        if self._protects:
            self._protect(all_holds, now)
        by_holds = digest(self._holds.active(now))
        chosen, wanted = self._chosen(self._days.index.to_look_at(now, by_holds, self._allowed), now, only_holds)
        done, items = 0, iter(chosen)
        while self._goes_on() and (batch := list(islice(items, BATCH))):
            done += self._work(batch)
        self.tally.whole = done == wanted
        if self.tally.whole and not only_holds:
            self._days.index.holds, self._days.index.allowed = by_holds, self._allowed
        self._still_ours()
        self._days.save_index()
        return self.tally

    def _chosen(self, days: list[dt.date], now: dt.datetime, only_holds: bool) -> tuple[list[_Item], int]:
        """The oldest deadlines that have something to do, and how many there are in all."""
        wanted = 0

        def counted() -> Iterator[_Item]:
            nonlocal wanted
            for item in self._candidates(days, now):
                if only_holds and item.step not in ("hold", "withdraw"):
                    continue
                if item.step == "free" and not self._holds.has_ended(item.row["hold_id"], now):
                    continue
                wanted += 1
                yield item

        return heapq.nsmallest(MOST_STEPS, counted(), key=lambda item: item.order), wanted

    def _candidates(self, days: list[dt.date], now: dt.datetime) -> Iterator[_Item]:
        for day in days:
            for row in self._days.open_rows(day):
                step = next_step(row, now, self._holds.covering(row, now), self._allowed)
                if row["kind"] != LOCAL:
                    if self._target is None and step not in ("hold", "free", "would_delete"):
                        continue
                    if self._target is not None and not self._target.can_delete(doomed(row)):
                        step = "not_offered"
                if step is not None:
                    yield _Item(day, row, row, step)
            self._days.forget()

    def _goes_on(self) -> bool:
        return time.monotonic() < self._ends and self._steps.failures_in_a_row < SICK

    def _work(self, batch: list[_Item]) -> int:
        """Mark, do, keep what came of it; returns how many were done."""
        for item in batch:
            item.row = self._steps.marked(item.before, item.step)
        self._save([item for item in batch if item.row != item.before])
        begun = done = 0
        try:
            while begun < len(batch) and self._goes_on():
                item, begun = batch[begun], begun + 1
                item.row = self._steps.done(item.before, item.row, item.step)
                self._tell(item.before, item.row)
                done = begun
        finally:
            for item in batch[begun:]:  # the one that broke off stays marked: its request may have gone out
                item.row = item.before
            self._save(batch)
        return done

    def _save(self, batch: list[_Item]) -> None:
        by_day: defaultdict[dt.date, list[Row]] = defaultdict(list)
        for item in batch:
            by_day[item.day].append(item.row)
        self._still_ours()
        for day, rows in by_day.items():
            self._days.update(day, rows)

    def _put_off_to(self, entry_id: str) -> dt.datetime | None:
        """The deadline of an entry that was scheduled again since this run took new ones in."""
        for again in self._days.arrivals(self._arrived):
            known = self._put_off.get(again["entry_id"], again["due"])
            self._put_off[again["entry_id"]] = max(known, again["due"])
        return self._put_off.get(entry_id)

    def _tell(self, before: Row, after: Row) -> None:
        """The run's count, and the audit log's event with the moment."""
        name = after["state"] if after["state"] != before["state"] else after["reason"] or after["state"]
        self.tally.outcomes[name] += 1
        if after["detail"] and (after["state"] == FAILED or after["reason"] in ("not_withdrawn", "gone_before_hold")):
            self.tally.problems.append(f"{after['kind']} {after['subject_id']}: {after['detail']}")
        if after == before:
            return
        self._emit(
            f"media_{name}",
            recording_id=after["subject_id"] if after["kind"] == RECORDING else None,
            **{fact: after[fact] for fact in _AUDITED},
            due=after["due"].isoformat(),
            sha256=after["destroyed_sha256"],
        )

    def _protect(self, holds: list[Hold], now: dt.datetime) -> None:
        """Conversations of holds are protected by the source too, and no longer when their last hold has ended."""
        if self._target is None:
            return
        wanted = {hold.value for hold in holds if hold.kind == "conversation" and hold.is_active(now)}
        for hold in holds:
            active = hold.kind == "conversation" and hold.is_active(now)
            if hold.protected == active:
                continue
            try:
                if (active or hold.value not in wanted) and not self._target.protect([hold.value], protect=active):
                    return
            except GenesysError as error:
                self.tally.problems.append(f"The source's protection of a held conversation is not changed: {error}")
                return
            self._holds.told_source(hold.hold_id, active)
            event = "conversation_protected" if active else "conversation_no_longer_protected"
            self._emit(event, hold_id=hold.hold_id, conversation_id=hold.value)


_AUDITED = ("entry_id", "kind", "subject_id", "conversation_id", "policy", "source", "reason", "hold_id", "certificate")
