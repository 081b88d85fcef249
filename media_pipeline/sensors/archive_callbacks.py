"""archive_callbacks: takes events of the archive to MEDIA_WEBHOOKS, and announces days whose run was killed before.

It reads the outbox under MEDIA_ROOT and the queue in MEDIA_SPOOL; the cursor is not used. A tick ends in time however
slow receivers are; what is left is the next tick's.
"""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg

from media_pipeline.genesys.redaction import redact
from media_pipeline.notify.announcer import Announcer
from media_pipeline.notify.callbacks import Callbacks
from media_pipeline.notify.completed_days import announce_day, broken_off_checks, end_check
from media_pipeline.notify.delivery import Deliverer, Outcome
from media_pipeline.notify.events import DAY_COMPLETED, Event
from media_pipeline.notify.queue import Queue
from media_pipeline.resources.media import MediaResource
from media_pipeline.resources.webhooks import WebhooksResource
from media_pipeline.tables.completeness import judge_day

NAME = "archive_callbacks"
DELIVERY_SECONDS = 30.0
"""No request is begun after this long in a tick, and one takes 10 s at most: a tick dies after 60 s."""
BROKEN_OFF_SECONDS = 600.0
"""A report is written and judged within this time; a check that takes longer was killed."""


def archive_callbacks_sensor() -> dg.SensorDefinition:
    """The sensor."""

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=30,
        description=(
            "Delivers events of the archive (metadata_parsed, metadata_annotated, day_completed, "
            "recording_quarantined) to MEDIA_WEBHOOKS: signed, retried for three days, at least once. "
            "media-pipeline callbacks lists what is pending or dead."
        ),
    )
    def archive_callbacks(
        context: dg.SensorEvaluationContext,
        media: MediaResource,
        webhooks: WebhooksResource,
        callbacks: dg.ResourceParam[Callbacks],
    ) -> dg.SensorResult:
        receivers = webhooks.receivers
        if not receivers and not callbacks.hear(DAY_COMPLETED):
            return dg.SensorResult(skip_reason="Nobody is to be told: MEDIA_WEBHOOKS is not set.")
        deadline = time.monotonic() + DELIVERY_SECONDS
        _announce_broken_off(context, media, callbacks, posted=bool(receivers))
        with Queue(Path(media.spool), media.store.url) as queue:
            outcome = Deliverer(media.store, queue, receivers).deliver(deadline - time.monotonic())
            counts = queue.counts()
        for problem, times in sorted(outcome.problems.items()):
            context.log.warning(f"Events were not delivered ({times}): {problem}.")
        if outcome.dead:
            context.log.error(
                f"{outcome.dead} event message(s) were given up. See: media-pipeline callbacks list; mend the "
                "receiver, then: media-pipeline callbacks retry --all."
            )
        return dg.SensorResult(skip_reason=_said(outcome, counts))

    return archive_callbacks


def _announce_broken_off(
    context: dg.SensorEvaluationContext, media: MediaResource, callbacks: Callbacks, *, posted: bool
) -> None:
    """A run that was killed between its report and its announcement: judge the day as it would have. One a tick.

    A day that cannot be judged waits for the next tick, and holds up neither another day nor what is to be delivered.
    """
    for day, run_id in broken_off_checks(media.store, time.time() - BROKEN_OFF_SECONDS):

        def told(event: Event) -> None:
            callbacks.tell(event, context.log.warning)

        try:
            announcer = Announcer(media.store, day, run_id, DAY_COMPLETED, posted=posted, told=told)
            announce_day(announcer, media.tables, judge_day(media.tables, day))
            announcer.close()
            end_check(media.store, day)
        except Exception as error:  # a damaged table, say: whatever it is, it would come back with every tick
            context.log.error(
                f"The check of {day} was broken off and cannot be made up for ({type(error).__name__}: "
                f"{redact(str(error))}). See: media-pipeline verify --date {day}."
            )
            continue
        context.log.info(f"The check of {day} was broken off and was made up for.")
        return


def _said(outcome: Outcome, counts: dict[str, int]) -> str:
    if outcome.busy:
        return "Another process is delivering."
    done = f"{outcome.delivered} delivered, {outcome.failed} not taken, {outcome.dead} given up"
    return f"{done}; pending {counts.get('pending', 0)}, dead {counts.get('dead', 0)}."
