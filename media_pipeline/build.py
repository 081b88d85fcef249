"""Assembles the Dagster definitions from settings; tests and deployments override resources here, not in assets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import dagster as dg

from media_pipeline.assets.annotations import metadata_annotations_asset
from media_pipeline.assets.archive_sample import archive_sample_asset
from media_pipeline.assets.audio import audio_asset
from media_pipeline.assets.conversation_events import conversation_events_asset
from media_pipeline.assets.guest_uploads import guest_uploads_asset
from media_pipeline.assets.interactions import interaction_media_asset
from media_pipeline.assets.inventory import inventory_assets
from media_pipeline.assets.playback import playback_assets
from media_pipeline.assets.progress import Progress
from media_pipeline.assets.recent_listings import recent_listings_asset
from media_pipeline.assets.report_page import report_page_asset
from media_pipeline.assets.reports import report_assets
from media_pipeline.assets.retention import media_retention_asset
from media_pipeline.assets.retention_sweep import retention_sweep_asset
from media_pipeline.assets.step import export_runs_spec
from media_pipeline.assets.thumbnails import recording_thumbnails_asset
from media_pipeline.assets.transcripts import transcript_assets
from media_pipeline.assets.voice_messages import voice_messages_asset
from media_pipeline.checks.guest_files_before_expiry import guest_files_before_expiry_check
from media_pipeline.jobs import (
    daily_export_job,
    drain_job,
    interactions_job,
    messaging_job,
    playback_job,
    relist_job,
    retention_job,
    sweep_retention_job,
    verify_sample_job,
)
from media_pipeline.notify.callbacks import Callback, Callbacks
from media_pipeline.ownership import owned
from media_pipeline.partitions import daily_partitions, messaging_partitions
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.resources.webhooks import WebhooksResource
from media_pipeline.schedules import (
    daily_export_schedule,
    drain_schedule,
    interactions_schedule,
    playback_schedule,
    relist_schedule,
    retention_schedule,
    sweep_retention_schedule,
    verify_sample_schedule,
    voice_messages_schedule,
)
from media_pipeline.sensors.archive_callbacks import archive_callbacks_sensor
from media_pipeline.sensors.archive_drift import archive_drift_sensor
from media_pipeline.sensors.guest_upload_requests import guest_upload_requests_sensor
from media_pipeline.sensors.incomplete_days import incomplete_days_sensor
from media_pipeline.sensors.late_recordings import late_recordings_sensor
from media_pipeline.sensors.run_failures import run_failures_sensor
from media_pipeline.settings import Settings

BAD_PATCH = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For a source that fails for minutes: the client's own retries last two."""


def build_definitions(
    settings: Settings | None = None,
    *,
    resources: Mapping[str, object] | None = None,
    callbacks: Mapping[str, Callback | Iterable[Callback]] | None = None,
    retry: dg.RetryPolicy = BAD_PATCH,
) -> dg.Definitions:
    """Definitions for the given settings (default: the environment's), with resources replaced by name.

    `callbacks`: by type of event (metadata_parsed, metadata_annotated, day_completed, recording_quarantined) who is
    called with it, in the run's process. Raises ConfigurationError for another type.
    """
    settings = settings or Settings.load()
    partitions = daily_partitions(settings.start_date)
    job, interactions, relist = daily_export_job(), interactions_job(), relist_job()
    verify, sweep, retention = verify_sample_job(), sweep_retention_job(), retention_job()
    drain, messaging, playback = drain_job(), messaging_job(), playback_job()
    watched = (settings.start_date, settings.lookback_days)
    return dg.Definitions(
        assets=[
            export_runs_spec(),
            *map(
                owned,
                [
                    *inventory_assets(partitions, retry),
                    audio_asset(partitions, retry),
                    transcript_assets(partitions, retry),
                    *report_assets(partitions),
                    report_page_asset(partitions, *watched, settings.service_url),
                    interaction_media_asset(partitions, retry),
                    recording_thumbnails_asset(partitions, retry),
                    metadata_annotations_asset(partitions, retry),
                    *playback_assets(partitions),
                    recent_listings_asset(*watched, retry),
                    archive_sample_asset(retry),
                    retention_sweep_asset(settings.start_date, retry),
                    conversation_events_asset(),
                    guest_uploads_asset(messaging_partitions(settings.start_date), retry),
                    media_retention_asset(),
                    voice_messages_asset(settings.start_date),
                ],
            ),
        ],
        asset_checks=[guest_files_before_expiry_check()],
        jobs=[job, interactions, playback, relist, verify, sweep, drain, messaging, retention],
        schedules=[
            daily_export_schedule(job),
            interactions_schedule(interactions),
            playback_schedule(playback),
            relist_schedule(relist),
            verify_sample_schedule(verify),
            sweep_retention_schedule(sweep),
            drain_schedule(drain),
            voice_messages_schedule(messaging, settings.start_date),
            retention_schedule(retention),
        ],
        sensors=[
            incomplete_days_sensor(job, *watched),
            late_recordings_sensor(job, *watched),
            run_failures_sensor(*watched),
            archive_drift_sensor(),
            archive_callbacks_sensor(),
            guest_upload_requests_sensor(messaging, settings.start_date),
        ],
        resources={**default_resources(settings), "callbacks": Callbacks(callbacks), **(resources or {})},
        # One run is one day: threads inside the asset; a process per step would cost seconds each.
        executor=dg.in_process_executor,
    )


def default_resources(settings: Settings) -> dict[str, object]:
    """The resources that the settings describe."""
    return {
        "genesys": GenesysResource(
            client_id=_by_reference("GENESYS_CLIENT_ID", settings.client_id),
            client_secret=_by_reference("GENESYS_CLIENT_SECRET", settings.client_secret.get_secret_value()),
            region=settings.region,
            base_url=settings.base_url,
            login_url=settings.login_url,
            dialect=settings.dialect,
            requests_per_minute=settings.requests_per_minute,
            spool=str(settings.spool),
            concurrency=settings.concurrency,
            download_hosts=list(settings.download_hosts),
            download_networks=list(settings.download_networks),
            allow_write_back=settings.allow_write_back,
            allow_remote_delete=settings.allow_remote_delete,
        ),
        "media": MediaResource(
            root=settings.root,
            spool=str(settings.spool),
            codecs=list(settings.codecs),
            min_available_mb=settings.min_available_mb,
            sidecars=settings.sidecars,
            keep_unredacted=settings.keep_unredacted,
            inbox=settings.inbox,
            concurrency=settings.concurrency,
        ),
        "webhooks": WebhooksResource(
            urls=_by_reference("MEDIA_WEBHOOKS", settings.webhooks.get_secret_value()),
            signing_keys=_by_reference("MEDIA_WEBHOOK_KEY", settings.webhook_key.get_secret_value()),
            ui_url=settings.ui_url,
        ),
        "progress": Progress(),
    }


def _by_reference(variable: str, value: str) -> str | dg.EnvVar:
    """The environment variable itself where it has the value, so that the UI shows its name and never the secret."""
    return dg.EnvVar(variable) if value and os.environ.get(variable) == value else value
