"""RecordingExporter: the job daily_export in this process, for people without the Dagster UI."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import dagster as dg

from media_pipeline.archive import Archive
from media_pipeline.assets.progress import Progress
from media_pipeline.build import build_definitions
from media_pipeline.genesys.errors import NotFound
from media_pipeline.jobs import DAILY_EXPORT
from media_pipeline.notify.callbacks import Callback
from media_pipeline.resources.failures import first_cause
from media_pipeline.settings import Settings
from media_pipeline.storage.space import BYTES_PER_MB
from media_pipeline.tables.paths import days_to_export, newest_finished_day

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class ExportFailed(Exception):
    """A day could not be exported at all; the sentence says why and what to do."""


class RecordingExporter:
    """Exports finished days; run history goes to DAGSTER_HOME when it is set, else it is not kept."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        resources: Mapping[str, object] | None = None,
        callbacks: Mapping[str, Callback | Iterable[Callback]] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._settings = settings or Settings.load()
        overrides = {"progress": progress or Progress(), **(resources or {})}
        definitions = build_definitions(self._settings, resources=overrides, callbacks=callbacks)
        self._job = definitions.resolve_job_def(DAILY_EXPORT)

    def export_range(self, start: dt.date | str, end: dt.date | str) -> dict[str, Any]:
        """Export every day from `start` to `end`, both included, in order.

        Takes dates, ISO strings or datetimes (their UTC day; an end at midnight means the day before). Returns
        total_bytes (fetched), elapsed_seconds, throughput_mbps (MB of 10^6 bytes a second), days, recordings by
        status, kept (stored ones that were asked for again in vain), and complete. Raises ValueError for a range that
        is not made of finished days, ExportFailed when a day could not be exported at all.
        """
        first, last = _day(start), _day(end, is_end=True)
        return self._export(days_to_export(first, last, self._settings.start_date, newest_finished_day()), {})

    def export_recordings(self, recording_ids: list[str]) -> dict[str, Any]:
        """Export single recordings again, whatever they have: each in the run of its own day; see export_range."""
        by_day: dict[dt.date, list[str]] = {}
        for recording_id in recording_ids:
            by_day.setdefault(self._day_of(recording_id), []).append(recording_id)
        return self._export(sorted(by_day), by_day)

    def _export(self, days: list[dt.date], only: Mapping[dt.date, list[str]]) -> dict[str, Any]:
        total = {"days": len(days), "total_bytes": 0, "recordings": {}, "kept": 0, "complete": True}
        started = time.monotonic()
        with dg.DagsterInstance.get() if os.environ.get("DAGSTER_HOME") else dg.DagsterInstance.ephemeral() as instance:
            for day in days:
                facts, complete = self._run(day, only.get(day, []), instance)
                total["total_bytes"] += int(facts["fetched_bytes"])
                total["kept"] += int(facts["kept_as_stored"])
                total["complete"] &= complete
                for name, count in facts.items():
                    if name.startswith("recordings_") and count:
                        status = name.removeprefix("recordings_")
                        total["recordings"][status] = total["recordings"].get(status, 0) + int(count)
        seconds = time.monotonic() - started
        return total | {
            "elapsed_seconds": seconds,
            "throughput_mbps": total["total_bytes"] / BYTES_PER_MB / seconds if seconds > 0 else 0.0,
        }

    def _run(self, day: dt.date, only: list[str], instance: dg.DagsterInstance) -> tuple[dict[str, Any], bool]:
        limits = {"recordings": only, "refetch": "everything"} if only else {}
        result = self._job.execute_in_process(
            partition_key=str(day),
            instance=instance,
            raise_on_error=False,
            run_config=QUIET | {"ops": {"recording_audio": {"config": limits}}},
        )
        materialized = result.get_asset_materialization_events()
        audio = [event for event in materialized if event.asset_key == dg.AssetKey("recording_audio")]
        if not audio:
            raise ExportFailed(f"{day} could not be exported. {_why(result)}")
        metadata = audio[-1].step_materialization_data.materialization.metadata
        return {name: value.value for name, value in metadata.items() if hasattr(value, "value")}, result.success

    def _day_of(self, recording_id: str) -> dt.date:
        from media_pipeline.build import default_resources

        genesys = default_resources(self._settings)["genesys"]
        with dg.build_resources({"genesys": genesys}) as resources:
            try:
                return resources.genesys.session.source.day_of(recording_id)
            except NotFound:  # the published API cannot look an id up, but an earlier listing may know it
                day = Archive(self._settings).day_of(recording_id)
                if day is None:
                    raise
                return day


def _why(result: dg.ExecuteInProcessResult) -> str:
    causes = (first_cause(event) for event in result.all_events if event.is_step_failure)
    return next((cause for cause in causes if cause), "See the run's events for the cause.")


def _parsed(text: str) -> dt.date:
    for kind in (dt.date, dt.datetime):
        with suppress(ValueError):
            return kind.fromisoformat(text)
    raise ValueError(f"{text!r} is not a day such as 2026-11-20.")


def _day(value: dt.date | str, *, is_end: bool = False) -> dt.date:
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, dt.date):
        raise ValueError(f"{value!r} is neither a date nor a text such as 2026-11-20.")
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
        if is_end:
            moment -= dt.timedelta(microseconds=1)
        return moment.date()
    return value
