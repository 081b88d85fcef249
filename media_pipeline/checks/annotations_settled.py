"""annotations_settled: whether the org holds what it was to be told of each of the day's interactions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import dagster as dg

from media_pipeline.interactions.write_back import Outcome
from media_pipeline.metadata import SAMPLE_ROWS, sample

ANNOTATIONS_SETTLED = "annotations_settled"
NAMED = 5
"""In the sentence; the metadata have up to 20."""


@dataclass(slots=True)
class Unsettled:
    """Interactions whose payload did not arrive, counted by outcome and reason; samples are the first."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    samples: list[dict[str, str]] = field(default_factory=list)

    def add(self, interaction_id: str, outcome: Outcome) -> None:
        """Take in an interaction; one that was told, was not to be, or had nothing that could be, is settled."""
        if outcome.reason is None or outcome.name == "would_send":
            return
        self.counts[outcome.name, outcome.reason] += 1
        if len(self.samples) < SAMPLE_ROWS:
            self.samples.append(
                {
                    "interaction_id": interaction_id,
                    "outcome": outcome.name,
                    "reason": outcome.reason,
                    "detail": outcome.detail or "",
                }
            )


def annotations_settled_result(unsettled: Unsettled, interactions: int) -> dg.AssetCheckResult:
    """Red with the numbers, the first ids and what to do; annotations rejected before they were sent are no part."""
    number = unsettled.counts.total()
    if not number:
        return dg.AssetCheckResult(
            check_name=ANNOTATIONS_SETTLED,
            passed=True,
            description="No interaction's annotations failed, met a conflict or were refused by the org.",
        )
    counted = ", ".join(
        f"{count} {_worded(outcome, reason)}" for (outcome, reason), count in sorted(unsettled.counts.items())
    )
    names = ", ".join(row["interaction_id"] for row in unsettled.samples[:NAMED]) + (", ..." if number > NAMED else "")
    return dg.AssetCheckResult(
        check_name=ANNOTATIONS_SETTLED,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"The annotations of {number} of {interactions} interactions did not arrive: {counted} ({names}). See "
            "detail in metadata_annotations, and run the day again: what did not arrive is sent once more."
        ),
        metadata={
            "interactions": sample(unsettled.samples, ["interaction_id", "outcome", "reason", "detail"]),
            "interactions_unsettled": number,
        },
    )


def _worded(outcome: str, reason: str) -> str:
    return outcome if reason == outcome else f"{outcome} ({reason})"
