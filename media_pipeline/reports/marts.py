"""The dbt project as Dagster assets: staging and marts, their tests as asset checks."""

# No `from __future__ import annotations`: Dagster looks at the annotations of the assets' contexts.
import importlib.metadata
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)
from packaging.version import Version

from media_pipeline.reports.places import DATABASE, DATABASE_KEY
from media_pipeline.reports.publishing import publish
from media_pipeline.resources.failures import explained
from media_pipeline.resources.media import MediaResource
from media_pipeline.settings import environment_of_children
from media_pipeline.storage.base import ObjectStore

LEFTOVER_SECONDS = 7 * 24 * 3600
"""Logs of failed builds are kept this long."""


class Dbt(DbtCliResource):
    """dbt's command line."""

    @cached_property
    def _cli_version(self) -> Version:
        """dagster-dbt would run `dbt --version`: 3 s, and a question to a package index in every run."""
        return Version(importlib.metadata.version("dbt-core"))


class Translator(DagsterDbtTranslator):
    """Groups by folder, staging and marts; marts are Parquet files too."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        if not unique_id.startswith("model."):
            return spec
        folder = self.get_resource_props(manifest, unique_id)["fqn"][1]
        kinds = {"dbt", "duckdb"} | ({"parquet"} if folder == "marts" else set())
        return spec.replace_attributes(group_name=folder, kinds=kinds)


def marts_assets(manifest: Path, retry: dg.RetryPolicy | None) -> dg.AssetsDefinition:
    """All models of the project as one step."""

    # exported_days and availability_report are two views of one asset's files
    translator = Translator(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))

    @dbt_assets(manifest=manifest, dagster_dbt_translator=translator, name="dbt_reports", retry_policy=retry)
    def dbt_reports(context: dg.AssetExecutionContext, dbt: Dbt, media: MediaResource) -> Iterator[Any]:
        """dbt builds into a file of its own, which is published when every test has passed.

        DuckDB lets one process write a file and none while another reads it: an analyst who has the published file open
        would stop the build.
        """
        with explained(), working_folder(Path(media.spool), context.run.run_id) as folder:
            database = folder / DATABASE
            if context.is_subset:  # the models that are not built now are taken from the last build
                _fetch(media.store, database)
            with environment_of_children(
                MEDIA_ROOT=media.root, MEDIA_SPOOL=media.spool, MEDIA_REPORTS_DB=str(database)
            ):
                build = dbt.cli(["build"], context=context, target_path=folder / "target")
            yield from build.stream()
            size = publish(media.store, database, DATABASE_KEY)
            context.log.info(f"Published {media.store.url}/{DATABASE_KEY}, {size:,} bytes.")

    return dbt_reports


@contextmanager
def working_folder(spool: Path, run_id: str) -> Iterator[Path]:
    """A folder for one build; after a failure dbt's logs stay there for a week."""
    parent = spool / "reports"
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in parent.iterdir():
        if old.is_dir() and old.stat().st_mtime < time.time() - LEFTOVER_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    folder = parent / run_id
    shutil.rmtree(folder, ignore_errors=True)  # of this run's first try
    folder.mkdir()
    try:
        yield folder
    except BaseException:
        (folder / DATABASE).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    shutil.rmtree(folder)


def _fetch(store: ObjectStore, database: Path) -> None:
    published = store.open(DATABASE_KEY)
    if published is None:
        raise dg.Failure(
            f"There is no {store.url}/{DATABASE_KEY} yet to take the other models from: materialize all of staging and "
            "marts once, with the job dbt_reports_build.",
            allow_retries=False,
        )
    with published, database.open("wb") as file:
        shutil.copyfileobj(published, file, 1024 * 1024)
