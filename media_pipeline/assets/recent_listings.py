"""recent_listings: what the source lists now of the days of the look-back, and whether all of them are complete."""

import datetime as dt
from typing import Any

import dagster as dg

from media_pipeline.assets.step import working
from media_pipeline.checks.finished_days_complete import FINISHED_DAYS_COMPLETE, finished_days_complete_result
from media_pipeline.genesys.source import ListingTally
from media_pipeline.metadata import calls, sample, schema_metadata
from media_pipeline.ownership import GENESYS_POOL
from media_pipeline.partitions import recent_days
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.arrivals import difference, known_files, write_listing

FAIL_WINDOW = dt.timedelta(hours=7)
"""Two of the schedule's turns missed."""


def recent_listings_asset(start_date: dt.date, lookback_days: int, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The asset, for finished days from `start_date` on and not older than `lookback_days`."""

    @dg.asset(
        group_name="watch",
        kinds={"parquet", "python"},
        retry_policy=retry,
        metadata=schema_metadata("recent_listings"),
        pool=GENESYS_POOL,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=FAIL_WINDOW),
        check_specs=[
            dg.AssetCheckSpec(
                FINISHED_DAYS_COMPLETE,
                asset="recent_listings",
                description="Every finished day of the look-back is exported and complete; says which is not, and why.",
            )
        ],
    )
    def recent_listings(
        context: dg.AssetExecutionContext, genesys: GenesysResource, media: MediaResource
    ) -> dg.MaterializeResult:
        """Ids and states of what the source lists now, for each finished day of the look-back.

        Genesys Cloud documents up to 48 h until a recording is listed. The sensor late_recordings compares this table
        with the inventory and runs the days again that differ. Lists only: no media, no transcript. With the
        published API, only conversations that are new or had something unsettled are asked about: a few calls a day,
        but a change to a recording that was exported goes unnoticed.
        """
        now = dt.datetime.now(dt.UTC)
        with working(context, "recent_listings", genesys, media, day=now.date()) as step:
            rows = []
            for day in recent_days(now, start_date, lookback_days):
                known = known_files(media.tables, day)
                listed = write_listing(media.tables, day, step.session.source.list_again(day, ListingTally(), known))
                rows.append(_compared(media, day, listed))
                step.audit.emit("day_listed_again", **rows[-1])
            return dg.MaterializeResult(
                metadata={
                    "dagster/row_count": sum(row["listed"] for row in rows),
                    "path": dg.MetadataValue.path(f"{media.store.url}/tables/recent_listings"),
                    "days": sample(rows, ["day", "listed", "since_the_export"]),
                }
                | calls(step.stats),
                check_results=[finished_days_complete_result(media.tables, now, start_date, lookback_days)],
            )

    return recent_listings


def _compared(media: MediaResource, day: dt.date, listed: int) -> dict[str, Any]:
    found = difference(media.tables, day)
    change = "not exported yet" if found is None else found.sentence.partition(": ")[2]
    return {"day": str(day), "listed": listed, "since_the_export": change}
