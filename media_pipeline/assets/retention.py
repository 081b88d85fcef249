"""media_retention: deletes what is due, unless a hold keeps it, and certifies it."""

import datetime as dt

import dagster as dg

from media_pipeline.assets.step import working
from media_pipeline.checks.deleted_in_time import DELETED_IN_TIME, deleted_in_time_result
from media_pipeline.messaging.deleting import work_ledger
from media_pipeline.messaging.retention_days import TABLE, Days
from media_pipeline.metadata import calls, schema_metadata
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.storage.lease import LeaseHeld


def media_retention_asset() -> dg.AssetsDefinition:
    """The asset; it has no retry policy, as the next minute's run is the retry."""

    @dg.asset(
        group_name="messaging",
        kinds={"parquet", "python"},
        metadata=schema_metadata(TABLE),
        check_specs=[
            dg.AssetCheckSpec(
                DELETED_IN_TIME,
                asset="media_retention",
                description="Everything that is due is gone, held or switched off; says what is not, since when, why.",
            )
        ],
    )
    def media_retention(
        context: dg.AssetExecutionContext, genesys: GenesysResource, media: MediaResource
    ) -> dg.MaterializeResult:
        """What must be deleted when, what became of it, and the certificate of each deletion.

        Source: what other parts scheduled (uploads, voice messages, policies for recordings), and the holds. Table
        media_retention, by UTC day of scheduling, sorted by entry. At Genesys Cloud nothing is deleted without
        MEDIA_ALLOW_REMOTE_DELETE=1. One run works for at most 45 s, deadlines oldest first; the next goes on.
        """
        now = dt.datetime.now(dt.UTC)
        with working(context, "media_retention", genesys, media, day=now.date()) as step:
            where = {"path": dg.MetadataValue.path(f"{media.store.url}/tables/{TABLE}")}
            try:
                tally = work_ledger(
                    media.store,
                    step.session.source,
                    run_id=context.run.run_id,
                    allowed=genesys.allow_remote_delete,
                    protects=genesys.allow_write_back,
                    emit=step.audit.emit,
                )
            except LeaseHeld as held:
                index = Days(media.store).index
                return dg.MaterializeResult(
                    metadata=where | {"skipped": str(held)}, check_results=[deleted_in_time_result(index, now)]
                )
            counts = {f"entries_{name}": number for name, number in sorted(tally.outcomes.items())}
            return dg.MaterializeResult(
                metadata=where
                | {"taken_in": tally.taken_in, "nothing_left_due": tally.whole}
                | counts
                | calls(step.stats),
                check_results=[deleted_in_time_result(tally.index, dt.datetime.now(dt.UTC), tally.problems)],
            )

    return media_retention
