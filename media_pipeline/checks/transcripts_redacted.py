"""transcripts_redacted: the check that no day holds transcripts with personal data, as far as this version finds it."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from media_pipeline.metadata import sample
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.redaction import raw_days, transcript_days, unredacted_days

TRANSCRIPTS_REDACTED = "transcripts_redacted"
DAYS_IN_A_SENTENCE = 5
TO_DO = (
    "Run `media-pipeline redact --all`; with --drop-unredacted it also removes the copies under unredacted/ for good."
)


def transcripts_redacted_result(tables: Tables, keep_unredacted: bool, threads: int) -> dg.AssetCheckResult:
    """Judge every day by the note in its file: red for raw days, yellow for copies that are not to be kept."""
    days = transcript_days(tables.store)
    raw = raw_days(tables, days, threads)
    copies = [] if keep_unredacted else unredacted_days(tables.store)
    sentences = []
    if raw:
        sentences.append(f"{len(raw)} of {len(days)} days hold raw transcripts: {_named(raw)}.")
    if copies:
        sentences.append(
            f"{len(copies)} days are kept under unredacted/ without MEDIA_KEEP_UNREDACTED=1: {_named(copies)}."
        )
    metadata: dict[str, object] = {"days": len(days), "raw_days": len(raw), "unredacted_copies": len(copies)}
    if raw or copies:
        rows = [{"day": day, "what": "raw"} for day in raw] + [
            {"day": day, "what": "unredacted copy"} for day in copies
        ]
        metadata |= {"found": sample(rows, ["day", "what"]), "to_do": TO_DO}
    return dg.AssetCheckResult(
        asset_key="diarized_transcripts",
        check_name=TRANSCRIPTS_REDACTED,
        passed=not (raw or copies),
        severity=dg.AssetCheckSeverity.ERROR if raw else dg.AssetCheckSeverity.WARN,
        description=" ".join(sentences) or f"The transcripts of all {len(days)} days are redacted.",
        metadata=metadata,
    )


def _named(days: list[dt.date]) -> str:
    return ", ".join(map(str, days[:DAYS_IN_A_SENTENCE])) + (", ..." if len(days) > DAYS_IN_A_SENTENCE else "")
