"""archive_drift: notices files under audio/ that were added, changed or removed outside a run.

Each tick compares a few days with their tables, in turn. Findings go to the audit log of their day, turn the checks
archive_intact and day_complete red with the names, and are told once. Nothing is repaired: whoever did it may have
had a reason.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg

from media_pipeline.audit.log import AuditLog
from media_pipeline.checks.archive_intact import ARCHIVE_INTACT, TO_DO, RedDay, archive_intact_facts
from media_pipeline.checks.day_complete import DAY_COMPLETE, day_complete_result
from media_pipeline.escaping import printable
from media_pipeline.notify.outbox import Outbox
from media_pipeline.resources.media import MediaResource
from media_pipeline.resources.webhooks import WebhooksResource
from media_pipeline.sensors.days import looked_at
from media_pipeline.tables.drift import Drift, days_with_objects, find_drift

NAME = "archive_drift"
DAYS_PER_TICK = 5
MAX_SECONDS = 20.0
"""No further day is begun after this long: a tick dies after 60 s, and reading rewritten objects takes its time."""
MAX_AUDITED = 1_000
_INTACT = dg.AssetCheckKey(dg.AssetKey("recording_audio"), ARCHIVE_INTACT)


def archive_drift_sensor() -> dg.SensorDefinition:
    """The sensor."""

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=60,
        description=(
            f"Compares the objects of {DAYS_PER_TICK} days a tick with the tables, in turn; files added, changed or "
            "removed outside a run are audited, told once, and turn archive_intact and day_complete red."
        ),
    )
    def archive_drift(
        context: dg.SensorEvaluationContext, media: MediaResource, webhooks: WebhooksResource
    ) -> dg.SensorResult:
        memory = json.loads(context.cursor or "{}")
        watch = _Watch(context, media, webhooks, memory)
        turn = _turn(days_with_objects(media.store), memory.get("last", ""), set(watch.red))
        last, said, deadline = memory.get("last", ""), [], time.monotonic() + MAX_SECONDS
        for day in looked_at(context.instance, turn):
            if time.monotonic() > deadline:
                break
            if str(day.day) not in memory.get("red", {}):
                last = str(day.day)
            if day.under_way:
                said.append(f"{day.day}: a run is at work")
                continue
            drift = find_drift(media.tables, day.day)
            watch.settle(drift)
            said.append(f"{day.day}: {drift.summary}")
        watch.report_archive()
        for problem in watch.outbox.problems:
            context.log.warning(f"A message was not delivered and will be sent again: {problem}.")
        return dg.SensorResult(
            asset_events=watch.events,
            skip_reason="; ".join(said) or "No day has objects yet.",
            cursor=json.dumps({"last": last} | watch.dump()),
        )

    return archive_drift


def _turn(days: list[dt.date], last: str, red: set[str]) -> list[dt.date]:
    """Red days first, so that a mended one turns green soon; then the next ones in turn."""
    again = [day for day in days if str(day) in red]
    later = [day for day in days if str(day) > last and str(day) not in red]
    rest = [day for day in days if str(day) <= last and str(day) not in red]
    return again + (later + rest)[:DAYS_PER_TICK]


class _Watch:
    """The red days, and what follows when they change."""

    def __init__(
        self,
        context: dg.SensorEvaluationContext,
        media: MediaResource,
        webhooks: WebhooksResource,
        memory: dict[str, Any],
    ) -> None:
        self._context, self._media, self._webhooks = context, media, webhooks
        self.red = {day: RedDay(**found) for day, found in memory.get("red", {}).items()}
        self._known: dict[str, str] = memory.get("known", {})
        self.outbox = Outbox(memory.get("told", {}), webhooks.receivers)
        self.events: list[dg.AssetCheckEvaluation] = []

    def settle(self, drift: Drift) -> None:
        """Take in what a comparison found."""
        day = str(drift.day)
        if not drift:
            if self.red.pop(day, None) is not None:
                self._known.pop(day, None)
                self.outbox.forget(_subject(day))
                self._report_day(drift.day)
            return
        found, state = RedDay.of(drift), _digest(drift)
        self.red[day] = found
        if self._known.get(day) != state:
            self._known[day] = state
            self._audit(drift)
            if drift.removed or drift.changed:
                self._report_day(drift.day, found)
        text = f"{day}: {found.summary} under audio/ outside a run: {found.names}. {TO_DO}"
        message = {"event": NAME, "date": day, "text": text, "files": found.files, "summary": found.summary}
        self.outbox.tell(_subject(day), state, message, self._context.log.error)

    def report_archive(self) -> None:
        """Report archive_intact, unless its last evaluation says the same."""
        facts = archive_intact_facts(self.red)
        history = self._context.instance.event_log_storage.get_asset_check_execution_history(_INTACT, limit=10)
        said = [sentence for record in history if (sentence := _said(record.event)) is not None]
        if said[:1] != [facts["description"]]:
            self.events.append(dg.AssetCheckEvaluation(asset_key=_INTACT.asset_key, check_name=_INTACT.name, **facts))

    def dump(self) -> dict[str, Any]:
        """What is kept until the next tick."""
        red = {day: asdict(found) for day, found in self.red.items()}
        return {"red": red, "known": self._known, "told": self.outbox.dump()}

    def _report_day(self, day: dt.date, found: RedDay | None = None) -> None:
        result = day_complete_result(self._media.tables, day)
        description = result.description or ""
        if found is not None:
            description += f" Outside a run: {found.names}."
        self.events.append(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("availability_report"),
                check_name=DAY_COMPLETE,
                passed=result.passed and (found is None),
                description=description,
                metadata=result.metadata,
                blocking=True,
            )
        )

    def _audit(self, drift: Drift) -> None:
        moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        log = AuditLog(self._media.store, Path(self._media.spool), drift.day, f"{NAME}-{moment}")
        try:
            for kind, key in islice(drift.items(), MAX_AUDITED):
                log.emit(f"object_{kind}", key=printable(key))
            log.emit("archive_compared", objects=drift.objects, summary=drift.summary)
        finally:
            log.close()


def _subject(day: str) -> str:
    return f"{NAME} {day}"


def _digest(drift: Drift) -> str:
    return hashlib.blake2b(json.dumps(list(drift.items())).encode(), digest_size=8).hexdigest()


def _said(entry: dg.EventLogEntry | None) -> str | None:
    """The sentence of an evaluation; None for one that is only planned."""
    event = entry.dagster_event if entry is not None else None
    if event is None or event.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return None
    return event.asset_check_evaluation_data.description or ""
