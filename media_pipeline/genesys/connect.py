"""Builds the source of the configured dialect from plain values; the only place that knows which dialects exist."""

from __future__ import annotations

from media_pipeline.genesys.endpoints import Endpoints, MediaHosts
from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.genesys.guide import GuideSource
from media_pipeline.genesys.pacing import CallStats, Pacer, Patience
from media_pipeline.genesys.platform import PlatformSource
from media_pipeline.genesys.source import OrgSource
from media_pipeline.genesys.transport import CredentialStyle, Transport

CREDENTIAL_STYLES: dict[str, CredentialStyle] = {"platform": "basic", "guide": "form"}
"""How each dialect shows its credentials when it asks for a token."""


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
    hosts: MediaHosts,
) -> OrgSource:
    """A source for the dialect; no request is made yet. Raises ConfigurationError."""
    if dialect not in CREDENTIAL_STYLES:
        raise ConfigurationError(f"GENESYS_DIALECT={dialect!r} is not one of {', '.join(CREDENTIAL_STYLES)}.")
    transport = Transport(
        endpoints,
        client_id=client_id,
        client_secret=client_secret,
        credential_style=CREDENTIAL_STYLES[dialect],
        pacer=pacer,
        stats=stats,
        patience=patience,
        connections=connections,
    )
    if dialect == "guide":
        return GuideSource(transport)
    return PlatformSource(transport, hosts, stats, patience, connections=connections)
