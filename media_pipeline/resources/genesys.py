"""The connection to Genesys Cloud as a Dagster resource: made when first used, shared by a run's steps and threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from media_pipeline.genesys.budget import budget_file
from media_pipeline.genesys.connect import connect
from media_pipeline.genesys.endpoints import Endpoints, MediaHosts
from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.genesys.pacing import DEADLINE_SECONDS, FIRST_WAIT_SECONDS, CallStats, Pacer, Patience
from media_pipeline.genesys.source import OrgSource
from media_pipeline.settings import Settings
from media_pipeline.transfer.http import MediaHttp


@dataclass(frozen=True, slots=True)
class Session:
    """An open connection with what its users share."""

    source: OrgSource
    http: MediaHttp
    patience: Patience
    stats: CallStats


class GenesysResource(dg.ConfigurableResource):
    """OAuth client credentials, region, dialect and rate budget of one Genesys Cloud org."""

    client_id: str = Field("", description="OAuth client id; empty: GENESYS_CLIENT_ID.")
    client_secret: str = Field("", description="OAuth client secret; empty: GENESYS_CLIENT_SECRET.", repr=False)
    region: str = Field("mypurecloud.com", description="The org's region, e.g. mypurecloud.de.")
    base_url: str = Field("", description="API base URL instead of the region's.")
    login_url: str = Field("", description="Login base URL instead of the region's.")
    dialect: str = Field("platform", description="platform or guide.")
    requests_per_minute: int = Field(300, description="Rate budget of API calls of all runs; 0 = unlimited.")
    spool: str = Field("", description="Local folder that the rate budget is shared in; empty: MEDIA_SPOOL.")
    concurrency: int = Field(8, description="Recordings in flight.")
    download_hosts: list[str] = Field([], description="Further hosts that download links may name.")
    download_networks: list[str] = Field([], description="Private networks that such hosts may have addresses in.")
    allow_write_back: bool = Field(False, description="Whether anything may be changed in the org.")
    allow_remote_delete: bool = Field(False, description="Whether anything may be deleted in the org.")
    first_wait_seconds: float = Field(FIRST_WAIT_SECONDS, description="First of the doubling waits between retries.")
    deadline_seconds: float = Field(DEADLINE_SECONDS, description="How long one request may take with all its retries.")

    _session: Session | None = PrivateAttr(default=None)

    @property
    def session(self) -> Session:
        """The run's connection; raises ConfigurationError."""
        if self._session is None:
            self._session = self._connect()
        return self._session

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close what was opened."""
        if self._session is not None:
            self._session.source.close()
            self._session.http.close()
            self._session = None

    def _connect(self) -> Session:
        endpoints = Endpoints.of(region=self.region, base_url=self.base_url, login_url=self.login_url)
        client_id, client_secret = self.client_id, self.client_secret
        if not (client_id and client_secret):
            settings = Settings.load()
            client_id = client_id or settings.client_id
            client_secret = client_secret or settings.client_secret.get_secret_value()
        stats, patience = CallStats(), Patience(self.first_wait_seconds, self.deadline_seconds)
        pacer = self._pacer(client_id, endpoints.api)
        hosts = MediaHosts(endpoints.api, tuple(self.download_hosts), tuple(self.download_networks))
        source = connect(
            endpoints,
            dialect=self.dialect,
            client_id=client_id,
            client_secret=client_secret,
            pacer=pacer,
            stats=stats,
            patience=patience,
            connections=self.concurrency,
            hosts=hosts,
        )
        return Session(source, MediaHttp(hosts, stats), patience, stats)

    def _pacer(self, client_id: str, api: str) -> Pacer:
        if not self.requests_per_minute:
            return Pacer(0)
        spool = Path(self.spool) if self.spool else Settings.load().spool
        try:
            return Pacer(self.requests_per_minute, budget_file(spool / "rate", client_id, api))
        except OSError as error:
            raise ConfigurationError(
                f"The rate budget cannot be kept below MEDIA_SPOOL={spool} ({error.strerror}). Set MEDIA_SPOOL to a "
                "local folder that may be written to."
            ) from None
