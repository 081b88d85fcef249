"""What is due when, and what is to be done: every state, with and without a hold, with the switch on and off."""

import datetime as dt
import itertools

import pytest

from media_pipeline.messaging.deciding import LONGEST_WAIT, next_step, waits, when
from media_pipeline.messaging.holds import Hold
from media_pipeline.messaging.retention import Policy, Subject, decoded, due_at, encoded, entry, merged

T = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
POLICY = Policy(name="p", why="w")
HOLD = Hold(hold_id="h", kind="conversation", value="c", who="w", why="y", added_at=T)


def row(kind="attachment", **changes):
    return entry(Subject(kind=kind, id="uploads/x", conversation_id="c"), POLICY, now=T) | changes


@pytest.mark.parametrize(
    ("ttl", "routed", "expected"),
    [
        (15 * MINUTE, None, 15 * MINUTE),
        (15 * MINUTE, MINUTE, 15 * MINUTE),
        (15 * MINUTE, 15 * MINUTE, 15.5 * MINUTE),
        (15 * MINUTE, 14.5 * MINUTE, 15 * MINUTE),
        (0 * MINUTE, 0 * MINUTE, 0.5 * MINUTE),
        (0 * MINUTE, -MINUTE, 0 * MINUTE),
        (400 * 1440 * MINUTE, None, 400 * 1440 * MINUTE),
    ],
)
def test_due_is_the_time_to_live_and_never_within_half_a_minute_of_routing(ttl, routed, expected):
    assert due_at(T, ttl, None if routed is None else T + routed) == T + expected


def test_moments_are_utc_and_whole_milliseconds_and_never_naive():
    local = dt.timezone(dt.timedelta(hours=5))
    made = entry(Subject(kind="recording", id="r"), POLICY, now=T.astimezone(local) + dt.timedelta(microseconds=1_999))
    assert made["scheduled_at"] == T + dt.timedelta(milliseconds=1)
    assert made["scheduled_at"].tzinfo is dt.UTC
    with pytest.raises(ValueError, match="no time zone"):
        entry(Subject(kind="recording", id="r"), POLICY, now=T.replace(tzinfo=None))


def test_a_row_survives_its_way_through_json():
    made = row(subject_day=dt.date(2026, 3, 1), routed_at=T, source_delete_date=T)
    assert decoded(encoded(made)) == made


