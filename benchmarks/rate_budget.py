"""How much of the API's limit the runs of one machine use together, and how often they are refused, at the real rate.

Four processes of four threads ask as fast as their shared budget lets them, each for itself as in a run, against
servers that answer like the API and count; the first minute is the warm-up. All cases run at the same time: they wait
far more than they work.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from media_pipeline.genesys.pacing import Pacer
from media_pipeline_tests.genesys.rate_contest import Figures, Limit, compete

CONFIGURED = 300
LEAST_USED = 0.90
MOST_REFUSED = 0.01
CALLS_MEASURED = 2000
CASES = {
    "300 a minute allowed": (300, {}),
    "the same, a lock holder killed each second": (300, {"disturb": True}),
    "300 in any minute allowed": (300, {"rolling": True}),
    "180 allowed, 300 configured": (180, {}),
    "40 % of 300 used by another machine": (300, {"others": 0.4}),
}


def main() -> int:
    """Measure and print; 1 when a case uses less than 90 % or is refused more than 1 %."""
    parser = argparse.ArgumentParser(description="The shared rate budget at the real rate.")
    parser.add_argument("--minutes", type=int, default=2, help="after the first, which is the warm-up")
    options = parser.parse_args()
    print(f"Asking for {1 + options.minutes} minutes ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="rate-benchmark-") as name:
        folder = Path(name)
        with ThreadPoolExecutor(len(CASES)) as pool:
            figures = list(pool.map(lambda case: _measured(folder, case, options.minutes), CASES))
        overhead = _overhead_seconds(folder / "overhead.budget")
    for case, found in zip(CASES, figures, strict=True):
        print(f"{case:45} {found}")
    print(f"{'a call that need not wait':45} {overhead * 1e6:.0f} us")
    return 0 if all(f.used >= LEAST_USED and f.refused <= MOST_REFUSED for f in figures) else 1


def _measured(folder: Path, case: str, minutes: int) -> Figures:
    allowed, others = CASES[case]
    chosen = dict(others)
    limit = Limit(allowed, 60.0, rolling=bool(chosen.pop("rolling", False)))
    own = folder / str(list(CASES).index(case))
    own.mkdir()
    return compete(own, limit, configured=CONFIGURED, periods=minutes, **chosen)


def _overhead_seconds(file: Path) -> float:
    pacer = Pacer(2 * CALLS_MEASURED, file)
    began = time.perf_counter()
    for _ in range(CALLS_MEASURED):
        pacer.acquire()
    return (time.perf_counter() - began) / CALLS_MEASURED


if __name__ == "__main__":
    sys.exit(main())
