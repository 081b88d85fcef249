"""A source as the settings describe it, for commands that talk to Genesys Cloud without Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from media_pipeline.genesys.budget import budget_file
from media_pipeline.genesys.connect import connect
from media_pipeline.genesys.endpoints import Endpoints, MediaHosts
from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.genesys.pacing import CallStats, Pacer, Patience
from media_pipeline.genesys.source import OrgSource
from media_pipeline.settings import Settings


def endpoints_of(settings: Settings) -> Endpoints:
    """Where the org is; raises ConfigurationError."""
    return Endpoints.of(region=settings.region, base_url=settings.base_url, login_url=settings.login_url)


def media_hosts_of(settings: Settings) -> MediaHosts:
    """Hosts that download links may name."""
    return MediaHosts(endpoints_of(settings).api, settings.download_hosts, settings.download_networks)


@contextmanager
def opened_source(settings: Settings, stats: CallStats, patience: Patience | None = None) -> Iterator[OrgSource]:
    """The settings' source, sharing the machine's rate budget; raises ConfigurationError."""
    endpoints = endpoints_of(settings)
    pacer = Pacer(0)
    if settings.requests_per_minute:
        try:
            file = budget_file(settings.spool / "rate", settings.client_id, endpoints.api)
        except OSError as error:
            raise ConfigurationError(
                f"The rate budget cannot be kept below MEDIA_SPOOL={settings.spool} ({error.strerror}). Set "
                "MEDIA_SPOOL to a local folder that may be written to."
            ) from None
        pacer = Pacer(settings.requests_per_minute, file)
    source = connect(
        endpoints,
        dialect=settings.dialect,
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value(),
        pacer=pacer,
        stats=stats,
        patience=patience or Patience(),
        connections=settings.concurrency,
        hosts=media_hosts_of(settings),
    )
    try:
        yield source
    finally:
        source.close()
