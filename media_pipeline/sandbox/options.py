"""What a sandbox can be told at its start; no behaviour lives here.

The command line (`__main__`), the project's own CLI and the tests all build the same frozen dataclass.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import ipaddress
from pathlib import Path
from typing import Literal

from media_pipeline.sandbox.platform.permissions import KNOWN

Bodies = Literal["speech", "tiny"]

MAX_HUGE_MB = 4_000
"""A RIFF header counts bytes in 32 bits."""
MAX_PER_DAY = 1 << 24
"""An index has 24 bits inside a recording id (org.py)."""
MAX_MESSAGES_PER_DAY = 1_000


class OptionsError(ValueError):
    """An option that cannot work, said in a sentence a person can act on."""


def yesterday() -> dt.date:
    """The newest finished UTC day."""
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SandboxOptions:
    """Everything that decides what a sandbox serves; equal options give equal bytes. Raises OptionsError."""

    host: str = "127.0.0.1"
    port: int = 8099
    """0 = any free port."""
    seed: int = 7
    days: int = 3
    per_day: int = 180
    messages_per_day: int = 24
    """Message conversations a day: of the last 30 days of the org, of yesterday and of today."""
    end: dt.date = dataclasses.field(default_factory=yesterday)
    """Last day of the org, inclusive."""
    rules: Path | None = None
    bodies: Bodies = "speech"
    huge_mb: int = 0
    """Size (MB = 10^6 bytes) of the first recording of each day; 0 = an ordinary call."""
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - a published default of a loopback toy, no secret
    token_seconds: int = 86_400
    link_seconds: int = 3_600
    latency_ms: int = 0
    rate_limit: int = 0
    """API calls a client may make in a minute; 0 = any number."""
    lacks: tuple[str, ...] = ()
    """Permissions the client does not have; it has all others (platform/permissions.py)."""
    transcode_seconds: int = 0
    """How long after the start recordings that are being prepared become ready; 0 = never."""

    def __post_init__(self) -> None:
        """Refuse what would fail later, or would open the sandbox to a network."""
        if not _is_loopback(self.host):
            raise OptionsError(
                f"The sandbox has no real authentication, so it listens on loopback only: "
                f"use 127.0.0.1, ::1 or localhost instead of {self.host!r}."
            )
        limits = {
            "port": (self.port, 0, 65_535),
            "days": (self.days, 1, 3_660),
            "per_day": (self.per_day, 0, MAX_PER_DAY),
            "messages_per_day": (self.messages_per_day, 0, MAX_MESSAGES_PER_DAY),
            "huge_mb": (self.huge_mb, 0, MAX_HUGE_MB),
            "token_seconds": (self.token_seconds, 1, 172_800),
            "link_seconds": (self.link_seconds, 1, 604_800),
            "latency_ms": (self.latency_ms, 0, 60_000),
            "rate_limit": (self.rate_limit, 0, 1_000_000),
            "transcode_seconds": (self.transcode_seconds, 0, 604_800),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise OptionsError(f"{name} must be between {low} and {high}, not {value}.")
        if unknown := sorted(set(self.lacks) - set(KNOWN)):
            raise OptionsError(f"Unknown permission {unknown[0]!r}; known are {', '.join(KNOWN)}.")
        if self.bodies not in ("speech", "tiny"):
            raise OptionsError(f"bodies must be 'speech' or 'tiny', not {self.bodies!r}.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
