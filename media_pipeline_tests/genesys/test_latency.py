"""Times of calls: quantiles within 1 %, bounded memory, and a step's share of its run."""

import random

import pytest

from media_pipeline.genesys.latency import bucket_of, latencies
from media_pipeline.genesys.pacing import CallStats


def exact(values: list[float], share: float) -> float:
    return sorted(values)[max(0, -(-int(share * 100) * len(values) // 100) - 1)]


@pytest.mark.parametrize("spread", [0.2, 1.0, 3.0])
def test_quantiles_are_right_within_one_percent(spread):
    chance, stats = random.Random(1), CallStats()
    times = [chance.lognormvariate(-3, spread) for _ in range(20_000)]
    for seconds in times:
        stats.called("media", 200, seconds)
    found = latencies(stats.buckets)["media"]
    assert found.calls == 20_000
    for share, shown in ((0.5, found.p50_ms), (0.95, found.p95_ms), (0.99, found.p99_ms)):
        assert shown == pytest.approx(exact(times, share) * 1000, rel=0.0102)


def test_memory_does_not_grow_with_calls_or_with_absurd_times():
    chance, stats = random.Random(2), CallStats()
    for _ in range(50_000):
        stats.called("list", 200, chance.choice([0.0, -1.0, 1e-9, 1e9]) or chance.lognormvariate(0, 10))
    assert len(stats.buckets) < 1_000
    assert bucket_of(1e9) == bucket_of(3_600)


def test_a_step_has_the_figures_of_its_own_calls():
    stats = CallStats()
    for _ in range(10):
        stats.called("list", 200, 10.0)
    before = stats.snapshot()
    for _ in range(3):
        stats.called("list", 200, 0.1)
    stats.called("list", 503, 0.1)
    stats.called("list", 0)
    own = stats.since(before)
    found = latencies(own.buckets)["list"]
    assert found.calls == 4
    assert found.p99_ms == pytest.approx(100, rel=0.01)
    assert own.errors("list") == 2, "a broken connection is one, although it has no time"
