"""How an asset announces events of the archive: durable first, then to the callables of this deployment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from media_pipeline.notify.announcer import Announcer
from media_pipeline.notify.callbacks import Callbacks
from media_pipeline.notify.events import LISTED_AS, Event
from media_pipeline.resources.media import MediaResource
from media_pipeline.resources.webhooks import WebhooksResource

MAX_LOG_LINES = 20
"""Each line is an event of the run."""


@contextmanager
def announcing(
    context: dg.AssetExecutionContext,
    event_type: str,
    day: dt.date,
    media: MediaResource,
    webhooks: WebhooksResource,
    callbacks: Callbacks,
) -> Iterator[Announcer | None]:
    """An announcer for one type of event, None when there is nobody to tell; leaving the context hands over the rest.

    After an error nothing more is handed over: the next run of the day announces it.
    """
    if not webhooks.urls.strip() and not callbacks.hear(event_type):
        yield None
        return
    lines = 0

    def told(event: Event) -> None:
        nonlocal lines
        if event.type not in LISTED_AS:
            lines += 1
            if lines <= MAX_LOG_LINES:
                context.log.info(f"Announced {event.type} {event.id} (correlation id {event.correlation_id}).")
        callbacks.tell(event, warn)

    def warn(sentence: str) -> None:
        nonlocal lines
        lines += 1
        if lines <= MAX_LOG_LINES:
            context.log.warning(sentence)

    announcer = Announcer(
        media.store, day, context.run.run_id, event_type, posted=bool(webhooks.urls.strip()), told=told
    )
    yield announcer
    announcer.close()
    if lines > MAX_LOG_LINES:
        context.log.info(f"{lines - MAX_LOG_LINES} more lines about {event_type} are left out.")
