"""A hold beats every time to live, at every moment it can come; it ends by release or by itself, and nothing else."""

import datetime as dt
import json

import pytest

from media_pipeline.messaging.holds import Holds, UnreadableHold
from media_pipeline.messaging.retention import Policy
from media_pipeline.tables.paths import object_key, silenced_key, thumbnail_key, waveform_key
from media_pipeline_tests.harness import DAY
from media_pipeline_tests.retention.conftest import IN_BOTH, NO_COPY

AT_ONCE = Policy(name="at_once", why="It was rejected.", ttl=dt.timedelta(0), keeps_copy=False)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("subject", "{media}"),
        ("conversation", "c-1"),
        ("day", "{today}"),
        ("day", "2026-01-02"),
    ],
)
def test_what_a_hold_names_is_kept_past_its_deadline_and_the_rest_is_not(bench, kind, value):
    media, other = bench.uploaded(2)
    today = bench.now().date()
    bench.schedule(media, AT_ONCE, day=dt.date(2026, 1, 2))
    if kind != "day" or value != "{today}":
        bench.schedule(other, AT_ONCE, conversation_id="c-2")
    hold = bench.hold(kind, value.format(media=media, today=today))
    bench.work()
    row = bench.row(media)
    assert (row["state"], row["hold_id"], row["detail"]) == ("held", hold.hold_id, "Legal: case 7")
    assert bench.there(media)
    if other in bench.rows():
        assert not bench.there(other)
    bench.move(days=400)
    bench.work()
    assert bench.there(media)
    bench.release(hold)
    bench.work()  # freed
    bench.work()
    assert not bench.there(media)


def test_a_hold_on_a_recording_keeps_the_recording(published):
    bench = published
    recording = bench.org.ordinary(1)[0]
    conversation = bench.org.truth()[recording]["platform"]["conversation_id"]
    bench.schedule(recording, AT_ONCE, kind="recording", conversation_id=conversation)
    bench.hold("recording", recording)
    bench.work()
    assert bench.row(recording)["state"] == "held"
    assert bench.writes("recording_change") == []


def test_a_hold_on_a_recording_keeps_our_own_objects_of_it(bench):
    recording, other = "a.b/0 c", "a.b/0 cd"
    audio, part, theirs = (
        object_key(DAY, recording, 0, False, "wav"),
        object_key(DAY, recording, 1, True, "ogg"),
        object_key(DAY, other, 0, False, "wav"),
    )
    derived = [silenced_key(audio), thumbnail_key(DAY, "i", recording, recording, 0), waveform_key(DAY, recording, 0)]
    for key in (audio, part, theirs, *derived):
        bench.store.put(key, b"RIFF")
        bench.schedule(key, AT_ONCE, kind="local_object")
    bench.hold("recording", recording)
    bench.work()
    states = {key: row["state"] for key, row in bench.rows().items()}
    assert states == dict.fromkeys([audio, part, *derived], "held") | {theirs: "deleted"}
    assert bench.store.version(audio) is not None


def test_a_hold_on_a_day_keeps_our_own_objects_of_that_day(bench):
    before = DAY - dt.timedelta(days=1)
    ours, other = (object_key(day, "r", 0, False, "wav") for day in (DAY, before))
    for key in (ours, other):
        bench.store.put(key, b"RIFF")
        bench.schedule(key, AT_ONCE, kind="local_object")
    bench.hold("day", str(DAY))
    bench.work()
    assert {key: row["state"] for key, row in bench.rows().items()} == {ours: "held", other: "deleted"}


def test_an_expired_hold_ends_by_itself(bench):
    (media,) = bench.uploaded()
    bench.schedule(media, AT_ONCE)
    bench.hold("conversation", "c-1", until=bench.now() + dt.timedelta(hours=1))
    bench.work()
    bench.move(minutes=59)
    bench.work()
    assert bench.there(media)
    bench.move(minutes=1, seconds=1)
    bench.work()
    bench.work()
    assert not bench.there(media)


def test_of_two_holds_the_one_that_is_left_still_keeps(bench):
    (media,) = bench.uploaded()
    bench.schedule(media, AT_ONCE)
    first, second = bench.hold("conversation", "c-1"), bench.hold("subject", media)
    bench.work()
    for hold in (first, second):
        assert bench.there(media)
        bench.release(hold)
        bench.work()
        bench.work()
    assert not bench.there(media)


