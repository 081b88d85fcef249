"""availability_report and storage_utilization: what an analyst asks, computed from the tables only."""

import datetime as dt

import dagster as dg

from media_pipeline.assets.announcing import announcing
from media_pipeline.checks.day_complete import DAY_COMPLETE, as_check_result
from media_pipeline.metadata import sample, schema_metadata, written
from media_pipeline.notify.callbacks import Callbacks
from media_pipeline.notify.completed_days import announce_day, begin_check, end_check
from media_pipeline.notify.events import DAY_COMPLETED
from media_pipeline.partitions import partition_day
from media_pipeline.resources.failures import explained
from media_pipeline.resources.media import MediaResource
from media_pipeline.resources.webhooks import WebhooksResource
from media_pipeline.tables.completeness import judge_day
from media_pipeline.tables.paths import report_key
from media_pipeline.tables.reports import storage_utilization as utilization
from media_pipeline.tables.reports import write_availability

WARN_WINDOW, FAIL_WINDOW = dt.timedelta(hours=26), dt.timedelta(hours=30)
"""The schedule runs every 24 hours; the badge sees runs only, the check finished_days_complete sees days."""


def report_assets(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The two reports and the check that proves the day."""

    @dg.asset(
        partitions_def=partitions,
        deps=["recording_inventory", "recording_audio", "transcript_status"],
        group_name="reports",
        kinds={"parquet", "json"},
        metadata=schema_metadata("availability_report"),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=FAIL_WINDOW, warn_window=WARN_WINDOW),
        check_specs=[
            dg.AssetCheckSpec(
                DAY_COMPLETE,
                asset="availability_report",
                blocking=True,
                description="Every listed recording has one outcome, none is open or failed, every object is there.",
            )
        ],
    )
    def availability_report(
        context: dg.AssetExecutionContext,
        media: MediaResource,
        webhooks: WebhooksResource,
        callbacks: dg.ResourceParam[Callbacks],
    ) -> dg.MaterializeResult:
        """What is available of the day, per recording, also as reports/date=.../availability.json.

        Written whatever the day's state; the check day_complete on it fails the run when the day is not complete.
        """
        with explained():
            day = partition_day(context)
            media.tables.read("recording_inventory", day, ["recording_id"])  # says what to materialize when missing
            with announcing(context, DAY_COMPLETED, day, media, webhooks, callbacks) as announcer:
                if announcer is not None:
                    begin_check(media.store, day, context.run.run_id)
                counts = write_availability(media.tables, day)
                verdict = judge_day(media.tables, day)
                if announcer is not None:
                    announce_day(announcer, media.tables, verdict)
            if announcer is not None:
                end_check(media.store, day)
            rows = sum(counts.files.values())
            path = f"{media.store.url}/{report_key(day, 'availability.json')}"
            return dg.MaterializeResult(
                metadata=written(media.tables, "availability_report", day, rows)
                | {f"recordings_{status}": count for status, count in sorted(counts.files.items())}
                | {"total_size_bytes": sum(counts.bytes.values()), "report": dg.MetadataValue.path(path)},
                check_results=[as_check_result(verdict)],
            )

    @dg.asset(
        partitions_def=partitions,
        deps=["recording_inventory", "recording_audio"],
        group_name="reports",
        kinds={"parquet"},
        metadata=schema_metadata("storage_utilization"),
    )
    def storage_utilization(context: dg.AssetExecutionContext, media: MediaResource) -> dg.MaterializeResult:
        """Files, bytes before and after compression, and length, by media type and format."""
        with explained():
            day = partition_day(context)
            for needed in ("recording_inventory", "recording_audio"):
                media.tables.read(needed, day, ["recording_id"])  # says what to materialize when missing
            rows = utilization(media.tables, day)
            media.tables.write("storage_utilization", day, rows)
            totals = {name: sum(row[name] for row in rows) for name in ("recordings", "source_bytes", "stored_bytes")}
            return dg.MaterializeResult(
                metadata=written(media.tables, "storage_utilization", day, len(rows))
                | totals
                | {"utilization": sample(rows, list(rows[0]) if rows else [])}
            )

    return [availability_report, storage_utilization]
