"""The org is a pure function of seed, day and index, and holds every kind of recording."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.sandbox.org import ORDINARY, SPECIAL, Org

END = dt.date(2026, 11, 20)
KINDS = {kind.name for kind in SPECIAL} | {"ordinary", "mp3", "ogg"}


def org_of(per_day: int, *, seed: int = 7, days: int = 3, huge: bool = False) -> Org:
    return Org(seed=seed, days=days, per_day=per_day, end=END, huge=huge)


def everything(org: Org):
    return [org.recording(ordinal) for day in org.dates() for ordinal in org.day(day)]


def test_two_orgs_of_one_seed_are_equal_and_of_two_seeds_share_no_id():
    assert everything(org_of(50)) == everything(org_of(50))
    ids, others = ({each.id for each in everything(org_of(50, seed=seed))} for seed in (1, 2))
    assert len(ids) == 150
    assert not ids & others


def test_a_recording_stays_the_same_when_the_org_covers_more_days():
    assert everything(org_of(40, days=1)) == everything(org_of(40, days=9))[-40:]


@pytest.mark.parametrize("per_day", [30, 31, 45, 60, 100, 180, 1_000])
def test_a_day_of_thirty_or_more_has_every_kind_and_every_state_of_transcripts(per_day):
    recordings = [org_of(per_day).recording(ordinal) for ordinal in org_of(per_day).day(END)]
    assert {each.kind.name for each in recordings} == KINDS
    assert {each.transcript for each in recordings} == {"available", "unavailable", "forbidden"}
    assert any(each.conversation_id is None for each in recordings)
    assert any(each.drops_speaker for each in recordings)
    assert any(each.drops_confidence for each in recordings)
    assert 2 in Counter(each.conversation_id for each in recordings if each.conversation_id).values()


def test_special_recordings_and_missing_transcripts_are_a_small_share():
    org = org_of(1_800)
    recordings = [org.recording(ordinal) for ordinal in org.day(END)]
    special = sum(each.kind in SPECIAL for each in recordings)
    silent = sum(each.transcript == "unavailable" for each in recordings if each.kind == ORDINARY)
    assert 0.06 < special / len(recordings) < 0.09
    assert 0.10 < silent / len(recordings) < 0.14


@pytest.mark.parametrize("per_day", [1, 2, 3, 29, 40, 5_000])
def test_recordings_are_created_in_order_within_their_day_and_touch_both_its_ends(per_day):
    org = org_of(per_day)
    times = [org.recording(ordinal).created for ordinal in org.day(END)]
    midnight = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    assert times == sorted(times)
    assert times[0] == midnight
    assert {each.date() for each in times} == {END}
    if per_day > 1:
        assert times[-1] == midnight + dt.timedelta(days=1) - dt.timedelta(milliseconds=1)


def test_most_calls_come_during_the_working_day():
    org = org_of(2_000)
    hours = Counter(org.recording(ordinal).created.hour for ordinal in org.day(END))
    assert sum(hours[hour] for hour in range(8, 18)) > 0.7 * 2_000


@settings(deadline=None, max_examples=60)
@given(per_day=st.integers(1, 3_000), place=st.integers(0, 10**9), seed=st.integers(0, 10**6))
def test_an_id_leads_back_to_its_recording(per_day, place, seed):
    org = org_of(per_day, seed=seed)
    ordinal = org.day(END)[place % per_day]
    assert org.find(org.recording(ordinal).id) == org.recording(ordinal)


@pytest.mark.parametrize(
    "stranger", ["", "x", "..", "0" * 32, "61198da4-1094-4ecc-9ac9-0f33bec2d3b2", "\u0660" * 32, "a/b", "é"]
)
def test_a_stranger_id_finds_nothing(stranger):
    assert org_of(40).find(stranger) is None


@settings(deadline=None, max_examples=60)
@given(
    per_day=st.integers(0, 60),
    start=st.integers(-100_000_000, 400_000_000),
    length=st.integers(0, 300_000_000),
)
def test_a_range_of_time_lists_exactly_what_was_created_in_it(per_day, start, length):
    org = org_of(per_day)
    first = dt.datetime.combine(org.first_day, dt.time(), dt.UTC) + dt.timedelta(milliseconds=start)
    last = first + dt.timedelta(milliseconds=length)
    expected = [each.ordinal for each in everything(org) if first <= each.created < last]
    assert list(org.between(first, last)) == expected


def test_the_first_recording_of_each_day_is_the_huge_one_when_asked_for():
    org = org_of(40, huge=True)
    assert [org.recording(org.day(day)[0]).kind.name for day in org.dates()] == ["huge"] * 3
    assert {each.kind.name for each in everything(org)} >= KINDS
