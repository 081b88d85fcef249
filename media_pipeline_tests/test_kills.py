"""kill -9 of real runs at random instants, a few of the 200 that `make kills` takes."""

from pathlib import Path

from media_pipeline_tests.kills import CHUNK_BYTES, IN_FLIGHT, kill_days

KILLS = 4


def test_killed_runs_leave_nothing_corrupt_missing_double_or_fetched_in_vain(tmp_path: Path) -> None:
    tally = kill_days(tmp_path, KILLS, seed=11, per_day=60)
    assert tally.kills == KILLS
    assert tally.worst_round_bytes_per_kill <= IN_FLIGHT * CHUNK_BYTES
