"""Adds a hold and sees to it that it holds: waits for what was being deleted, takes back what the source was told."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from media_pipeline.genesys.messaging_source import RetentionTarget
from media_pipeline.messaging.deciding import HELD, MARKED, told
from media_pipeline.messaging.deleting import Emit, utc_now, work_ledger
from media_pipeline.messaging.holds import Hold
from media_pipeline.messaging.retention_days import Days
from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.lease import EXPIRES_SECONDS, LeaseHeld

WAIT_SECONDS = EXPIRES_SECONDS + 60.0
"""A living run is at most as long at work; a dead one's lease can be had by then, on whatever machine it was."""
LOOK_SECONDS = 0.5


@dataclass(slots=True)
class Effect:
    """What a hold came to: entries of the ledger that it covers, by state; problems in sentences.

    `under_way`: marked by a run that is still at work; `told`: what the source still deletes by itself.
    """

    hold: Hold
    states: Counter[str] = field(default_factory=Counter)
    in_doubt: int = 0
    under_way: int = 0
    told: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing that it covers can be deleted any more."""
        return not (self.under_way or self.told)


def make_good(
    store: ObjectStore,
    target: RetentionTarget | None,
    hold: Hold,
    *,
    run_id: str,
    allowed: bool,
    protects: bool,
    emit: Emit,
    now: Callable[[], dt.datetime] = utc_now,
    wait_seconds: float = WAIT_SECONDS,
) -> Effect:
    """Return when a hold that was just added holds, or after that long.

    What a run had marked before is settled by that run or, when it is dead, here. Raises StorageError.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        problems: list[str] = []
        alone = True
        try:
            tally = work_ledger(
                store,
                target,
                run_id=run_id,
                allowed=allowed,
                protects=protects,
                emit=emit,
                only_holds=True,
                now=now,
                wait_seconds=0,
            )
            problems = tally.problems
        except LeaseHeld:
            alone = False
        effect = covered(store, hold)
        effect.problems = problems
        if effect.holds or (alone and (target is None or problems)) or time.monotonic() > deadline:
            return effect
        time.sleep(LOOK_SECONDS)


def covered(store: ObjectStore, hold: Hold) -> Effect:
    """What of the ledger a hold covers, as the tables have it now."""
    effect, days = Effect(hold), Days(store)
    for day in sorted(days.index.days):
        for row in days.open_rows(day):
            if hold.covers(row):
                effect.states[row["state"]] += 1
                effect.in_doubt += row["state"] == HELD and row["certificate"] == "in_doubt"
                effect.under_way += row["state"] == MARKED
                effect.told += told(row) and row["state"] != MARKED
        days.forget()
    return effect
