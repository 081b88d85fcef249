"""compacted_months: the tables' months in one file each, so that a question about a year opens 12 files and not 365."""

# No `from __future__ import annotations`: Dagster looks at the annotations of the assets' contexts.
import dagster as dg

from media_pipeline.ownership import ANALYSTS
from media_pipeline.resources.failures import explained
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.compaction import LEASE, Done, compact_all
from media_pipeline.tables.months import COMPACTED

JOB = "compact_months"
CRON = "20 7 * * *"
"""After the night's export and the marts."""
MAX_RUNTIME_SECONDS = 3600


@dg.asset(
    group_name="compaction",
    kinds={"parquet"},
    owners=[ANALYSTS],
    deps=[dg.AssetDep(table) for table in COMPACTED],
    retry_policy=dg.RetryPolicy(max_retries=2, delay=30),
)
def compacted_months(context: dg.AssetExecutionContext, media: MediaResource) -> dg.MaterializeResult:
    """Months that are over, one Parquet file for each table and month: copies, which `media-pipeline sql` reads instead
    of the days' files when a question is about all days.

    Source: the days' files of recording_inventory, recording_audio, diarized_transcripts, transcript_status,
    availability_report, storage_utilization, storage_quota and export_runs. Cadence: daily; only months whose days
    changed are written. Format: compacted/TABLE/YYYY-MM.parquet, the table's columns and `date`, without what was said.
    """
    with explained():
        lease = media.working_alone(LEASE, "Compacting months", context.run.run_id)
        done = dict(compact_all(media.store, lease.check))
    left_out = [f"{month} of {table}: {why}" for table, its in done.items() for month, why in its.left_out.items()]
    for each in left_out:
        context.log.warning(f"Left out {each}; questions read its days.")
    return dg.MaterializeResult(
        metadata={
            "months_written": sum(len(its.written) for its in done.values()),
            "months_kept": sum(len(its.kept) for its in done.values()),
            "months_removed": sum(len(its.removed) for its in done.values()),
            "months_left_out": len(left_out),
            "rows_written": sum(its.rows for its in done.values()),
            "months": dg.MetadataValue.md(_as_table(done)),
        }
    )


def _as_table(done: dict[str, Done]) -> str:
    lines = ["| table | written | kept | removed | left out |", "|---|---|---|---|---|"]
    for table, its in done.items():
        cells = (len(each) for each in (its.written, its.kept, its.removed, its.left_out))
        lines.append(f"| {table} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


compaction_job = dg.define_asset_job(
    JOB,
    selection=dg.AssetSelection.assets(compacted_months),
    description="Write the months that are over in one file a table, where their days changed.",
    tags={"dagster/max_runtime": str(MAX_RUNTIME_SECONDS)},
)

compaction_schedule = dg.ScheduleDefinition(
    name=f"{JOB}_schedule",
    job=compaction_job,
    cron_schedule=CRON,
    execution_timezone="UTC",
    description="Keeps questions about long times quick; without a month that changed it costs seconds.",
)
