"""voice_messages: what waits in the inbox goes to the guests, each message once at most."""

import datetime as dt
from pathlib import Path

import dagster as dg

from media_pipeline.assets.step import working
from media_pipeline.checks.voice_messages_settled import VOICE_MESSAGES_SETTLED, voice_messages_settled_result
from media_pipeline.messaging.inbox import Inbox
from media_pipeline.messaging.voice_run import VoiceRun
from media_pipeline.messaging.voice_state import TABLE
from media_pipeline.messaging.voice_table import VoiceTable
from media_pipeline.metadata import calls, schema_metadata, written
from media_pipeline.partitions import messaging_partitions, partition_day
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.storage.lease import Lease, LeaseHeld
from media_pipeline.tables.paths import work_lease_key

WAIT_SECONDS = 5.0
"""For another run: the next minute's goes on where it ends."""


def voice_messages_asset(start_date: dt.date) -> dg.AssetsDefinition:
    """The asset; it has no retry policy, as the next minute's run is the retry."""

    @dg.asset(
        partitions_def=messaging_partitions(start_date),
        group_name="messaging",
        kinds={"parquet", "python"},
        metadata=schema_metadata(TABLE),
        check_specs=[
            dg.AssetCheckSpec(
                VOICE_MESSAGES_SETTLED,
                asset=TABLE,
                description="No voice message of the last week is in doubt or failed; names those that are.",
            )
        ],
    )
    def voice_messages(
        context: dg.AssetExecutionContext, genesys: GenesysResource, media: MediaResource
    ) -> dg.MaterializeResult:
        """Voice messages from the inbox to guests: judged by their bytes, uploaded, sent, and told of.

        Source: MEDIA_INBOX, pairs of audio (MP3, WAV, Ogg; at most 60 s) and JSON. Table voice_messages by UTC day of
        receipt, sorted by message key, merged with what is there. Nothing is sent without MEDIA_ALLOW_WRITE_BACK=1.
        What may have been sent and was not confirmed is looked up (published API) or is for a person (guides).
        """
        day, today = partition_day(context), dt.datetime.now(dt.UTC).date()
        lease = Lease(media.store, work_lease_key(TABLE), "The inbox of voice messages", context.run.run_id)
        with working(context, TABLE, genesys, media, day=day) as step:
            if media.voice_inbox is None:
                return _nothing(media, day, today, "MEDIA_INBOX is no folder: no voice message can wait there.")
            try:
                lease.acquire(WAIT_SECONDS)
            except LeaseHeld as held:
                return _nothing(media, day, today, str(held))
            try:
                run = VoiceRun(
                    media.tables,
                    Inbox(media.voice_inbox),
                    step.session.source.voices,
                    day,
                    first=start_date,
                    allowed=genesys.allow_write_back,
                    spool=Path(media.spool),
                    emit=step.audit.emit,
                    still_ours=lease.check,
                    threads=media.concurrency,
                )
                tally = run.run()
            finally:
                lease.release()
            counts = {f"messages_{status}": number for status, number in sorted(tally.statuses.items()) if number}
            return dg.MaterializeResult(
                metadata=counts
                | {
                    "seen_again": tally.again,
                    "incomplete_files": tally.incomplete,
                    "left_for_the_next_run": tally.left,
                    "audio_removed_after_a_week": tally.expired,
                }
                | written(media.tables, TABLE, day, tally.rows)
                | calls(step.stats),
                check_results=[voice_messages_settled_result(tally.troubled)],
            )

    return voice_messages


def _nothing(media: MediaResource, day: dt.date, today: dt.date, why: str) -> dg.MaterializeResult:
    """A run that changes nothing, and says why; a day without a file gets an empty one."""
    table = VoiceTable(media.tables, day, today)
    if media.voice_inbox is None:
        table.save()
    return dg.MaterializeResult(
        metadata={"skipped": why}, check_results=[voice_messages_settled_result(table.troubled())]
    )
