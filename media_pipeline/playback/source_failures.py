"""What a listener is told when a recording's source fails: refusals of our own, by whatever went wrong there."""

from __future__ import annotations

from media_pipeline.genesys.errors import (
    ConfigurationError,
    GenesysError,
    NotFound,
    PermissionMissing,
    StillPreparing,
    Undeliverable,
)
from media_pipeline.genesys.pacing import TryAgain
from media_pipeline.playback.refusals import Refusal, refused
from media_pipeline.transfer.exchange import Broken
from media_pipeline.transfer.outcome import Ending
from media_pipeline.transfer.verdict import FreshLinkNeeded

FAILURES = (FreshLinkNeeded, TryAgain, GenesysError, Ending, Broken)
"""All that can go wrong at a source."""
_SENT_BACK = {
    "forbidden": "source_refused",
    "bad_url": "source_refused",
    "no_file": "no_file",
    "zero_bytes": "no_file",
    "archived": "no_file",
    "deleted": "no_file",
    "not_ready": "not_ready",
    "not_delivered": "source_refused",
    "not_media": "not_media",
    "bad_range": "not_media",
    "short_body": "not_media",
    "unverifiable": "not_media",
    "md5_mismatch": "not_media",
}


def told(error: BaseException) -> Refusal:
    """What a listener is told of what went wrong at the source: one of our own sentences."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, FreshLinkNeeded):
        return told(error.ending)
    if isinstance(error, TryAgain):
        return told(error.error)
    if isinstance(error, Ending):
        return refused(_SENT_BACK.get(error.reason, "source_failed"))
    if isinstance(error, Broken):
        return refused("source_silent" if "imeout" in str(error) else "source_failed")
    if isinstance(error, ConfigurationError):
        return refused("not_archived")
    if isinstance(error, NotFound):
        return refused("not_found")
    if isinstance(error, PermissionMissing):
        return refused("source_refused")
    if isinstance(error, StillPreparing):
        return refused("not_ready")
    if isinstance(error, Undeliverable):
        return refused(_SENT_BACK.get(error.reason, "source_failed"))
    return refused("source_failed")
