"""incomplete_days: runs finished days again that are missing, failed or not complete, three times at most, with waits.

It reads the Dagster instance and the store only. A day an operator cancelled is left alone until someone runs it again.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import dagster as dg

from media_pipeline.resources.media import MediaResource
from media_pipeline.sensors.days import (
    ATTEMPT_TAG,
    ATTEMPT_WAITS_SECONDS,
    MAX_ATTEMPTS,
    MAX_RUNS_PER_TICK,
    Day,
    due_days,
    ended_at,
    looked_at,
)
from media_pipeline.tables.completeness import judge_day
from media_pipeline.tables.deadlines import soonest_deletions
from media_pipeline.tables.partition import Tables

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

NAME = "incomplete_days"
NEAR = dt.timedelta(days=7)
_GIVEN_UP = "given up after "
"""In the cursor, before the newest run's id."""


def incomplete_days_sensor(
    job: UnresolvedAssetJobDefinition, start_date: dt.date, lookback_days: int
) -> dg.SensorDefinition:
    """The sensor, for days from `start_date` on and not older than `lookback_days`."""

    @dg.sensor(
        name=NAME,
        job=job,
        minimum_interval_seconds=30,
        description=(
            f"Runs days of the last {lookback_days} again that are missing, failed or incomplete; at most "
            f"{MAX_RUNS_PER_TICK} a tick and {MAX_ATTEMPTS} attempts a day, the second 15 minutes after the first one "
            "failed, the third 2 hours later. Cancelled days are left alone."
        ),
    )
    def incomplete_days(context: dg.SensorEvaluationContext, media: MediaResource) -> dg.SensorResult:
        known: dict[str, str] = json.loads(context.cursor or "{}")
        days = due_days(dt.datetime.now(dt.UTC), start_date, lookback_days)
        settled: dict[str, str] = {}
        requests: list[dg.RunRequest] = []
        remarks: list[str] = []
        given_up: list[str] = []
        for day in looked_at(context.instance, _dying_first(media.tables, days, dt.datetime.now(dt.UTC))):
            key = str(day.day)
            if day.newest_run and known.get(key, "").removeprefix(_GIVEN_UP) == day.newest_run:
                settled[key] = known[key]  # judged since its newest run: nothing can have changed
                given_up += [key] if known[key].startswith(_GIVEN_UP) else []
            elif len(requests) >= MAX_RUNS_PER_TICK or day.under_way:
                continue
            elif day.cancelled:
                remarks.append(f"{key} was cancelled and is left alone; run it by hand to have it looked after again.")
            elif (due := _next_attempt(context.instance, day)) > dt.datetime.now(dt.UTC):
                remarks.append(f"{key} waits for its next attempt, which is due at {due:%Y-%m-%d %H:%M} UTC.")
            elif judge_day(media.tables, day.day).complete:
                settled[key] = day.newest_run
            elif day.failed_attempts >= MAX_ATTEMPTS:
                sentence = (
                    f"{key} is still not complete after {MAX_ATTEMPTS} attempts and is given up: see the check "
                    "day_complete of its last run, mend the cause and run it by hand."
                )
                context.log.info(sentence)  # run_failures tells people
                remarks.append(sentence)
                settled[key] = _GIVEN_UP + day.newest_run
            else:
                requests.append(_request(day))
        if given_up:
            remarks.append(f"Given up, to be run by hand: {', '.join(sorted(given_up))}.")
        reason = None if requests else " ".join(remarks) or "All days looked at are complete or under way."
        return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=json.dumps(settled, sort_keys=True))

    return incomplete_days


def _dying_first(tables: Tables, days: list[dt.date], now: dt.datetime) -> list[dt.date]:
    """Days of which the last sweep found something that is deleted within a week come first, the soonest in front.

    The others stay as they are, oldest first. Reads one file for each day that has deadlines at all.
    """
    near = {day: at for day, at in soonest_deletions(tables, days).items() if at - now < NEAR}
    return sorted(days, key=lambda day: (day not in near, near.get(day, now), day))


def _next_attempt(instance: dg.DagsterInstance, day: Day) -> dt.datetime:
    """When a day may be attempted again, in the past for one that has not failed yet, or has no attempt left."""
    failed = day.failed_attempts
    if not 0 < failed < MAX_ATTEMPTS:
        return dt.datetime.min.replace(tzinfo=dt.UTC)
    return dt.datetime.fromtimestamp(ended_at(instance, day.runs[0]) + ATTEMPT_WAITS_SECONDS[failed - 1], dt.UTC)


def _request(day: Day) -> dg.RunRequest:
    number = max(day.attempts, default=0) + 1
    return dg.RunRequest(
        run_key=f"{day.day}:{number}",  # a key without the attempt would be deduplicated for ever
        partition_key=str(day.day),
        tags={ATTEMPT_TAG: str(number)},
    )
