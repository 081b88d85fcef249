"""kill -9 and broken streams while events come: a short storm of the one that `make storm` raises."""

from media_pipeline_tests.event_storm import rage


def test_every_event_is_a_row_once_whatever_is_killed_and_cut(tmp_path):
    storm = rage(tmp_path / "storm", events=400, disconnects=4, kills=2, seed=11)
    assert (storm.kills, storm.disconnects, len(storm.file_ids)) == (2, 4, 400)


def test_every_file_is_stored_and_told_once_whatever_is_killed_and_cut(tmp_path):
    storm = rage(tmp_path / "storm", events=300, disconnects=2, kills=4, seed=12, uploads=True)
    assert (storm.kills, len(storm.file_ids)) == (4, 300)
    assert "300 files, " in storm.uploads
    assert "0 kills" not in storm.uploads
