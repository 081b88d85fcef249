"""How fast personal data is found: MB (10^6 bytes of UTF-8) of transcript text per minute on one core.

Text is made from the sandbox's calls, cut into segments as a transcript has them, with no, some and many segments that
hold numbers beyond those in the calls (any labelled string of the tests' tables). `all` is nothing but those, which no
day is: shown, not judged. `redacted` also looks across segments and at what was said before, as an export does.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable

from media_pipeline.privacy import detect
from media_pipeline.privacy.segments import redact_segments
from media_pipeline.sandbox import phrases
from media_pipeline_tests.privacy.tables import TABLES, labelled

BYTES_PER_MB = 10**6
GOAL_MB_PER_MINUTE = 20
SHARES = {"none": 0.0, "one segment in 20": 0.05, "one in 4": 0.25, "all": 1.0}
SEGMENTS_A_CALL = 20


def segments(share: float, megabytes: float) -> list[str]:
    """Segments of calls in which this share holds a labelled string."""
    rng = random.Random(6)
    spoken = [text for topic in phrases.TOPICS for _ in range(5) for _, text in phrases.conversation(topic, rng)]
    numbers = [string.text for table in TABLES for string in labelled(table)]
    made: list[str] = []
    size = 0
    while size < megabytes * BYTES_PER_MB:
        made.append(rng.choice(numbers) if rng.random() < share else rng.choice(spoken))
        size += len(made[-1].encode())
    return made


def calls(texts: list[str]) -> list[list[dict[str, object]]]:
    """The same as rows of diarized_transcripts, two speakers in turn."""
    rows = [{"text": text, "speaker": f"s{number % 2}", "channel": number % 2} for number, text in enumerate(texts)]
    return [rows[start : start + SEGMENTS_A_CALL] for start in range(0, len(rows), SEGMENTS_A_CALL)]


def rate(work: Callable[[], object], size: int) -> float:
    """MB a minute of CPU time."""
    started = time.process_time()
    work()
    return size / BYTES_PER_MB / (time.process_time() - started) * 60


def main() -> int:
    """Print the table; 1 when a row that is judged is below the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=float, default=2.0, help="text per row")
    size_mb = parser.parse_args().mb
    slowest = float("inf")
    print("| segments with numbers | detect, MB/min | redacted, MB/min |\n|---|---|---|")
    for name, share in SHARES.items():
        texts = segments(share, size_mb)
        size = sum(len(text.encode()) for text in texts)
        found = rate(lambda texts=texts: [detect(text) for text in texts], size)  # type: ignore[misc]
        redacted = rate(lambda texts=texts: [redact_segments(call) for call in calls(texts)], size)  # type: ignore[misc]
        if share < 1:
            slowest = min(slowest, found, redacted)
        print(f"| {name} | {found:,.0f} | {redacted:,.0f} |")
    print(f"Slowest: {slowest:,.0f} MB a minute; the goal is {GOAL_MB_PER_MINUTE}.")
    return 0 if slowest >= GOAL_MB_PER_MINUTE else 1


if __name__ == "__main__":
    sys.exit(main())
