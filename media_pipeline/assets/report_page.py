"""report_page: a day's report for people, as one HTML file, and the calendar of all days."""

import datetime as dt

import dagster as dg

from media_pipeline.partitions import partition_day
from media_pipeline.resources.failures import explained
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.paths import CALENDAR_KEY


def report_page_asset(
    partitions: dg.PartitionsDefinition, start: dt.date, lookback_days: int, service_url: str = ""
) -> dg.AssetsDefinition:
    """The asset; `service_url` is where `media-pipeline serve` is reached, for a link."""

    @dg.asset(
        partitions_def=partitions,
        # not of availability_report: its check holds back what depends on it, and this page explains why
        deps=["recording_inventory", "recording_audio", "transcript_status", "storage_utilization"],
        group_name="reports",
        kinds={"html"},
    )
    def report_page(context: dg.AssetExecutionContext, media: MediaResource) -> dg.MaterializeResult:
        """The day as a page to look at, reports/date=.../index.html: complete or not and why, what to do next, funnel,
        reasons, bytes, runs, slowest recordings, and what changed since the day before. Whatever the day's state.

        One file that loads nothing, computed from the tables alone; reports/index.html has all days.
        """
        with explained():
            from media_pipeline.report_page.page import write_page

            day = partition_day(context)
            page = write_page(media.tables, day, start=start, lookback_days=lookback_days, threads=media.concurrency)
            totals, verdict = page.figures.totals, page.figures.verdict
            described: dict[str, object] = {
                "page": dg.MetadataValue.path(f"{media.store.url}/{page.key}"),
                "calendar": dg.MetadataValue.path(f"{media.store.url}/{CALENDAR_KEY}"),
                "summary": page.figures.summary,
                "complete": verdict.complete,
                "page_bytes": page.size,
                "days_in_calendar": page.days,
                "recordings_listed": totals.listed,
                "recordings_stored": totals.stored,
                "recordings_open_or_failed": totals.unsettled,
            }
            if service_url:
                described["open"] = dg.MetadataValue.url(f"{service_url.rstrip('/')}/{page.key}")
            return dg.MaterializeResult(metadata=described)

    return report_page
