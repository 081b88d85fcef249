"""Asks the same questions in several ways, round by round, and takes the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from duckdb import DuckDBPyConnection

OF_ONE_COLUMN = ("recording_audio", "status", "select status, count(*) from recording_audio group by all")
"""A table, one of its columns and a group-by that reads no other."""

GROUP_BYS: dict[str, str | None] = {
    "select date, status, reason, count(*), sum(size_bytes) from availability_report group by all": (
        "select date, status, reason, count(*), sum(source_bytes) from recording_facts group by all"
    ),
    "select date, status, count(*), sum(stored_size_bytes) from recording_audio group by all": (
        "select date, status, count(*), sum(stored_bytes) from recording_facts group by all"
    ),
    "select date, media_type, format, count(*), sum(duration_seconds) from recording_inventory group by all": (
        "select date, media_type, format, recordings, duration_seconds from storage_utilization_daily"
    ),
    "select date, count(distinct conversation_id) from availability_report group by all": (
        "select date, conversations from availability_daily"
    ),
    "select hour(created_at), count(*), avg(size_bytes) from availability_report group by all": (
        "select hour(started_at), count(*), avg(source_bytes) from recording_facts group by all"
    ),
    "select date, status, sum(segments) from transcript_status group by all": (
        "select date, transcript_status, sum(segments) from recording_facts where file_index = 0 group by all"
    ),
    "select participant_purpose, sum(end_ms - start_ms) from diarized_transcripts group by all": (
        "select side, sum(talk_seconds) from speaker_talk_time group by all"
    ),
    "select speaker, count(*), sum(pii_redacted) from diarized_transcripts group by all": None,
    "select date, sum(calls) filter (http_status = 429), sum(retries) from export_runs group by all": (
        "select date, refused_calls, retries from export_throughput_daily"
    ),
    OF_ONE_COLUMN[2]: ("select status, count(*) from recording_facts group by all"),
}
"""Group-bys over all days, of a table and of the mart that has the answer; the last reads next to nothing of a file."""

Ways = Mapping[str, tuple[DuckDBPyConnection, str]]


@dataclass(slots=True)
class Measured:
    """Seconds by the clock and of CPU, a value a round."""

    clock: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, connection: DuckDBPyConnection, query: str) -> None:
        """Ask once more; all rows are taken."""
        began, cpu_began = time.perf_counter(), time.process_time()
        connection.execute(query).fetchall()
        self.clock.append(time.perf_counter() - began)
        self.cpu.append(time.process_time() - cpu_began)

    @property
    def seconds(self) -> float:
        """The median by the clock."""
        return median(self.clock)

    def against(self, other: Measured) -> tuple[float, float]:
        """How many times as long, by the clock and of CPU: medians of the rounds' ratios."""
        return (
            median(mine / its for mine, its in zip(self.clock, other.clock, strict=True)),
            median(mine / its for mine, its in zip(self.cpu, other.cpu, strict=True)),
        )


def ask_all(questions: Mapping[str, Ways], rounds: int, told: Callable[[str], None]) -> dict[str, dict[str, Measured]]:
    """Each question in all its ways, `rounds` times after once to warm up."""
    found: dict[str, dict[str, Measured]] = {}
    for name, asked in questions.items():
        told(f"Asking: {name}")
        found[name] = {way: Measured() for way in asked}
        for connection, query in asked.values():
            connection.execute(query).fetchall()
        for number in range(rounds):
            order = list(asked.items())
            for way, (connection, query) in order if number % 2 else reversed(order):
                found[name][way].add(connection, query)
    return found
