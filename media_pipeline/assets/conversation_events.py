"""conversation_events: what guests did in message conversations, as it happens.

Not partitioned, although its table is: a run of every minute is about no day, most bring nothing, and around midnight
one brings rows of two days. A partition each would cost a run and its events each; the table is the truth about days.
"""

import datetime as dt

import dagster as dg
from pydantic import Field

from media_pipeline.checks.events_gapless import EVENTS_GAPLESS, events_gapless_result
from media_pipeline.genesys.pacing import CallStats
from media_pipeline.messaging.events import TABLE, Drained, drain
from media_pipeline.metadata import calls, sample, schema_metadata
from media_pipeline.resources.failures import explained
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.runs import Costs, record_step

DRAIN_SECONDS = 45.0
"""The rest of 50 s is for the last rows."""
FAIL_WINDOW = dt.timedelta(minutes=30)


class ConversationEventsConfig(dg.Config):
    """Bounds of one run; the defaults are what the schedule takes."""

    seconds: float = Field(DRAIN_SECONDS, ge=10, le=3_600, description="How long events are read for at most.")


def conversation_events_asset() -> dg.AssetsDefinition:
    """The asset."""

    @dg.asset(
        group_name="messaging",
        kinds={"parquet", "python"},
        metadata=schema_metadata(TABLE),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=FAIL_WINDOW),
        check_specs=[
            dg.AssetCheckSpec(
                EVENTS_GAPLESS,
                asset=TABLE,
                description="The source still had everything since the last run, and all of it could be read.",
            )
        ],
    )
    def conversation_events(
        context: dg.AssetExecutionContext,
        config: ConversationEventsConfig,
        genesys: GenesysResource,
        media: MediaResource,
    ) -> dg.MaterializeResult:
        """What happened in message conversations since the last run, above all the files that guests sent.

        Source: the guides' event stream, or the published API's conversations with activity since.
        Table conversation_events by UTC day of the message (platform) or of receipt (guide), sorted by event id; each
        event id once, whatever is delivered twice. Runs every minute until nothing comes, 50 s at most. The position
        is published after the rows: a run that is killed loses nothing. A run without events leaves no file.
        """
        with explained():
            media.store.check_writable()
            lease = media.working_alone(TABLE, "The stream of conversation events", context.run.run_id)
            drained, session = Drained(), genesys.session
            before = session.stats.snapshot()
            try:
                drain(
                    session.source,
                    media.tables,
                    f"{TABLE}.{genesys.dialect}",
                    seconds=config.seconds,
                    still_ours=lease.check,
                    drained=drained,
                )
            finally:
                _record(media, context.run.run_id, drained, session.stats.since(before))
            return _result(media, drained, session.stats.since(before))

    return conversation_events


def _record(media: MediaResource, run_id: str, drained: Drained, stats: CallStats) -> None:
    """Into the audit log and the table of costs, where there is something to tell: 1,440 runs a day are many files."""
    tally, today = drained.tally, dt.datetime.now(dt.UTC).date()
    if not (drained.added or drained.unread or drained.differing or tally.gap):
        return
    audit = media.audit(today, run_id)
    for day, rows in sorted(drained.added.items()):
        audit.emit("events_received", day=str(day), rows=rows)
    if drained.unread or drained.differing:
        unread = {"malformed": tally.malformed, "too_large": tally.too_large, "differing": drained.differing}
        audit.emit("events_unread", **unread)
    if tally.gap:
        audit.emit("events_gap", what=tally.gap)
    record_step(media.tables, today, run_id, TABLE, Costs(), stats)


def _result(media: MediaResource, drained: Drained, stats: CallStats) -> dg.MaterializeResult:
    tally = drained.tally
    rows = [{"day": str(day), "rows_added": rows} for day, rows in sorted(drained.added.items())]
    counts = {
        "rows_added": drained.added.total(),
        "received": tally.received,
        "received_again": drained.duplicates,
        "same_id_other_content": drained.differing,
        "same_id_other_file": drained.renamed,
        "of_other_types": tally.other_types,
        "malformed": tally.malformed,
        "too_large": tally.too_large,
        "conversations_unreadable": tally.unreadable,
        "connections": tally.connections,
        "caught_up": tally.caught_up,
    }
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(f"{media.store.url}/tables/{TABLE}"),
            **counts,
            **({"days": sample(rows, ["day", "rows_added"])} if rows else {}),
            **calls(stats),
        },
        check_results=[events_gapless_result(drained.cursor, dt.datetime.now(dt.UTC))],
    )
