"""run_failures: one message per failed day to the log and to MEDIA_WEBHOOKS, when a person is needed.

A day that is going to be run again by itself is not told yet: by Dagster's run retries, or by incomplete_days while
that sensor is on and has attempts left. Nothing is told twice while nothing has changed.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import time
from dataclasses import dataclass

import dagster as dg

from media_pipeline.notify.outbox import Outbox
from media_pipeline.resources.failures import first_cause
from media_pipeline.resources.media import MediaResource
from media_pipeline.resources.webhooks import WebhooksResource
from media_pipeline.sensors.days import (
    MAX_ATTEMPTS,
    MAX_TICK_SECONDS,
    PARTITION_TAG,
    RUNS_LOOKED_AT,
    Day,
    due_days,
    exports_of,
    is_export,
    is_retried,
)
from media_pipeline.sensors.incomplete_days import NAME as INCOMPLETE_DAYS
from media_pipeline.tables.completeness import Verdict, judge_day
from media_pipeline.transfer.outcome import REASONS

NAME = "run_failures"
OVERLAP = dt.timedelta(minutes=1)
"""Runs may become visible a little after the time they carry; looking twice tells nobody twice."""
MAX_RECORDS = 200
SHOWN_ADVICE = 3


@dataclass(frozen=True, slots=True)
class Subject:
    """What failed: a day's export, or a job (with its day, if it has one)."""

    job: str
    day: str

    @classmethod
    def of(cls, run: dg.DagsterRun) -> Subject:
        return cls("" if is_export(run) else run.job_name, run.tags.get(PARTITION_TAG, ""))

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.job, self.day) if part) or "A run"


def run_failures_sensor(start_date: dt.date, lookback_days: int) -> dg.SensorDefinition:
    """The sensor; days from `start_date` on and not older than `lookback_days` may be healed by incomplete_days."""

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=30,
        description=(
            "Tells a person when a day has failed and nothing will run it again: which day, how many recordings by "
            "reason, what to do, the run. To the log and to MEDIA_WEBHOOKS; once per change."
        ),
    )
    def run_failures(
        context: dg.SensorEvaluationContext, media: MediaResource, webhooks: WebhooksResource
    ) -> dg.SensorResult:
        now = dt.datetime.now(dt.UTC)
        memory = json.loads(context.cursor or "{}")
        outbox = Outbox(memory.get("told", {}), webhooks.receivers)
        seen = memory.get("seen") or (now - dt.timedelta(days=lookback_days)).timestamp()
        subjects = {Subject(*entry): None for entry in memory.get("open", [])}
        since = dt.datetime.fromtimestamp(seen, dt.UTC) - OVERLAP
        failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
        for record in context.instance.get_run_records(
            failed, limit=MAX_RECORDS, order_by="update_timestamp", ascending=True
        ):
            subjects[Subject.of(record.dagster_run)] = None
            seen = max(seen, record.update_timestamp.timestamp())
        healed = due_days(now, start_date, lookback_days) if _is_on(context.instance, INCOMPLETE_DAYS) else []
        teller = _Teller(context, media, webhooks, outbox, {str(day) for day in healed})
        deadline = time.monotonic() + MAX_TICK_SECONDS
        waiting = [each for each in subjects if time.monotonic() > deadline or not teller.settle(each)]
        for problem in outbox.problems:
            context.log.warning(f"A message was not delivered and will be sent again: {problem}.")
        state = {"seen": seen, "open": [[each.job, each.day] for each in waiting], "told": outbox.dump()}
        said = f"{teller.told} message(s)." if teller.told else "Nothing new to tell."
        return dg.SensorResult(skip_reason=said, cursor=json.dumps(state))

    return run_failures


