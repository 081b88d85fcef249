"""What is made of the tables by hand: report, compact."""

from __future__ import annotations

from typing import Annotated

import typer

from media_pipeline.console import ERR, OUT, explained, given_days


def report(
    date: Annotated[str | None, typer.Option(help="One day, UTC.", metavar="YYYY-MM-DD")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day of a range.", metavar="YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of it, included.", metavar="YYYY-MM-DD")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every day that was ever exported.")] = False,
) -> None:
    """Write the report pages of exported days again, and the calendar; asks Genesys Cloud nothing.

    Runs write them by themselves: this is for days exported by an earlier version, or after tables were restored.
    """
    from media_pipeline.archive import Archive

    span = given_days("report", date, first, last, every)
    with explained(), ERR.status("Writing pages ..."):
        pages, calendar = Archive().write_reports(span)
    OUT.print(f"{pages} page(s) written; all days: {calendar}", highlight=False, soft_wrap=True)


def compact() -> None:
    """Write each table's months that are over in one file, for quick questions about long times.

    Only months whose days changed are written, and only copies: `media-pipeline sql` reads a month as long as it is
    what its days are. The Dagster job compact_months does the same. Exit code 1: a month was left out.
    """
    import uuid

    from media_pipeline.printing import printable
    from media_pipeline.settings import Settings
    from media_pipeline.storage.lease import Lease
    from media_pipeline.storage.opening import open_store
    from media_pipeline.tables import compaction
    from media_pipeline.tables.months import COMPACTED
    from media_pipeline.tables.paths import COMPACTED_FOLDER, TABLES_FOLDER, work_lease_key

    left_out = 0

    with explained(), ERR.status("Compacting months ...") as status:
        settings, run_id = Settings.load(), f"compact-{uuid.uuid4().hex[:12]}"
        store = open_store(settings.root, settings.spool, settings.concurrency)
        places = [f"{folder}/{table}/" for folder in (TABLES_FOLDER, COMPACTED_FOLDER) for table in COMPACTED]
        if not any(store.sizes(place, ".parquet") for place in places):
            raise ValueError(f"Nothing was exported under MEDIA_ROOT={store.url} yet: there is nothing to compact.")
        lease = Lease(store, work_lease_key(compaction.LEASE), "Compacting months", run_id)
        lease.acquire()
        try:
            for table, done in compaction.compact_all(store, lease.check):
                status.update(f"Compacting months, after {table} ...")
                OUT.print(
                    f"{table}: {len(done.written)} month(s) written, {len(done.kept)} as they were, "
                    f"{len(done.removed)} removed",
                    highlight=False,
                    soft_wrap=True,
                )
                left_out += len(done.left_out)
                for month, why in done.left_out.items():
                    told = f"  {month} was left out, questions read its days: {why}."
                    ERR.print(printable(told), style="yellow", markup=False, highlight=False, soft_wrap=True)
        finally:
            lease.release()
    raise typer.Exit(1 if left_out else 0)
