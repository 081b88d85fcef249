"""Conversations as pure functions of the org: every recording in one, and intervals that miss and repeat none."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.state import State

END = dt.date(2026, 11, 20)
MIDNIGHT = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def state_of(per_day: int, *, days: int = 3, huge_mb: int = 0) -> State:
    return State(SandboxOptions(bodies="tiny", per_day=per_day, days=days, end=END, huge_mb=huge_mb))


def everything(state: State):
    ordinals = [each for day in state.org.dates() for each in state.org.day(day)]
    firsts = sorted({state.org.first_of_conversation(each) for each in ordinals})
    return [state.conversations.of(each) for each in firsts]


@pytest.mark.parametrize("per_day", [1, 2, 5, 6, 29, 40, 181])
def test_every_recording_is_in_exactly_one_conversation_which_its_id_finds(per_day):
    state = state_of(per_day)
    found = everything(state)
    ids = [each.id for conversation in found for each in conversation.recordings]
    assert len(ids) == len(set(ids)) == 3 * per_day
    for conversation in found:
        assert state.conversations.find(conversation.id) == conversation
        assert all(state.conversations.of_recording(each) == conversation for each in conversation.recordings)
        assert {each.conversation_id for each in conversation.recordings} <= {conversation.id, None}


@settings(deadline=None, max_examples=80)
@given(
    per_day=st.sampled_from([1, 7, 40, 90]),
    huge_mb=st.sampled_from([0, 400]),
    start=st.integers(-100_000_000, 300_000_000),
    length=st.integers(1, 200_000_000),
)
def test_an_interval_shows_exactly_what_was_active_in_it_by_start(per_day, huge_mb, start, length):
    state = state_of(per_day, huge_mb=huge_mb)
    low = dt.datetime.combine(state.org.first_day, dt.time(), dt.UTC) + dt.timedelta(milliseconds=start)
    high = low + dt.timedelta(milliseconds=length)
    expected = [each for each in everything(state) if each.start < high and max(each.end, each.start + EPSILON) > low]
    found = [state.conversations.of(each) for each in state.conversations.active(low, high)]
    assert sorted(each.id for each in found) == sorted(each.id for each in expected)
    assert [each.start for each in found] == sorted(each.start for each in found)


EPSILON = dt.timedelta(microseconds=1)
"""A message has no length, but its moment counts."""


def test_a_huge_call_that_lasts_for_hours_is_active_in_all_of_them():
    state = state_of(40, huge_mb=4_000)
    first = state.org.day(state.org.first_day)[0]
    assert state.conversations.of(first).end > state.conversations.of(first).start + dt.timedelta(hours=30)
    assert first in state.conversations.active(MIDNIGHT - dt.timedelta(hours=18), MIDNIGHT - dt.timedelta(hours=17))


def test_a_day_of_twenty_thousand_is_listed_from_ordinals_alone():
    state = state_of(20_000, days=1)
    firsts = state.conversations.active(MIDNIGHT, MIDNIGHT + dt.timedelta(days=1))
    assert firsts.itemsize * len(firsts) < 160_000
    assert len(firsts) == 20_000 - 1_250
    assert len(set(firsts)) == len(firsts)
