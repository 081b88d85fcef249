"""kill -9 of real deliverers at random instants, in front of a receiver that fails and hangs."""

from pathlib import Path

from media_pipeline_tests.notify.delivery_kills import kill_deliveries


def test_killed_deliverers_lose_nothing_and_only_hopeless_messages_are_dead(tmp_path: Path) -> None:
    tally = kill_deliveries(tmp_path, kills=8, seed=3, per_kill=40)
    assert tally.kills == 8
    assert tally.hopeless > 0
    assert tally.announced == 320
