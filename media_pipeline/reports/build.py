"""Assembles the code location `reports` from settings; tests and deployments override resources here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from media_pipeline.reports.compaction import compacted_months, compaction_job, compaction_schedule
from media_pipeline.reports.manifest import dbt_executable, fresh_manifest
from media_pipeline.reports.places import PROJECT, absolute_root
from media_pipeline.reports.schedule import marts_schedule
from media_pipeline.reports.sensor import marts_after_complete_day_sensor
from media_pipeline.resources.media import MediaResource
from media_pipeline.settings import Settings

JOB = "dbt_reports_build"
MAX_RUNTIME_SECONDS = 3600
"""A hung build dies after this long."""
BAD_PATCH = dg.RetryPolicy(max_retries=1, delay=30)
"""A day that is exported again while dbt reads it may fail a test once."""


def build_reports(
    settings: Settings | None = None,
    *,
    resources: Mapping[str, object] | None = None,
    retry: dg.RetryPolicy | None = BAD_PATCH,
) -> dg.Definitions:
    """Definitions for the given settings (default: the environment's); raises ConfigurationError without dbt."""
    settings = settings or Settings.load()
    manifest = fresh_manifest()  # says so in a sentence when dbt is not there: before anything imports it

    from media_pipeline.reports.marts import Dbt, marts_assets

    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.groups("staging", "marts"),
        description="Take the days that changed since into all marts, test them, publish them.",
        tags={"dagster/max_runtime": str(MAX_RUNTIME_SECONDS)},
    )
    own = {
        "dbt": Dbt(project_dir=str(PROJECT), profiles_dir=str(PROJECT), dbt_executable=str(dbt_executable())),
        "media": MediaResource(
            root=absolute_root(settings, Path.cwd()), spool=str(settings.spool.expanduser().absolute())
        ),
    }
    return dg.Definitions(
        assets=[marts_assets(manifest, retry), compacted_months],
        jobs=[job, compaction_job],
        schedules=[marts_schedule(job), compaction_schedule],
        sensors=[marts_after_complete_day_sensor(job)],
        resources={**own, **(resources or {})},
        executor=dg.in_process_executor,  # dbt is one step
    )
