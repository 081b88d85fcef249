"""retention_sweep: until when the source keeps what is not exported, and whether that is long enough."""

import datetime as dt
from pathlib import Path

import dagster as dg
from pydantic import Field

from media_pipeline.assets.step import working
from media_pipeline.checks.exported_before_deletion import (
    EXPORTED_BEFORE_DELETION,
    NOT_TOLD,
    Deadlines,
    exported_before_deletion_result,
    not_told_result,
)
from media_pipeline.genesys.source import RetentionTally
from media_pipeline.metadata import calls, schema_metadata
from media_pipeline.ownership import GENESYS_POOL
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.deadlines import TABLE, spread_out, write_deadlines

MAX_PAGES = 60_000
"""30 million recordings, 3 h 20 min at 300 calls a minute."""


class RetentionSweepConfig(dg.Config):
    """Bounds of the sweep; the defaults are what the schedule takes."""

    older_than_days: int = Field(
        0,
        ge=0,
        description="Only recordings kept for more days than this. More than 0 costs fewer pages, and leaves out "
        "recordings with a short life; sensible only where no policy deletes earlier.",
    )
    max_pages: int = Field(MAX_PAGES, ge=1, description="Calls at most, 500 recordings each.")


def retention_sweep_asset(start_date: dt.date, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The asset, for recordings created on `start_date` or later."""

    @dg.asset(
        group_name="watch",
        kinds={"parquet", "python"},
        retry_policy=retry,
        metadata=schema_metadata(TABLE),
        pool=GENESYS_POOL,
        check_specs=[
            dg.AssetCheckSpec(
                EXPORTED_BEFORE_DELETION,
                asset="retention_sweep",
                description="The source deletes nothing before it is exported; says what, of which day, and when.",
            )
        ],
    )
    def retention_sweep(
        context: dg.AssetExecutionContext,
        config: RetentionSweepConfig,
        genesys: GenesysResource,
        media: MediaResource,
    ) -> dg.MaterializeResult:
        """Recordings since MEDIA_START_DATE that the source keeps and this archive does not have, with their deadlines.

        Source: the retention query of the published API, 200 calls per 100,000 recordings of the whole history; the
        guides have none. Table recording_deadlines, by day of creation, sorted by recording and conversation id; what
        is exported, of a format that is not, or empty has no row. Days that are exported later keep their rows until
        the next sweep. A killed sweep begins anew.
        """
        now = dt.datetime.now(dt.UTC)
        with working(context, "retention_sweep", genesys, media, day=now.date()) as step:
            tally = RetentionTally()
            listed = step.session.source.retained(config.older_than_days, config.max_pages, tally)
            if listed is None:
                return dg.MaterializeResult(metadata={"skipped": NOT_TOLD}, check_results=[not_told_result()])
            found = Deadlines(now)
            with spread_out(Path(media.spool)) as by_day:
                since = by_day.add_all(listed, start_date)
                for day, row in write_deadlines(media.tables, by_day, complete=tally.complete):
                    found.add(day, row)
            step.audit.emit("retention_swept", recordings=tally.entries, pages=tally.pages, not_here=found.total)
            return dg.MaterializeResult(
                metadata={
                    "dagster/row_count": found.total,
                    "path": dg.MetadataValue.path(f"{media.store.url}/tables/{TABLE}"),
                    "pages": tally.pages,
                    "read_to_the_end": tally.complete,
                    "recordings_kept_at_the_source": tally.entries,
                    "of_days_since_the_start": since,
                    "entries_without_id": tally.malformed,
                }
                | calls(step.stats),
                check_results=[exported_before_deletion_result(found, tally)],
            )

    return retention_sweep
