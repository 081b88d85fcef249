"""daily_export: one run exports one day, in one process, with threads inside the assets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

DAILY_EXPORT = "daily_export"
MAX_RUNTIME_SECONDS = 6 * 3600
"""A hung run dies after this long and is repeated; the longest honest day (100,000 calls at 5 a second) takes 5.6 h."""


def daily_export_job() -> UnresolvedAssetJobDefinition:
    """All assets of the groups recordings and reports."""
    return dg.define_asset_job(
        DAILY_EXPORT,
        selection=dg.AssetSelection.groups("recordings", "reports"),
        description="Export one finished day: list, download and verify, fetch transcripts, write the reports.",
        tags={"dagster/max_runtime": str(MAX_RUNTIME_SECONDS)},
    )
