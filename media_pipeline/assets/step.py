"""What every step that talks to Genesys Cloud does around its work: audit events, call counts, clear failures."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dagster as dg

from media_pipeline.audit.log import AuditLog
from media_pipeline.genesys.pacing import CallStats
from media_pipeline.memory import give_back, share_one_heap
from media_pipeline.metadata import schema_metadata
from media_pipeline.ownership import ENGINEERS
from media_pipeline.partitions import partition_day
from media_pipeline.resources.failures import explained
from media_pipeline.resources.genesys import GenesysResource, Session
from media_pipeline.resources.media import MediaResource
from media_pipeline.storage.lease import Lease
from media_pipeline.tables.runs import TABLE, Costs, record_step


def export_runs_spec() -> dg.AssetSpec:
    """The table that all steps write their costs to: no step's own, so that none of them can make it again."""
    return dg.AssetSpec(
        TABLE,
        group_name="watch",
        kinds={"parquet", "python"},
        owners=[ENGINEERS],
        description="What each run cost, by step: calls by operation and status, retries, waits, bytes and seconds. "
        "Every run adds a file to its day.",
        metadata=schema_metadata(TABLE),
    )


@dataclass(slots=True)
class Step:
    """One asset at work on one day; `costs` becomes the step's rows in export_runs."""

    day: dt.date
    session: Session
    audit: AuditLog
    before: CallStats
    lease: Lease | None = None
    costs: Costs = field(default_factory=Costs)

    def still_ours(self) -> None:
        """Raise LeaseLost when another run has taken the day over: before tables are replaced."""
        if self.lease is not None:
            self.lease.check()

    @property
    def stats(self) -> CallStats:
        """Calls of this step so far."""
        return self.session.stats.since(self.before)


@contextmanager
def working(
    context: dg.AssetExecutionContext,
    name: str,
    genesys: GenesysResource,
    media: MediaResource,
    day: dt.date | None = None,
    work: str = "",
) -> Iterator[Step]:
    """Open the session and the audit log; whatever happens, the step's cost and its end are recorded.

    `day` is where they are recorded, by default the run's partition. Runs keep each other out of a day, those that do
    other `work` than an export only among themselves: a long export must not fail them, nor they a repair.
    """
    is_partition, day = day is None, day or partition_day(context)
    with explained():
        media.store.check_writable()
        lease = media.lease(day, context.run.run_id, work) if is_partition else None
        audit = media.audit(day, context.run.run_id)
        audit.emit("step_started", step=name)
        started = time.monotonic()
        outcome = "failed"
        step: Step | None = None
        try:
            session = genesys.session
            share_one_heap()
            step = Step(day, session, audit, session.stats.snapshot(), lease)
            yield step
            outcome = "succeeded"
        finally:
            latency_ms = round((time.monotonic() - started) * 1000)
            audit.emit("step_finished", step=name, outcome=outcome, latency_ms=latency_ms)
            if step is not None:
                record_step(media.tables, day, context.run.run_id, name, step.costs, step.stats)
            give_back()