def test_what_has_no_known_conversation_is_kept_by_every_conversations_hold(bench):
    (media,) = bench.uploaded()
    bench.schedule(media, AT_ONCE, conversation_id=None)
    bench.hold("conversation", "whichever")
    bench.work()
    assert bench.row(media)["state"] == "held"


def test_a_hold_takes_back_what_the_source_would_delete_by_itself(bench):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.work()
    bench.move(minutes=10)
    hold = bench.hold("conversation", "c-1")
    bench.work()
    assert bench.row(media)["source_retention"] == "withdrawn"
    bench.move(minutes=10)
    assert bench.there(media), "its 15 minutes at the source are over"
    for _ in range(30):  # longer than the guides' retention can be: it is renewed
        bench.move(days=30)
        bench.work()
    assert bench.there(media)
    bench.release(hold)
    bench.work()
    bench.work()
    assert not bench.there(media)
    assert bench.row(media)["certificate"] == "deleted"


@IN_BOTH
def test_a_hold_takes_back_a_recordings_date(published):
    bench = published
    recording = bench.org.ordinary(1)[0]
    conversation = bench.org.truth()[recording]["platform"]["conversation_id"]
    bench.schedule(recording, AT_ONCE, kind="recording", conversation_id=conversation)
    bench.work()
    assert bench.row(recording)["state"] == "retention_set"
    bench.hold("conversation", conversation)
    bench.work()
    bench.move(days=30)
    bench.work()
    found = bench.target.is_gone(_doomed(bench.row(recording)), lambda: None)
    assert (bench.row(recording)["state"], found) == ("held", False)


def test_a_hold_that_cannot_be_made_good_says_so_and_is_tried_on(bench):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.work()
    bench.hold("conversation", "c-1")
    bench.org.break_with({"fault": "server_error", "on": ["media_retention"], "times": 1})
    tally = bench.work()
    assert (bench.row(media)["state"], bench.row(media)["reason"]) == ("held", "not_withdrawn")
    assert tally.problems
    assert sum(day.not_withdrawn for day in tally.index.days.values()) == 1
    bench.move(minutes=15)  # its deadline
    bench.org.sandbox.state.messaging.sending.find(media).ends = None
    bench.work()
    assert (bench.row(media)["reason"], bench.row(media)["source_retention"]) == ("hold", "withdrawn")


def test_what_was_gone_when_the_hold_came_is_told_and_not_kept_in_the_books(bench):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.work()
    bench.move(minutes=16)
    bench.hold("conversation", "c-1")
    tally = bench.work()
    assert (bench.row(media)["state"], bench.row(media)["reason"]) == ("deleted", "gone_before_hold")
    assert "gone when the hold" in tally.problems[0]


@IN_BOTH
def test_a_hold_that_comes_at_the_last_moment_keeps_the_request_back(bench):
    """It is written after the run has chosen, marked and begun; the next request looks first."""
    media = bench.uploaded(6)
    for each in media:
        bench.schedule(each, AT_ONCE)
    held = []

    def emit(event, **_):
        if event == "media_deleted" and not held:
            held.append(bench.hold("day", str(bench.now().date())))

    bench.work(emit=emit)
    states = sorted(row["state"] for row in bench.rows().values())
    assert states == ["deleted", *["held"] * 5]
    assert sum(map(bench.there, media)) == 5
    assert all(row["certificate"] is None for row in bench.rows().values() if row["state"] == "held")


def test_what_a_dead_run_had_marked_is_in_doubt_under_a_hold_and_never_claimed(bench):
    (media,) = bench.uploaded()
    bench.schedule(media, AT_ONCE)

    def die(*_, **__):
        raise MemoryError

    bench.target.delete, delete = die, bench.target.delete
    with pytest.raises(MemoryError):
        bench.work()
    assert bench.row(media)["state"] == "marked"
    bench.target.delete = delete
    hold = bench.hold("subject", media)
    bench.work()
    row = bench.row(media)
    assert (row["state"], row["reason"], row["certificate"]) == ("held", "marked_before_hold", "in_doubt")
    assert bench.there(media)
    bench.release(hold)
    bench.work()
    bench.move(minutes=2)
    bench.work()
    assert bench.row(media)["certificate"] == "deleted"


def test_a_hold_that_cannot_be_read_stops_every_deletion(bench):
    (media,) = bench.uploaded()
    bench.schedule(media, AT_ONCE)
    bench.store.put("retention/holds/abc.json", b'{"hold_id": "abc"')
    with pytest.raises(UnreadableHold, match="nothing is deleted"):
        bench.work()
    assert bench.there(media)


