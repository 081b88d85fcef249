"""Dagster's memory of jobs that run every minute, kept for a day: 1,440 runs of 185 KB each are 270 MB a day in SQLite.

Dagster keeps runs for ever. Those that failed stay, and so does what our own tables and audit logs say of each.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from pathlib import Path

import dagster as dg

KEPT = dt.timedelta(days=1)
AT_ONCE = 5
"""With each minute's look, at 50 ms each: a history of months is gone after a week."""


def forget_old_runs(instance: dg.DagsterInstance, job_name: str, kept: dt.timedelta = KEPT) -> int:
    """Delete some of a job's oldest runs that succeeded longer ago, with their events and logs; how many."""
    old = dt.datetime.now(dt.UTC) - kept
    filters = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.SUCCESS], updated_before=old)
    records = instance.get_run_records(filters, limit=AT_ONCE, ascending=True)
    for record in records:
        run_id = record.dagster_run.run_id
        instance.delete_run(run_id)
        with suppress(OSError, NotImplementedError):  # some managers of logs cannot delete any
            instance.compute_log_manager.delete_logs(prefix=[run_id])
        _remove_database(instance, run_id)
    return len(records)


def _remove_database(instance: dg.DagsterInstance, run_id: str) -> None:
    """SQLite storage has a file for each run, which Dagster empties and leaves at its size."""
    path_of = getattr(instance.event_log_storage, "path_for_shard", None)
    if path_of is None:  # Postgres, or one file for all
        return
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            Path(path_of(run_id) + suffix).unlink()
