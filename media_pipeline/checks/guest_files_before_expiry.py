"""guest_files_before_expiry: warns before a guest's file is lost, and says which were.

It looks at the tables alone, every minute with the job that reads events: it warns, too, when the job that fetches
files does not run at all.
"""

import datetime as dt

import dagster as dg

from media_pipeline.messaging.deadlines import Deadlines, guest_deadlines
from media_pipeline.metadata import sample
from media_pipeline.resources.media import MediaResource

NAME = "guest_files_before_expiry"
HOURS_BEFORE = 6
"""Guest files live 24 h, and are usually fetched within two minutes."""


def guest_files_before_expiry_check() -> dg.AssetChecksDefinition:
    """The check."""

    @dg.asset_check(
        asset="guest_uploads",
        name=NAME,
        description=f"No file of a guest is without an outcome {HOURS_BEFORE} hours before it dies; none was lost.",
    )
    def guest_files_before_expiry(media: MediaResource) -> dg.AssetCheckResult:
        now = dt.datetime.now(dt.UTC)
        return guest_files_result(guest_deadlines(media.tables, now, dt.timedelta(hours=HOURS_BEFORE)))

    return guest_files_before_expiry


def guest_files_result(found: Deadlines) -> dg.AssetCheckResult:
    """A warning with numbers, the oldest deadline and what to do."""
    soon = found.soon
    sentences = []
    if soon:
        sentences.append(
            f"{len(soon)} files of guests have no outcome and die soon, the first {soon[0].dies_at:%Y-%m-%d %H:%M} UTC "
            "at the earliest: see guest_uploads for what failed, and run the job messaging for their day now."
        )
    if found.lost:
        sentences.append(f"{found.lost} files of the last days died before they were fetched.")
    metadata: dict[str, object] = {"files_without_outcome": found.open, "files_lost": found.lost}
    if soon:
        rows = [{"file_id": one.file_id, "dies_at": f"{one.dies_at:%Y-%m-%d %H:%M}"} for one in soon]
        metadata["to_do"] = sample(rows, ["file_id", "dies_at"])
    return dg.AssetCheckResult(
        passed=not sentences,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(sentences) or "Every guest's file has an outcome, or hours left.",
        metadata=metadata,
    )
