"""What the UI shows must be short enough to be shown."""

import datetime as dt

from media_pipeline.metadata import SHOWN_INLINE_CHARACTERS, outcomes_picture
from media_pipeline.transfer.outcome import REASONS


def test_the_picture_of_a_day_is_shown_without_a_click_however_large_the_day():
    every = {status: 123_456 for status, _ in REASONS.values()} | {"stored": 1_234_567}
    picture = outcomes_picture(dt.date(2026, 11, 20), every, {"source": 987_654_321_000, "stored": 876_543_210_000})
    assert len(picture.value) < SHOWN_INLINE_CHARACTERS
    for status in every:
        assert f"{status} " in picture.value


def test_an_empty_day_has_a_picture_too():
    assert "0 recordings" in outcomes_picture(dt.date(2026, 11, 20), {}, {}).value
