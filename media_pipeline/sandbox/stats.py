"""What the sandbox was asked, counted: tests compare it with what a client claims. No timing, no history."""

from __future__ import annotations

from collections import Counter, defaultdict

from media_pipeline.sandbox.wire import Operation

_PUBLISHED = ("recording", "metadata", "transcript_url", "transcript_file")
"""Operations of the published API that name one recording; batches are counted as a whole."""


class Stats:
    """Requests by operation and status, body bytes by operation, and both by recording."""

    def __init__(self) -> None:
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but the requests in flight."""
        self._requests: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._bytes: Counter[str] = Counter()
        self._recordings: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._in_flight_max = self._in_flight

    def begin(self) -> None:
        """A request starts."""
        self._in_flight += 1
        self._in_flight_max = max(self._in_flight_max, self._in_flight)

    def end(self) -> None:
        """A request is over, answered or not."""
        self._in_flight -= 1

    def record(self, operation: Operation, recording_id: str | None, status: int, sent_bytes: int) -> None:
        """Count one reply; bytes are body bytes handed to the connection."""
        self._requests[operation][str(status)] += 1
        self._bytes[operation] += sent_bytes
        if recording_id is not None:
            counts = self._recordings[recording_id]
            counts[operation] += 1
            if operation == "file":
                counts["bytes"] += sent_bytes

    def snapshot(self, *, recordings: bool) -> dict[str, object]:
        """Everything counted; per recording only on request, because there may be many."""
        counted: dict[str, object] = {
            "requests": {operation: dict(statuses) for operation, statuses in self._requests.items()},
            "bytes": dict(self._bytes),
            "in_flight_max": self._in_flight_max,
        }
        if recordings:
            columns = ("media", "link", "transcript", *_PUBLISHED, "file", "bytes")
            counted["recordings"] = {
                recording_id: {column: counts[column] for column in columns}
                for recording_id, counts in self._recordings.items()
            }
        return counted
