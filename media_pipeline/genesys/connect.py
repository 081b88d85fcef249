"""Builds the source of the configured dialect from plain values; the only place that knows which dialects exist."""

from __future__ import annotations

from media_pipeline.genesys.endpoints import Endpoints
from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.genesys.guide import GuideSource
from media_pipeline.genesys.pacing import CallStats, Pacer, Patience
from media_pipeline.genesys.source import RecordingSource
from media_pipeline.genesys.transport import Transport


def connect(
    endpoints: Endpoints,
    *,
    dialect: str,
    client_id: str,
    client_secret: str,
    pacer: Pacer,
    stats: CallStats,
    patience: Patience,
    connections: int,
) -> RecordingSource:
    """A source for the dialect; no request is made yet. Raises ConfigurationError."""
    if dialect != "guide":
        raise ConfigurationError(
            f"GENESYS_DIALECT={dialect} is not built yet: this version speaks the guide dialect only. "
            "Set GENESYS_DIALECT=guide, or try the whole pipeline on the sandbox with: make demo."
        )
    return GuideSource(
        Transport(
            endpoints,
            client_id=client_id,
            client_secret=client_secret,
            credential_style="form",
            pacer=pacer,
            stats=stats,
            patience=patience,
            connections=connections,
        )
    )
