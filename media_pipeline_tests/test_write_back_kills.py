"""kill -9 of real runs that write annotations back, a few of what `make kills` takes; both dialects."""

from pathlib import Path

import pytest

from media_pipeline_tests.write_back_kills import kill_runs

KILLS = 4


@pytest.mark.parametrize("dialect", ["guide", "platform"])
def test_killed_runs_leave_one_effective_set_and_send_nothing_in_vain(tmp_path: Path, dialect: str) -> None:
    tally = kill_runs(tmp_path, dialect, KILLS, seed=7)
    assert tally.kills == KILLS
    assert tally.killed_while_sending >= 2
