"""Single values out of foreign JSON: the wanted type or nothing, whatever stands there."""

import pytest

from media_pipeline.genesys.values import MOST_BYTES, count, milliseconds, number, seconds, size


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan"), True, "1", None, [], {}])
def test_what_is_no_number_is_nothing(value):
    assert number(value) is None
    assert milliseconds(value) is None
    assert count(value) is None


@pytest.mark.parametrize("value", [2**63, 10**400, -1, 1.0])
def test_a_count_that_no_table_can_hold_is_nothing(value):
    assert count(value) is None
    assert count(2**63 - 1) == 2**63 - 1


@pytest.mark.parametrize("value", [10**15 + 1, -1e16, 1e300])
def test_a_time_that_is_none_is_nothing(value):
    assert milliseconds(value) is None
    assert (milliseconds(1.6), milliseconds(-2)) == (2, -2)


@pytest.mark.parametrize("value", [-0.5, 1e17, 1e300, float("nan"), None])
def test_a_length_that_nothing_has_is_nothing(value):
    assert seconds(value) is None
    assert (seconds(0), seconds(86_400.5)) == (0.0, 86_400.5)


@pytest.mark.parametrize("value", [-1, 2**62, 1.5, MOST_BYTES + 1])
def test_a_size_that_no_file_has_is_nothing(value):
    assert size(value) is None
    assert size(MOST_BYTES) == MOST_BYTES
