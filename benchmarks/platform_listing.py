"""What it costs to list a day through the published API: calls per 1,000 recordings, seconds, memory, duplicates.

Materializes recording_inventory by the contract's command in a process of its own, against a sandbox in another, with
the rate budget off; growth is that of resident memory at its highest against the first, small day. Calls are the
server's count. Their formula for n conversations: token, availability, job and its states, ceil(n / 1,000) pages,
ceil(n / 100) batches and their states; metadata, one call for a conversation that has a recording without a link, is
shown apart. At 300 calls a minute the day takes calls / 300 minutes, whatever the seconds here.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import signal
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory import BenchmarkError, Cost, Day, run, sandbox

MAX_GROWTH_MB = 60.0
MAX_CALLS_PER_1000 = 40.0
ASSET = "recording_inventory"


@dataclass(frozen=True, slots=True)
class Listing:
    """What listing a day took and left."""

    day: Day
    cost: Cost
    calls: dict[str, int]
    rows: int
    duplicates: int
    expected: int

    @property
    def budgeted(self) -> float:
        """Calls per 1,000 recordings without metadata."""
        return 1000 * sum(n for name, n in self.calls.items() if name != "metadata") / max(self.rows, 1)


def main() -> int:
    """Measure and print; 1 when a limit is passed or a listing is not the org's day."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", default="2000,100000", help="recordings a day; growth is against the first")
    parser.add_argument("--prepare-seconds", type=int, default=1, help="until a job or batch is ready")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that children and folders go too
    date = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    found: list[Listing] = []
    try:
        for rows in map(int, options.rows.split(",")):
            print(f"Listing {rows:,} recordings ...", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix="listing-benchmark-") as folder:
                found.append(_listing(Day(rows), date, Path(folder), options.prepare_seconds))
    except BenchmarkError as error:
        print(f"platform_listing: {error}", file=sys.stderr)
        return 1
    return _reported(found)


def _listing(day: Day, date: dt.date, home: Path, prepare_seconds: int) -> Listing:
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    with sandbox(day, date, days=2) as url:
        _called(f"{url}/_sandbox/options", {"prepare_seconds": prepare_seconds, "prepare_polls": 0})
        cost = run(url, date, home, (ASSET,), dialect="platform")
        requests = _called(f"{url}/_sandbox/stats")["requests"]
        truths = _called(f"{url}/_sandbox/truth?date={date}&body=0", seconds=600)
        truths += _called(f"{url}/_sandbox/truth?date={date + dt.timedelta(days=1)}&body=0", seconds=600)
    calls = {name: sum(counts.values()) for name, counts in requests.items()}
    expected = {truth["id"] for truth in truths if truth["platform"]["date"] == str(date)}
    ids = _ids(home, date)
    if set(ids) != expected:
        raise BenchmarkError(f"{day}: {len(expected ^ set(ids)):,} recordings are not as the org has them.")
    return Listing(day, cost, calls, len(ids), len(ids) - len(expected), len(expected))


def _called(url: str, body: object = None, *, seconds: float = 30.0):  # type: ignore[no-untyped-def]  # JSON
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method="GET" if data is None else "PUT")  # noqa: S310  the sandbox's
    with urllib.request.urlopen(request, timeout=seconds) as reply:  # noqa: S310
        return json.load(reply)


def _ids(home: Path, date: dt.date) -> list[str]:
    """The first files' ids of the day's inventory."""
    import pyarrow.parquet as pq

    path = home / "media" / "tables" / ASSET / f"date={date}" / "part-0.parquet"
    if not path.exists():
        raise BenchmarkError("The run wrote no inventory.")
    table = pq.read_table(path, columns=["recording_id", "file_index"], partitioning=None)
    return [row["recording_id"] for row in table.to_pylist() if row["file_index"] == 0]


def _reported(found: Sequence[Listing]) -> int:
    print(" recordings  calls/1,000  metadata  wall s  peak MB  growth  twice")
    for listing in found:
        growth = listing.cost.peak_mb - found[0].cost.peak_mb
        print(
            f"{listing.rows:>11,} {listing.budgeted:>12.1f} {listing.calls.get('metadata', 0):>9,} "
            f"{listing.cost.seconds:>7.1f} {listing.cost.peak_mb:>8.0f} {growth:>+7.0f} {listing.duplicates:>6}"
        )
        print(f"{'':>11} " + ", ".join(f"{name} {number:,}" for name, number in sorted(listing.calls.items())))
    worst = max(listing.cost.peak_mb for listing in found) - found[0].cost.peak_mb
    dear = max(listing.budgeted for listing in found)
    passed = worst <= MAX_GROWTH_MB and dear <= MAX_CALLS_PER_1000 and not any(one.duplicates for one in found)
    print(
        f"Limits: {MAX_GROWTH_MB:.0f} MB growth, {MAX_CALLS_PER_1000:.0f} calls per 1,000, none twice: "
        + ("kept." if passed else "NOT kept.")
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
