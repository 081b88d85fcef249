"""verify of a sample: drawn from all days alike, bounded, and the same for the same seed."""

from collections import Counter

from media_pipeline.tables.verification import sampled_rows, verify_days, verify_sample
from media_pipeline_tests.harness import DAY
from media_pipeline_tests.verify.conftest import BEFORE, edit_table, path_of, stored


def drawn(tables, count, seed):
    def damaged(day, error):
        raise AssertionError(day) from error

    return [(day, row["object_key"]) for day, row in sampled_rows(tables, [BEFORE, DAY], count, seed, damaged)]


def test_a_sample_takes_days_alike_is_bounded_and_can_be_drawn_again(two_days):
    tables = two_days[0].tables
    available = sum(len(stored(done)) for done in two_days)

    assert drawn(tables, 10, 1) == drawn(tables, 10, 1) != drawn(tables, 10, 2)
    assert Counter(day for day, _ in drawn(tables, 10, 3)) == {BEFORE: 5, DAY: 5}
    assert len({drawn(tables, 1, seed)[0] for seed in range(20)}) > 10
    everything = drawn(tables, 10_000, 4)
    assert len(everything) == len(set(everything)) == available
    assert len(set(drawn(tables, available - 1, 5))) == available - 1
    assert verify_days(tables, [BEFORE, DAY], sample=7, seed=1).objects == 7


def test_what_a_small_day_cannot_give_the_others_give(two_days):
    tables = two_days[0].tables
    edit_table(two_days[0], lambda rows: [r for r in rows if r["status"] == "stored"][:2])
    for seed in range(4):
        days = Counter(day for day, _ in drawn(tables, 12, seed))
        assert days == {BEFORE: 2, DAY: 10}


def test_a_sample_ends_when_its_bytes_are_read(done):
    sizes = [row["stored_size_bytes"] for row in stored(done)]
    result = verify_sample(done.tables, [DAY], objects=1000, max_bytes=sum(sizes) // 2, seed=1)
    assert 0 < result.objects < len(sizes)
    assert verify_sample(done.tables, [DAY], objects=1000, max_bytes=1, seed=1).objects == 1


def test_a_sample_still_compares_every_listing(two_days):
    path_of(two_days[0], stored(two_days[0])[0]["object_key"]).unlink()
    result = verify_days(two_days[0].tables, [BEFORE, DAY], sample=1, seed=1)
    assert result.counts == {"missing": 1}