@dataclass(slots=True)
class _Teller:
    context: dg.SensorEvaluationContext
    media: MediaResource
    webhooks: WebhooksResource
    outbox: Outbox
    healed: set[str]
    """Days that incomplete_days looks after."""
    told: int = 0

    def settle(self, subject: Subject) -> bool:
        """Tell what there is to tell; False while that is not known or not delivered yet."""
        runs = _runs_of(self.context.instance, subject)
        if not runs or runs[0].status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED):
            self.outbox.forget(subject.name)
            return True
        if runs[0].status != dg.DagsterRunStatus.FAILURE or is_retried(self.context.instance, runs[0]):
            return False
        earlier = self.outbox.told(subject.name)
        if earlier is not None and _recovered_since(runs, earlier.run_id):
            self.outbox.forget(subject.name)
        message = self._message(subject, runs)
        if message is None:
            return False
        state = hashlib.blake2b(repr(message["state"]).encode(), digest_size=8).hexdigest()
        before = self.outbox.told(subject.name)
        self.told += before is None or before.state != state
        posted = {name: value for name, value in message.items() if name != "state"}
        return self.outbox.tell(subject.name, state, posted, self.context.log.error, runs[0].run_id)

    def _message(self, subject: Subject, runs: list[dg.DagsterRun]) -> dict[str, object] | None:
        """The message, None while incomplete_days is going to run the day again."""
        run = runs[0]
        cause = _cause(self.context.instance, run)
        facts: dict[str, object] = {
            "event": "run_failed" if subject.job else "day_failed",
            "job": run.job_name,
            "date": subject.day or None,
            "run_id": run.run_id,
            "run_url": self.webhooks.run_link(run.run_id),
        }
        if subject.job or not subject.day:
            text = f"{subject.name} failed. {cause or 'See the run for the cause.'} Run: {facts['run_url']}"
            return facts | {"text": text, "state": re.sub(r"\d+", "#", cause)}
        day = Day(dt.date.fromisoformat(subject.day), runs)
        try:
            verdict = judge_day(self.media.tables, day.day)
        except Exception as error:  # whatever is wrong with the store, the message must reach a person all the more
            verdict, cause = Verdict(day.day), cause or f"{type(error).__name__}: {error}"
            verdict.add("table that cannot be read")
        given_up = day.failed_attempts >= MAX_ATTEMPTS
        if subject.day in self.healed and not given_up and not verdict.complete:
            return None
        sentences = _sentences(day.day, verdict, cause, day.failed_attempts if given_up else 0)
        facts |= {
            "listed": verdict.listed,
            "stored": verdict.stored,
            "recordings": dict(sorted(verdict.problems.items())),
            "given_up": given_up,
            "text": " ".join([*sentences, f"Run: {facts['run_url']}"]),
        }
        # figures of a cause, such as free megabytes, are no change
        return facts | {"state": (sorted(verdict.problems.items()), re.sub(r"\d+", "#", cause), given_up)}


def _sentences(day: dt.date, verdict: Verdict, cause: str, attempts: int) -> list[str]:
    if verdict.complete:
        found = [f"The last run of {day} failed, although its tables are complete."]
    elif verdict.never_exported:
        found = [f"{day} was not exported."]
    else:
        found = [f"{day} is not complete: {verdict.summary}."]
    if attempts:
        found.append(f"It is given up after {attempts} attempts.")
    if cause:
        found.append(f"Cause: {cause}")
    advice = sorted({REASONS[reason][1] for reason in verdict.reasons if reason in REASONS})
    found += [f"To do: {' '.join(advice[:SHOWN_ADVICE])}"] if advice else []
    found.append("See the check day_complete, mend the cause and run the day again; what is stored is kept.")
    return found


def _runs_of(instance: dg.DagsterInstance, subject: Subject) -> list[dg.DagsterRun]:
    if not subject.job and subject.day:
        return exports_of(instance, subject.day)
    tags = {PARTITION_TAG: subject.day} if subject.day else {}
    filters = dg.RunsFilter(job_name=subject.job or None, tags=tags)
    runs = instance.get_runs(filters, limit=RUNS_LOOKED_AT)
    return [run for run in runs if Subject.of(run) == subject]


def _recovered_since(runs: list[dg.DagsterRun], told_run: str) -> bool:
    for run in runs:
        if run.run_id == told_run:
            return False
        if run.status == dg.DagsterRunStatus.SUCCESS:
            return True
    return False


def _cause(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The first failed step's sentence, or the run's own; empty when day_complete says it all."""
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for entry in failures:
        if entry.dagster_event is not None:
            cause = first_cause(entry.dagster_event) or ""
            return "" if "day_complete" in cause else cause
    ends = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return next((entry.dagster_event.message or "" for entry in ends if entry.dagster_event is not None), "")


def _is_on(instance: dg.DagsterInstance, sensor: str) -> bool:
    states = instance.all_instigator_state() if instance.schedule_storage is not None else []
    return any(state.instigator_name == sensor and state.is_running for state in states)
