"""The dbt project as Dagster assets: staging and marts, their tests as asset checks."""

# No `from __future__ import annotations`: Dagster looks at the annotations of the assets' contexts.
import importlib.metadata
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
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
from pydantic import Field

from media_pipeline.ownership import ANALYSTS
from media_pipeline.reports.built import told
from media_pipeline.reports.places import DATABASE, DATABASE_KEY
from media_pipeline.reports.publishing import publish
from media_pipeline.resources.failures import explained
from media_pipeline.resources.media import MediaResource
from media_pipeline.settings import environment_of_children
from media_pipeline.storage.base import ObjectStore, Stat

LEFTOVER_SECONDS = 7 * 24 * 3600
"""Logs of failed builds are kept this long."""

SENTENCES = {
    "unique": "No two rows have the same {column_name}.",
    "unique_key": "No two rows have the same values in: {columns}.",
    "not_null": "Every row has a value in {column_name}.",
    "never_null": "Every row has a value in each of: {columns}.",
    "accepted_values": "Where {column_name} has a value, it is one of: {values}.",
    "relationships": "Every {column_name} is a {field} of {to} too.",
}
"""What the kinds of tests say of the rows they look at."""


class Dbt(DbtCliResource):
    """dbt's command line."""

    @cached_property
    def _cli_version(self) -> Version:
        """dagster-dbt would run `dbt --version`: 3 s, and a question to a package index in every run."""
        return Version(importlib.metadata.version("dbt-core"))


class Build(dg.Config):
    """How the marts are built."""

    full_refresh: bool = Field(False, description="Take in all days anew, not only those that changed since.")


class Translator(DagsterDbtTranslator):
    """Groups marts and what they are made of, staging, both the analysts'; marts are Parquet files too."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        if not unique_id.startswith("model."):
            return spec
        folder = self.get_resource_props(manifest, unique_id)["fqn"][1]
        kinds = {"dbt", "duckdb"} | ({"parquet"} if folder == "marts" else set())
        group = "marts" if folder == "marts" else "staging"
        return spec.replace_attributes(group_name=group, kinds=kinds, owners=[ANALYSTS])

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """With a description of every test: dagster-dbt only takes one from the test's `meta`."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None or spec.description:
            return spec
        return spec._replace(description=_described(self.get_resource_props(manifest, unique_id)))


def _described(test: Mapping[str, Any]) -> str | None:
    """The test's own description, or a sentence made of its kind and arguments; None for an unknown kind."""
    used = test.get("test_metadata") or {"name": "", "kwargs": {}}
    arguments = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else re.sub(r"ref\('(\w+)'\)", r"\1", str(value))
        for name, value in used["kwargs"].items()
    }
    sentence = SENTENCES.get(used["name"])
    return test.get("description") or (sentence.format_map(arguments) if sentence else None)


def marts_assets(manifest: Path, retry: dg.RetryPolicy | None) -> dg.AssetsDefinition:
    """All models of the project as one step."""

    # raw.days and availability_report are two views of one asset's files, as are the inventory and its notes
    translator = Translator(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))

    @dbt_assets(manifest=manifest, dagster_dbt_translator=translator, name="dbt_reports", retry_policy=retry)
    def dbt_reports(context: dg.AssetExecutionContext, config: Build, dbt: Dbt, media: MediaResource) -> Iterator[Any]:
        """dbt builds into a copy of the database, which is published when every test has passed.

        DuckDB lets one process write a file and none while another reads it: an analyst who has the published file open
        would stop the build.
        """
        run_id = context.run.run_id
        with explained(), working_folder(Path(media.spool), run_id) as folder:
            lease = media.working_alone("marts", "The marts", run_id)
            database = folder / DATABASE
            fetched = _fetch(media.store, database)
            if fetched is None and context.is_subset:
                raise dg.Failure(
                    f"There is no {media.store.url}/{DATABASE_KEY} yet to take the other models from: materialize all "
                    "of staging and marts once, with the job dbt_reports_build.",
                    allow_retries=False,
                )
            # a unit test looks at SQL, not at data: it can say nothing here that it did not say in CI
            command = ["build", "--exclude-resource-type", "unit_test"]
            with environment_of_children(
                MEDIA_ROOT=media.root, MEDIA_SPOOL=media.spool, MEDIA_REPORTS_DB=str(database)
            ):
                build = dbt.cli(
                    [*command, *(["--full-refresh"] if config.full_refresh else [])],
                    context=context,
                    target_path=folder / "target",
                )
            yield from told(build, database, folder / "target")
            lease.check()
            with _nobody_writes(media.store):
                if _published(media.store) != fetched:
                    raise dg.Failure(
                        f"{media.store.url}/{DATABASE_KEY} was written by a build by hand while this run built from a "
                        "copy of it: it stays as it is. Run this again."
                    )
                media.store.remove(f"{DATABASE_KEY}.wal")  # of a build by hand that was killed
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


def _fetch(store: ObjectStore, database: Path) -> Stat | None:
    """Copy the published database, which knows the days that were built; its stat, None when there is none."""
    with _nobody_writes(store):
        stat = _published(store)
        published = store.open(DATABASE_KEY)
        if published is None:
            return None
        with published, database.open("wb") as file:
            shutil.copyfileobj(published, file, 1024 * 1024)
    return stat


def _published(store: ObjectStore) -> Stat | None:
    """Size and time of the published database: others when somebody wrote it."""
    found = store.version(DATABASE_KEY)
    if found is None:
        return None
    with closing(found):
        return found.stat


@contextmanager
def _nobody_writes(store: ObjectStore) -> Iterator[None]:
    """Keep a build by hand, which writes the published file itself, from doing so, and see that none is under way."""
    path = Path(store.url) / DATABASE_KEY
    if "://" in store.url or not path.exists():
        yield
        return
    import duckdb

    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise dg.Failure(
            f"{path} cannot be opened ({str(error).splitlines()[0]}): wait for whoever builds the marts by hand; "
            "a broken file may be removed, then all days are built anew."
        ) from error
    with connection:
        yield
