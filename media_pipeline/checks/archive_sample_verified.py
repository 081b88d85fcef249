"""archive_sample_verified: the check that a random sample of the archive still is what its tables say."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from media_pipeline.metadata import sample
from media_pipeline.tables.verification import Verification

ARCHIVE_SAMPLE_VERIFIED = "archive_sample_verified"
NAMES_IN_A_SENTENCE = 5
TO_DO = (
    "Run `media-pipeline verify --all` to see how far it goes, then export what is missing or changed again "
    "(`media-pipeline export --recording ID`) while the source still has it."
)


def archive_sample_verified_result(result: Verification, facts: Mapping[str, object]) -> dg.AssetCheckResult:
    """Red for losses, yellow for what costs no media; `facts` are shown beside the findings."""
    findings = result.worst_first()
    names = ", ".join(f"{finding.kind} {finding.key}" for finding in findings[:NAMES_IN_A_SENTENCE])
    if result.counts.total() > NAMES_IN_A_SENTENCE:
        names += ", ..."
    metadata: dict[str, object] = dict(facts)
    if findings:
        rows = [
            {"kind": found.kind, "key": found.key, "recording_id": found.recording_id, "what": found.sentence}
            for found in findings
        ]
        metadata |= {"findings": sample(rows, ["kind", "key", "recording_id", "what"]), "to_do": TO_DO}
    return dg.AssetCheckResult(
        check_name=ARCHIVE_SAMPLE_VERIFIED,
        passed=not findings,
        severity=dg.AssetCheckSeverity.ERROR if result.losses else dg.AssetCheckSeverity.WARN,
        description=result.sentence + (f" {names}." if names else ""),
        metadata=metadata,
    )
