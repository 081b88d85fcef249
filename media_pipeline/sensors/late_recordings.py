"""late_recordings: runs exactly those exported days again whose listing has changed since.

Genesys Cloud documents up to 48 h until a recording is listed. The job relist_recent_days records what the source
lists; this sensor compares that with the inventory. It reads the Dagster instance and the store only. A day that
incomplete_days gave up before anything was listed is run again when the source lists it again.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import dagster as dg

from media_pipeline.partitions import recent_days
from media_pipeline.resources.media import MediaResource
from media_pipeline.sensors.days import LATE_TAG, MAX_ATTEMPTS, MAX_RUNS_PER_TICK, Day, ended_at, looked_at
from media_pipeline.tables.arrivals import TABLE, Difference, difference, never_exported
from media_pipeline.tables.inventory import TABLE as INVENTORY

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

NAME = "late_recordings"


def late_recordings_sensor(
    job: UnresolvedAssetJobDefinition, start_date: dt.date, lookback_days: int
) -> dg.SensorDefinition:
    """The sensor, for days from `start_date` on and not older than `lookback_days`."""

    @dg.sensor(
        name=NAME,
        job=job,
        minimum_interval_seconds=30,
        description=(
            "Runs exported days again whose listing has changed since: recordings that arrived late, became ready or "
            f"are gone. At most {MAX_RUNS_PER_TICK} runs a tick, {MAX_ATTEMPTS} for one change. Needs the schedule "
            "relist_recent_days_schedule."
        ),
    )
    def late_recordings(context: dg.SensorEvaluationContext, media: MediaResource) -> dg.SensorResult:
        listing = context.instance.get_latest_materialization_event(dg.AssetKey(TABLE))
        if listing is None:
            return dg.SensorResult(skip_reason="No day was listed again yet: see the job relist_recent_days.")
        known: dict[str, str] = json.loads(context.cursor or "{}")
        judged: dict[str, str] = {}
        requests: list[dg.RunRequest] = []
        remarks: list[str] = []
        for day in looked_at(context.instance, recent_days(dt.datetime.now(dt.UTC), start_date, lookback_days)):
            key, facts = str(day.day), f"{listing.run_id} {listing.timestamp} {day.newest_run}"
            if known.get(key) == facts:
                judged[key] = facts  # compared since its newest run and the newest listing: nothing can have changed
            elif day.under_way or len(requests) >= MAX_RUNS_PER_TICK:
                continue
            else:
                found = difference(media.tables, day.day)
                if found is None and _listed_since_given_up(context.instance, day, listing.timestamp):
                    found = never_exported(media.tables, day.day)
                verdict = _verdict(context.instance, day, found, listing.timestamp) if found else "unchanged"
                if verdict == "request" and found:
                    requests.append(_request(day, found))
                else:
                    judged[key] = facts
                    remarks += [verdict] if verdict != "unchanged" else []
        for request in requests:
            context.log.info(f"{request.partition_key} is exported again: {request.tags['media_pipeline/change']}.")
        reason = None if requests else " ".join(remarks) or "No exported day has changed since."
        return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=json.dumps(judged, sort_keys=True))

    return late_recordings


def _verdict(instance: dg.DagsterInstance, day: Day, found: Difference, listed_at: float) -> str:
    """`request`, `unchanged` (a newer run has listed the day itself), or why nothing is done."""
    if _listed_by_a_run_since(instance, day.day, listed_at):
        return "unchanged"
    if day.cancelled:
        return f"{day.day} was cancelled and is left alone, although its listing changed; run it by hand."
    if _attempts(day, found) >= MAX_ATTEMPTS:
        return (
            f"{found.sentence}, and {MAX_ATTEMPTS} runs did not take it in: see the last of them, mend the cause and "
            "run the day by hand."
        )
    return "request"


def _listed_since_given_up(instance: dg.DagsterInstance, day: Day, listed_at: float) -> bool:
    """Whether the listing is newer than the last run of a day that incomplete_days gave up: one run a listing."""
    return day.failed_attempts >= MAX_ATTEMPTS and ended_at(instance, day.runs[0]) < listed_at


def _listed_by_a_run_since(instance: dg.DagsterInstance, day: dt.date, timestamp: float) -> bool:
    newer = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(INVENTORY), asset_partitions=[str(day)], after_timestamp=timestamp),
        limit=1,
    )
    return bool(newer.records)


def _attempts(day: Day, found: Difference) -> int:
    keys = {run.tags.get("dagster/run_key") for run in day.runs if run.tags.get(LATE_TAG) == found.digest}
    return len(keys)


def _request(day: Day, found: Difference) -> dg.RunRequest:
    number = _attempts(day, found) + 1
    return dg.RunRequest(
        run_key=f"{day.day}:late:{found.digest}:{number}",  # a key without the attempt would be deduplicated for ever
        partition_key=str(day.day),
        tags={LATE_TAG: found.digest, "media_pipeline/change": found.sentence.partition(": ")[2]},
    )
