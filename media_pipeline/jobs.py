"""The jobs: daily_export, interactions_daily and playback_daily (one run is one day, in one process),
relist_recent_days (lists only), verify_sample (reads the archive only), sweep_retention (reads the list of what the
source keeps), retention (deletes what is due), drain_conversation_events (what guests do, every minute) and messaging
(what they sent and what is sent to them, day by day)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

DAILY_EXPORT = "daily_export"
INTERACTIONS_DAILY = "interactions_daily"
PLAYBACK_DAILY = "playback_daily"
RELIST_RECENT_DAYS = "relist_recent_days"
VERIFY_SAMPLE = "verify_sample"
SWEEP_RETENTION = "sweep_retention"
DRAIN_CONVERSATION_EVENTS = "drain_conversation_events"
MESSAGING = "messaging"
RETENTION = "retention"
MAX_RUNTIME_SECONDS = 6 * 3600
"""A hung run dies after this long and is repeated; the longest honest day (100,000 calls at 5 a second) takes 5.6 h."""
MAX_RELIST_SECONDS = 2 * 3600
MAX_VERIFY_SECONDS = 3600
MAX_RETENTION_SECONDS = 10 * 60
"""A run works for 45 s, after waiting two minutes for another one; calls that hang are given up after 40 s each."""
MAX_SWEEP_SECONDS = 6 * 3600
"""60,000 calls at 5 a second take 3 h 20 min, and days under way share the budget."""
MAX_DRAIN_SECONDS = 300
"""50 s of reading, and up to 120 s until the lease of a run that died on another machine is taken over."""
MAX_MESSAGING_SECONDS = 3600
LANE_TAG = "media_pipeline/lane"
"""Long runs share two places (dagster.yaml.example), so that those that take seconds always find one."""
LONG = {LANE_TAG: "long"}
FIRST = {"dagster/priority": "10"}
"""What guests send lives 24 hours: taken from the queue before exports."""


def daily_export_job() -> UnresolvedAssetJobDefinition:
    """All assets of the groups recordings and reports."""
    return dg.define_asset_job(
        DAILY_EXPORT,
        selection=dg.AssetSelection.groups("recordings", "reports"),
        description="Export one finished day: list, download and verify, fetch transcripts, write the reports.",
        tags={"dagster/max_runtime": str(MAX_RUNTIME_SECONDS)} | LONG,
    )


def interactions_job() -> UnresolvedAssetJobDefinition:
    """All assets of the group interactions: apart, so that a backfill of recordings never touches an interaction."""
    return dg.define_asset_job(
        INTERACTIONS_DAILY,
        selection=dg.AssetSelection.groups("interactions"),
        description="Of one exported day: the media of its interactions, their formats, thumbnails, and annotations.",
        tags={"dagster/max_runtime": str(MAX_RUNTIME_SECONDS)} | LONG,
    )


def playback_job() -> UnresolvedAssetJobDefinition:
    """All assets of the group playback: apart, as it reads the archive only and nothing waits for it."""
    return dg.define_asset_job(
        PLAYBACK_DAILY,
        selection=dg.AssetSelection.groups("playback"),
        description="Of one exported day: draw its calls and index what was said, for the pages of the service.",
        tags={"dagster/max_runtime": str(MAX_RUNTIME_SECONDS)} | LONG,
    )


def relist_job() -> UnresolvedAssetJobDefinition:
    """The light job that late recordings are found by."""
    return dg.define_asset_job(
        RELIST_RECENT_DAYS,
        selection=dg.AssetSelection.assets("recent_listings"),
        description="List the finished days of the look-back again, and say which of them is not complete.",
        tags={"dagster/max_runtime": str(MAX_RELIST_SECONDS)},
    )


def verify_sample_job() -> UnresolvedAssetJobDefinition:
    """The light job that proves a few objects a day."""
    return dg.define_asset_job(
        VERIFY_SAMPLE,
        selection=dg.AssetSelection.assets("archive_sample"),
        description="Re-read a random sample of the archive and compare it with the tables.",
        tags={"dagster/max_runtime": str(MAX_VERIFY_SECONDS)},
    )


def sweep_retention_job() -> UnresolvedAssetJobDefinition:
    """The weekly job that asks until when the source keeps its recordings."""
    return dg.define_asset_job(
        SWEEP_RETENTION,
        selection=dg.AssetSelection.assets("retention_sweep"),
        description="Read the source's retention list and say what it deletes before it is exported.",
        tags={"dagster/max_runtime": str(MAX_SWEEP_SECONDS)} | LONG,
    )


def drain_job() -> UnresolvedAssetJobDefinition:
    """The job of every minute that notices what guests send; not repeated when it fails: the next minute's goes on."""
    return dg.define_asset_job(
        DRAIN_CONVERSATION_EVENTS,
        selection=dg.AssetSelection.assets("conversation_events")
        | dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("guest_uploads"), "guest_files_before_expiry")),
        description="Read the conversation events since the last run into their table, for 50 s at most.",
        tags={"dagster/max_runtime": str(MAX_DRAIN_SECONDS), "dagster/max_retries": "0"} | FIRST,
    )


def messaging_job() -> UnresolvedAssetJobDefinition:
    """All assets of the group messaging that belong to a day."""
    return dg.define_asset_job(
        MESSAGING,
        selection=dg.AssetSelection.groups("messaging")
        - dg.AssetSelection.assets("conversation_events", "media_retention"),
        description="Of one day, today included: what guests sent, by the events that were noticed, and the voice "
        "messages that wait for guests in the inbox.",
        tags={"dagster/max_runtime": str(MAX_MESSAGING_SECONDS)} | FIRST,
    )


def retention_job() -> UnresolvedAssetJobDefinition:
    """The job that works the retention ledger: apart, so that nothing else ever deletes at the source."""
    return dg.define_asset_job(
        RETENTION,
        selection=dg.AssetSelection.assets("media_retention"),
        description="Delete what is due, unless it is held; set retention at the source; certify each deletion.",
        tags={"dagster/max_runtime": str(MAX_RETENTION_SECONDS), "dagster/priority": "1"},
    )
