"""What was said on a day: transcript_status and diarized_transcripts, as Arrow."""

from __future__ import annotations

from functools import cache

import numpy as np  # noqa: TID253  no code server imports a benchmark
import pyarrow as pa

from benchmarks.year.columns import Numbers, Rng, numbers, picked
from benchmarks.year.org import Org
from benchmarks.year.recordings import KINDS, Files, table_of
from media_pipeline.sandbox import phrases

REDACTED = (
    "My number is [PHONE_NUMBER].",
    "Please call me back on [PHONE_NUMBER] or [PHONE_NUMBER].",
    "Send it to [EMAIL_ADDRESS], all lower case.",
    "The card number is [CREDIT_CARD].",
    "It was card [CREDIT_CARD], my usual one.",
    "The last four digits of [US_SSN], please.",
)
KINDS_OF_PII = ("pii_credit_card", "pii_email_address", "pii_phone_number", "pii_us_ssn")
TEXTS = 150_000
"""Different ones: more than a day says, as people seldom say the same twice."""
REDACTED_SHARE, SHORT_SHARE = 0.03, 0.3
UNKNOWN_SPEAKER, CUSTOMER_SHARE, NO_CONFIDENCE = 0.05, 0.47, 0.01
LONG_PAUSE, OVERLAP = 0.02, 0.06
MOST_SEGMENTS = 60
FORBIDDEN, FAILED, FAILED_IN_OUTAGE = 0.008, 0.0005, 0.05


def transcript_status(rng: Rng, files: Files, org: Org, mean_segments: float) -> pa.Table:
    """One row a recording; transcripts have one segment at least, on the average `mean_segments`."""
    count = int(files.first.sum())
    is_call = np.array([media_type == "call" for media_type, _ in KINDS])[files.kind[files.first]]
    covered = org.coverage[files.queues[files.first][:, 0]]
    chance = rng.random(count)
    failed = FAILED_IN_OUTAGE if files.day.incident == "outage of the source" else FAILED if files.day.failures else 0.0
    fate = np.select(
        [~is_call | (chance >= covered), rng.random(count) < FORBIDDEN, rng.random(count) < failed], [1, 2, 3], 0
    )
    lively = files.seconds[files.first] / files.seconds[files.first].mean()
    segments = np.clip(rng.poisson(mean_segments * lively**0.5 * 1.08), 1, max(MOST_SEGMENTS, 4 * mean_segments))
    columns = {
        "recording_id": files.recording_ids.filter(pa.array(files.first)),
        "conversation_id": files.conversation_ids.filter(pa.array(files.first)),
        "status": picked(["available", "unavailable", "forbidden", "failed"], fate),
        "reason": picked([None, "no_transcript", "forbidden", "server_error"], fate),
        "segments": numbers(np.where(fate == 0, segments, 0), pa.int32()),
    }
    return table_of("transcript_status", columns, count)


def transcripts(rng: Rng, files: Files, org: Org, status: pa.Table) -> pa.Table:
    """The segments of all available transcripts, within their recordings' lengths."""
    number_of = status["segments"].to_numpy()
    owner = np.repeat(np.arange(len(number_of)), number_of)
    count = len(owner)
    index = np.arange(count) - (np.cumsum(number_of) - number_of)[owner]
    start, end = _times(rng, index, files.seconds[files.first][owner])
    speaker = np.where(rng.random(count) < CUSTOMER_SHARE, 0, 1)
    speaker[rng.random(count) < UNKNOWN_SPEAKER] = 2
    late = (files.parties[files.first][owner] == 2) & (index * 2 > number_of[owner])
    agent = np.where(late, files.agents[files.first][owner, 1], files.agents[files.first][owner, 0])
    texts, counts = _texts()
    chance, kinds = rng.random(count), len(REDACTED)
    said = np.select(
        [chance < REDACTED_SHARE, chance < SHORT_SHARE],
        [rng.integers(0, kinds, count), rng.integers(kinds, len(texts) - TEXTS, count)],
        rng.integers(len(texts) - TEXTS, len(texts), count),
    )
    columns = {
        "recording_id": status["recording_id"].combine_chunks().take(pa.array(owner)),
        "conversation_id": status["conversation_id"].combine_chunks().take(pa.array(owner)),
        "segment_index": numbers(index, pa.int32()),
        "start_ms": numbers(start, pa.int64()),
        "end_ms": numbers(end, pa.int64()),
        "speaker": picked(
            ["customer", "unknown", *org.agents], np.select([speaker == 0, speaker == 2], [0, 1], agent + 2)
        ),
        "channel": numbers(speaker, pa.int32(), speaker != 2),
        "participant_purpose": picked(["customer", "agent", None], speaker),
        "text": texts.take(pa.array(said)),
        "confidence": numbers(rng.integers(60, 100, count) / 100, pa.float64(), rng.random(count) >= NO_CONFIDENCE),
        "pii_redacted": numbers(counts.sum(axis=1)[said], pa.int32()),
        **{name: numbers(counts[said, number], pa.int32()) for number, name in enumerate(KINDS_OF_PII)},
    }
    return table_of("diarized_transcripts", columns, count)


def _times(rng: Rng, index: Numbers, seconds: Numbers) -> tuple[Numbers, Numbers]:
    """Start and end in ms: pauses, a few of them long, and some who begin before the other has ended."""
    pause = rng.exponential(0.25, len(index)) + np.where(rng.random(len(index)) < LONG_PAUSE, rng.uniform(1, 6), 0)
    length = rng.gamma(2.0, 0.6, len(index)) + 0.1
    until = np.cumsum(pause + length)
    first = np.flatnonzero(index == 0)
    before = (until - pause - length)[first]
    number_of = np.diff(np.append(first, len(index)))
    last = until[np.append(first[1:], len(index)) - 1]
    scale = seconds * 1000 / np.repeat(last - before, number_of)
    until = (until - np.repeat(before, number_of)) * scale
    start = until - length * scale
    earlier = np.where(index == 0, 0, np.roll(start, 1))
    overlaps = rng.random(len(index)) < OVERLAP
    start = np.where(overlaps, np.maximum(start - 0.5 * (length + pause) * scale, earlier), start)
    return start.astype(np.int64), until.astype(np.int64)


@cache
def _texts() -> tuple[pa.StringArray, Numbers]:
    """What can be said, redacted texts first, and how many spans of each kind are redacted in it."""
    turns = (turn for topic in phrases.TOPICS.values() for turn in topic)
    plain = sorted(
        {text for turn in turns for text in turn.wordings if not any(map(str.isdigit, text)) and "@" not in text}
    )
    k = len(plain)
    several = [
        f"{plain[n % k]} {plain[n // k % k]}" + (f" {plain[n // k**2 % k]}" if n >= k**2 else "") for n in range(TEXTS)
    ]
    texts = [*REDACTED, *plain, *several]
    counts = np.array([[text.count(f"[{name[4:].upper()}]") for name in KINDS_OF_PII] for text in texts])
    return pa.array(texts), counts
