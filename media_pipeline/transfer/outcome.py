"""How the way of one recording can end: statuses, reasons, and the sentence that says what to do.

Adding a reason means adding it here and to docs/operators.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from media_pipeline.genesys.source import MediaFile

STORED: Final = "stored"
UNSUPPORTED: Final = "unsupported"
EMPTY: Final = "empty"
UNAVAILABLE: Final = "unavailable"
PENDING: Final = "pending"
QUARANTINED: Final = "quarantined"
FAILED: Final = "failed"

STATUSES = (STORED, UNSUPPORTED, EMPTY, UNAVAILABLE, PENDING, QUARANTINED, FAILED)
INCOMPLETE_STATUSES = frozenset({PENDING, QUARANTINED, FAILED})
"""Statuses that keep a day from being complete."""

REASONS: dict[str, tuple[str, str]] = {
    "codec": (UNSUPPORTED, "The format is not in MEDIA_CODECS; add it there to export it."),
    "zero_bytes": (EMPTY, "The source holds no bytes for this recording; there is nothing to export."),
    "no_file": (UNAVAILABLE, "The source has no file for this recording (any more)."),
    "archived": (UNAVAILABLE, "The recording is archived at the source; restore it there to export it."),
    "deleted": (UNAVAILABLE, "The recording was deleted at the source."),
    "not_ready": (PENDING, "The source is still preparing the file; run the day again later."),
    "not_requested": (PENDING, "The run was limited to other recordings; run the day without a limit."),
    "md5_mismatch": (
        QUARANTINED,
        "The bytes differ from the provider's MD5, also after a fresh fetch; ask Genesys support.",
    ),
    "forbidden": (
        FAILED,
        "The OAuth client may not read this recording; grant the permission, then run the day again.",
    ),
    "not_delivered": (
        FAILED,
        "Listed but not delivered: grant recording:recording:viewSensitiveData (calls with card or personal data), or "
        "recording:recording:view for the recording's division, then run the day again.",
    ),
    "source_error": (
        FAILED,
        "The source calls the recording broken (fileState ERROR); run the day again later, then ask Genesys support.",
    ),
    "not_media": (
        FAILED,
        "What the download link gave is not the media as it is, also when fresh; run the day again later.",
    ),
    "short_body": (FAILED, "The download kept ending before the file's end; run the day again later."),
    "bad_range": (FAILED, "The download's ranges or size kept contradicting each other; run the day again later."),
    "too_slow": (FAILED, "The download was slower than 1 KiB/s; check the network, then run the day again."),
    "unverifiable": (FAILED, "Neither a length nor a checksum tells whether the file is whole; nothing was kept."),
    "bad_url": (FAILED, "The download link was not followed; see MEDIA_DOWNLOAD_HOSTS."),
    "rate_limited": (
        FAILED,
        "The source kept limiting our calls; lower GENESYS_REQUESTS_PER_MINUTE, then run the day again.",
    ),
    "server_error": (FAILED, "The source kept failing or not answering; run the day again later."),
    "bad_reply": (FAILED, "The source's answer is not what its API promises; see the audit log."),
}
"""Reason -> (status, what it means and what to do)."""


class Ending(Exception):
    """A recording's way ended without a stored object; `detail` is one sentence free of secrets."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail

    @property
    def status(self) -> str:
        """The status that goes with the reason."""
        return REASONS[self.reason][0]

    @property
    def sentence(self) -> str:
        """What happened and what to do."""
        return f"{self.detail} {REASONS[self.reason][1]}".strip()


@dataclass(frozen=True, slots=True)
class Stored:
    """A verified object: sizes in bytes, digests of the source bytes in lower hex, and the facts it was proved with."""

    media: MediaFile
    source_size_bytes: int
    stored_size_bytes: int
    md5: str
    sha256: str
    integrity_basis: str
    content_type: str | None


@dataclass(slots=True)
class Effort:
    """What one recording cost: requests for its bytes, bytes received, thrown-away ones included; source bytes that an
    earlier run had fetched; whether its object was found published and proved."""

    attempts: int = 0
    bytes_fetched: int = 0
    bytes_resumed: int = 0
    adopted: bool = False
    seconds: float = 0.0