def test_waits_double_up_to_six_hours():
    assert [waits(n) // MINUTE for n in range(6)] == [0, 1, 3, 7, 15, 31]
    assert waits(101) - waits(100) == LONGEST_WAIT


SET = {"state": "retention_set", "source_retention": "15m"}
ORDERED = SET | {"kind": "recording", "source_retention": "2026-03-02", "source_delete_date": T + 720 * MINUTE}
WITHDRAWN = {
    "state": "held",
    "hold_id": "h",
    "source_retention": "withdrawn",
    "source_delete_date": T + 60 * 1440 * MINUTE,
}
CASES = [
    # state, minutes since it was scheduled, hold, allowed, what is to be done
    (row(), 0, None, True, "set"),
    (row(), 0, None, False, None),
    (row(), 0, HOLD, True, "hold"),
    (row(), 15, None, True, "delete"),
    (row(), 15, None, False, "would_delete"),
    (row(), 14.99, None, False, None),
    (row(), -60, None, True, None),  # this clock is behind that of who scheduled
    (row(attempts=2), 2.9, None, True, None),
    (row(attempts=2), 3, None, True, "set"),
    (row(source_retention="15m"), 1, None, True, "set"),  # whether the source took it is not known
    (row(source_retention="15m"), 1, HOLD, True, "withdraw"),
    (row(source_retention="refused"), 1, None, True, None),
    (row(source_retention="refused"), 15, None, True, "delete"),
    (row(kind="recording"), 1, None, True, None),
    (row(kind="recording"), 15, None, True, "delete"),
    (row(kind="local_object"), 15, None, False, "delete"),
    (row(kind="local_object"), 15, HOLD, False, "hold"),
    (row(kind="local_object"), 14, None, True, None),
    (row() | SET, 14.99, None, True, None),
    (row() | SET, 15, None, True, "delete"),
    (row() | SET, 15, None, False, "would_delete"),
    (row() | SET, 15, HOLD, True, "withdraw"),
    (row() | SET | {"attempts": 1}, 15.9, None, True, None),
    (row() | SET | {"attempts": 1}, 16, None, True, "delete"),
    (row() | ORDERED, 700, None, True, None),
    (row() | ORDERED, 720, None, True, "confirm"),
    (row() | ORDERED, 720, None, False, "confirm"),
    (row() | ORDERED, 700, HOLD, True, "withdraw"),
    (row(state="marked"), 15, None, True, "delete"),
    (row(state="marked"), 15, HOLD, True, "hold"),
    (row(state="failed", attempts=1), 15, None, True, None),
    (row(state="failed", attempts=1), 16, None, True, "delete"),
    (row(state="held", hold_id="h"), 15, HOLD, True, None),
    (row(state="held", hold_id="other"), 15, HOLD, True, "hold"),
    (row(state="held", hold_id="h"), 15, None, True, "free"),
    (row() | SET | {"state": "held", "hold_id": "h"}, 15, HOLD, True, "withdraw"),
    (row() | WITHDRAWN, 15, HOLD, True, None),
    (row() | WITHDRAWN, 31 * 1440, HOLD, True, "withdraw"),
    (row() | WITHDRAWN, 15, None, True, "free"),
    (row(state="would_delete"), 20, None, True, "delete"),
    (row(state="would_delete"), 20, None, False, None),
    (row(state="would_delete"), 20, HOLD, True, "hold"),
    *(
        (row(state=state), 10_000, hold, True, None)
        for state in ("deleted", "gone", "not_offered")
        for hold in (None, HOLD)
    ),
]


@pytest.mark.parametrize(("entry_", "minutes", "hold", "allowed", "step"), CASES)
def test_what_is_to_be_done_next(entry_, minutes, hold, allowed, step):
    assert next_step(entry_, T + minutes * MINUTE, hold, allowed) == step


def test_whenever_there_is_something_to_do_by_time_alone_the_index_names_that_moment():
    """Else a day would sleep over it."""
    for entry_, hold, allowed in itertools.product([case[0] for case in CASES], (None, HOLD), (True, False)):
        moment = when(entry_)
        for minutes in (-60, 0, 1, 14, 15, 16, 20, 719, 720, 45_000):
            now = T + minutes * MINUTE
            step = next_step(entry_, now, hold, allowed)
            if step not in (None, "hold", "free", "withdraw") and entry_["state"] != "would_delete":
                assert moment is not None, (entry_, now, step)
                assert moment <= now, (entry_, now, step)


@pytest.mark.parametrize("state", ["marked", "deleted", "gone", "not_offered"])
def test_what_is_on_its_way_out_is_not_scheduled_anew(state):
    known = row(state=state)
    assert merged(known, row(due=T + 60 * MINUTE)) == known


def test_again_learns_what_is_new_and_lives_no_longer():
    later = entry(
        Subject(kind="attachment", id="x", conversation_id="c"), POLICY, now=T + 10 * MINUTE, routed_at=T + MINUTE
    )
    again = merged(row(sha256="ab"), later)
    assert (again["due"], again["routed_at"], again["sha256"]) == (T + 15 * MINUTE, T + MINUTE, "ab")
    assert merged(again, row()) == again


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Subject(kind="attachment", id=""),
        lambda: Subject(kind="thought", id="x"),
        lambda: Policy(name="", why="w"),
        lambda: Policy(name="p", why="w", ttl=-MINUTE),
    ],
)
def test_what_could_never_be_deleted_is_refused_when_it_is_scheduled(bad):
    with pytest.raises(ValueError, match=r"nothing that|A policy has"):
        bad()