@IN_BOTH
def test_a_hold_that_is_lost_stops_every_deletion_until_it_is_added_anew_and_released(bench):
    media, other = bench.uploaded(2)
    bench.schedule(media, AT_ONCE)
    hold = bench.hold("conversation", "c-1")
    bench.work()
    bench.store.remove(f"retention/holds/{hold.hold_id}.json")
    bench.schedule(other, AT_ONCE, conversation_id="c-2")
    for _ in range(2):
        with pytest.raises(UnreadableHold, match=f"{hold.hold_id}.json keeps .* add the hold anew"):
            bench.work()
        assert bench.row(media)["state"] == "held"
        assert bench.there(other)
    anew = bench.hold("conversation", "c-1")
    bench.work(only_holds=True)
    bench.work()
    assert (bench.row(media)["hold_id"], bench.there(media), bench.there(other)) == (anew.hold_id, True, False)
    bench.release(anew)
    bench.work()
    bench.work()
    assert not bench.there(media)


def test_a_lost_hold_keeps_no_new_hold_from_its_work(bench):
    media, other = bench.uploaded(2)
    bench.schedule(media, AT_ONCE)
    lost = bench.hold("subject", media)
    bench.work()
    bench.store.remove(f"retention/holds/{lost.hold_id}.json")
    bench.schedule(other, AT_ONCE)
    bench.hold("subject", other)
    bench.work(only_holds=True)
    assert bench.row(other)["state"] == "held"


def test_held_conversations_are_protected_at_the_source_until_their_last_hold_ends(published):
    bench, state = published, published.org.sandbox.state
    first = bench.hold("conversation", "c-9", until=bench.now() + dt.timedelta(hours=1))
    bench.hold("subject", "whatever")
    bench.work(protects=False)
    assert state.protected == frozenset()
    second = bench.hold("conversation", "c-9")
    bench.work(protects=True)
    assert state.protected == {"c-9"}
    bench.move(hours=2)
    bench.work(protects=True)
    assert state.protected == {"c-9"}
    bench.release(second)
    bench.work(protects=True)
    assert state.protected == frozenset()
    assert [event["event"] for event in bench.events] == [
        *["conversation_protected"] * 2,
        *["conversation_no_longer_protected"] * 2,
    ]
    assert all(not hold.protected for hold in Holds(bench.store).all())
    assert first.hold_id in {event["hold_id"] for event in bench.events}


def test_a_missing_permission_to_protect_is_told_and_stops_nothing(published):
    bench = published
    bench.org.sandbox.state.permissions -= {"recording:deletionProtection:apply"}
    bench.hold("conversation", "c-9")
    tally = bench.work(protects=True)
    assert "recording:deletionProtection:apply" in tally.problems[0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"kind": "nothing"}, "names what it keeps"),
        ({"value": " "}, "names what it keeps"),
        ({"who": ""}, "who asks"),
        ({"why": ""}, "why"),
        ({"kind": "day", "value": "yesterday"}, "isoformat"),
        ({"until": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "ended already"),
    ],
)
def test_a_hold_that_keeps_nothing_is_refused(tmp_path, given, sentence):
    from media_pipeline.storage.local import LocalStore

    whole = {"kind": "subject", "value": "x", "who": "w", "why": "y", "now": dt.datetime.now(dt.UTC)} | given
    with pytest.raises(ValueError, match=sentence):
        Holds(LocalStore(tmp_path)).add(**whole)


@IN_BOTH
def test_a_released_hold_keeps_its_story(bench):
    hold = bench.hold("conversation", "c-1")
    bench.release(hold)
    (kept,) = Holds(bench.store).all()
    assert (kept.released_by, kept.released_why, kept.why) == ("Legal", "case closed", "case 7")
    stored = json.loads(bench.store.get_small(f"retention/holds/{hold.hold_id}.json").data)
    assert stored["released_at"]
    assert Holds(bench.store).release("0" * 12, who="x", why="y", now=bench.now()) is None


def _doomed(row):
    from media_pipeline.messaging.deletion_steps import doomed

    return doomed(row)


def test_a_policy_without_copies_is_what_these_tests_use():
    assert not AT_ONCE.keeps_copy
    assert not NO_COPY.keeps_copy
