"""Evaluates sensors as Dagster's daemon does, over a real instance and real runs, tick by tick."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg

from media_pipeline.build import build_definitions
from media_pipeline_tests.harness import NO_RETRY, Org, resources_for, settings_for

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Daemon:
    """The definitions of one deployment, with its instance."""

    def __init__(self, org: Org, folder: Path, instance: dg.DagsterInstance, **changes: Any) -> None:
        settings = settings_for(org.url, folder, **changes)
        self.instance = instance
        self.definitions = build_definitions(settings, resources=resources_for(settings), retry=NO_RETRY)
        self.repository = self.definitions.get_repository_def()

    def sensor(self, name: str) -> Ticking:
        """One of its sensors."""
        return Ticking(self, name)

    def run(self, job: str = "daily_export", day: dt.date | str | None = None, **tags: str) -> bool:
        """A run of a job, as if launched by hand; whether it succeeded."""
        result = self.definitions.resolve_job_def(job).execute_in_process(
            partition_key=None if day is None else str(day),
            instance=self.instance,
            tags=tags,
            raise_on_error=False,
            run_config=QUIET,
        )
        return result.success

    def relist(self) -> None:
        """The scheduled job that lists the look-back again."""
        assert self.run("relist_recent_days")


class Ticking:
    """A sensor with its cursor."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        self.daemon, self.name = daemon, name
        self.instance, self.run_day = daemon.instance, daemon.run
        self.definition = daemon.definitions.resolve_sensor_def(name)
        needed = self.definition.required_resource_keys
        self.resources = {key: daemon.definitions.resources[key] for key in needed}
        self.job = daemon.definitions.resolve_job_def("daily_export")
        self.cursor: str | None = None
        self.last: dg.SensorResult | None = None

    def tick(self) -> list[dg.RunRequest]:
        """Evaluate once; events it reports go to the instance, requests are returned and not run."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.daemon.repository,
            resources=self.resources,
        ) as context:
            self.last = self.definition(context)
        self.cursor = self.last.cursor
        for event in self.last.asset_events or ():
            self.instance.report_runless_asset_event(event)
        return list(self.last.run_requests or ())

    @property
    def said(self) -> str:
        """The last tick's remark."""
        reason = self.last.skip_reason if self.last else None
        return str(reason.skip_message if isinstance(reason, dg.SkipReason) else reason)

    def run(self, request: dg.RunRequest) -> bool:
        """Execute what was requested."""
        tags = {**request.tags, "dagster/sensor_name": self.name, "dagster/run_key": str(request.run_key)}
        return self.daemon.run(day=request.partition_key, **tags)

    def until_quiet(self, ticks: int = 20) -> list[str]:
        """Run all that is requested until nothing is; the run keys in order."""
        keys = []
        for _ in range(ticks):
            requests = self.tick()
            if not requests:
                return keys
            for request in requests:
                keys.append(str(request.run_key))
                self.run(request)
        raise AssertionError(f"{self.name} never came to rest")
