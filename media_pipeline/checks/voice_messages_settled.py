"""voice_messages_settled: which voice messages of the last week need a person."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from media_pipeline.messaging.voice_state import IN_DOUBT
from media_pipeline.metadata import sample
from media_pipeline.tables.partition import Row

VOICE_MESSAGES_SETTLED = "voice_messages_settled"
NAMED = 5
"""In the sentence; the metadata have up to 20."""


def voice_messages_settled_result(troubled: Sequence[Row]) -> dg.AssetCheckResult:
    """An error for messages that may or may not have been sent, a warning for those that were not."""
    if not troubled:
        return dg.AssetCheckResult(
            check_name=VOICE_MESSAGES_SETTLED, passed=True, description="No voice message needs a person."
        )
    doubts = [row for row in troubled if row["status"] == IN_DOUBT]
    failures = [row for row in troubled if row["status"] != IN_DOUBT]
    sentences = []
    if doubts:
        sentences.append(
            f"{len(doubts)} voice messages are in doubt: {_named(doubts)}. Look into their conversations, then settle "
            "each with `media-pipeline voice resolve <message_key> --sent` or `--resend`."
        )
    if failures:
        sentences.append(
            f"{len(failures)} voice messages failed: {_named(failures)}. Their reasons say what to do; within a week "
            "`media-pipeline voice resolve <message_key> --resend` sends one again."
        )
    return dg.AssetCheckResult(
        check_name=VOICE_MESSAGES_SETTLED,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR if doubts else dg.AssetCheckSeverity.WARN,
        description=" ".join(sentences),
        metadata={
            "in_doubt": len(doubts),
            "failed": len(failures),
            "messages": sample(troubled, ["message_key", "conversation_id", "status", "reason", "detail"]),
        },
    )


def _named(rows: Sequence[Row]) -> str:
    named = ", ".join(f"{row['message_key']} ({row['reason']})" for row in rows[:NAMED])
    return named + (" and more" if len(rows) > NAMED else "")
