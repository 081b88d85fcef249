"""recording_inventory and storage_quota: what the source holds."""

import dagster as dg

from media_pipeline.assets.step import working
from media_pipeline.genesys.errors import MalformedReply, NotFound, PermissionMissing
from media_pipeline.genesys.source import ListingTally
from media_pipeline.metadata import calls, calls_per_1000, schema_metadata, written
from media_pipeline.ownership import GENESYS_POOL
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.inventory import write_inventory
from media_pipeline.tables.paths import newest_finished_day

MISSING_RESULTS = (
    "Genesys Cloud announced {:,} results more than it gave, and names no recording that they could be. Where some are "
    "withheld, grant recording:recording:viewSensitiveData; the retention_sweep names what is never delivered."
)


def inventory_assets(partitions: dg.PartitionsDefinition, retry: dg.RetryPolicy) -> list[dg.AssetsDefinition]:
    """The two assets that ask the source what there is."""

    @dg.asset(
        partitions_def=partitions,
        group_name="recordings",
        kinds={"parquet", "python"},
        retry_policy=retry,
        metadata=schema_metadata("recording_inventory"),
        pool=GENESYS_POOL,
    )
    def recording_inventory(
        context: dg.AssetExecutionContext, genesys: GenesysResource, media: MediaResource
    ) -> dg.MaterializeResult:
        """Every recording of the UTC day, listed page by page, each once.

        Source: the org's recording list. Rows are sorted by recording_id and file_index. A day without recordings
        gives an empty, fully typed table. Recordings of other days that the listing returns are ignored here. What an
        earlier run listed and the source lists no more stays, with the file_state deleted.
        """
        with working(context, "recording_inventory", genesys, media) as step:
            tally = ListingTally()
            listed = step.session.source.list_day(step.day, tally)
            rows = write_inventory(media.tables, step.day, listed, tally, media.codecs)
            step.audit.emit("inventory_listed", recordings=rows, pages=tally.pages)
            for trouble in tally.troubles:
                context.log.warning(trouble)
            if tally.missing_results:
                context.log.warning(MISSING_RESULTS.format(tally.missing_results))
            return dg.MaterializeResult(
                metadata=written(media.tables, "recording_inventory", step.day, rows)
                | {
                    "listed_by": tally.basis,
                    "pages": tally.pages,
                    "duplicates_ignored": tally.duplicates,
                    "other_days_ignored": tally.other_days,
                    "entries_without_id": tally.malformed,
                    "no_longer_listed": tally.no_longer_listed,
                    "conversations_without_recording": tally.without_recording,
                    "conversations_unreadable": tally.unreadable,
                    "results_never_asked_for": tally.ignored_results,
                    "results_announced_and_missing": tally.missing_results,
                    "batches_unfinished": tally.unfinished_batches,
                }
                | {"api_calls_per_1000_recordings": calls_per_1000(step.stats, rows)}
                | calls(step.stats)
            )

    @dg.asset(
        partitions_def=partitions,
        group_name="recordings",
        kinds={"parquet", "python"},
        retry_policy=retry,
        metadata=schema_metadata("storage_quota"),
    )
    def storage_quota(
        context: dg.AssetExecutionContext, genesys: GenesysResource, media: MediaResource
    ) -> dg.MaterializeResult:
        """Recording storage used and left at the source, in MB of 10^6 bytes.

        A quota is a fact of today: it is written for the newest finished day only; older days stay without a row.
        """
        with working(context, "storage_quota", genesys, media) as step:
            if step.day != newest_finished_day():
                return dg.MaterializeResult(metadata={"skipped": "A quota is a fact of today, not of an older day."})
            try:
                use = step.session.source.storage_use()
            except (PermissionMissing, NotFound, MalformedReply) as error:
                if genesys.dialect == "guide":  # its limit decides whether anything is downloaded
                    raise
                context.log.warning(f"How much storage is in use is not known: {error}")
                media.tables.write("storage_quota", step.day, [])
                return dg.MaterializeResult(
                    metadata=written(media.tables, "storage_quota", step.day, 0) | {"unknown": str(error)}
                )
            row = {
                "used_mb": use.used_mb,
                "limit_mb": use.limit_mb,
                "available_mb": use.available_mb,
                "basis": use.basis,
            }
            media.tables.write("storage_quota", step.day, [row])
            figures = {name: value for name, value in row.items() if value is not None}
            return dg.MaterializeResult(metadata=written(media.tables, "storage_quota", step.day, 1) | figures)

    return [recording_inventory, storage_quota]
