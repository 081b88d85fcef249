"""What is announced: once per change, durable before anybody hears, in messages that are bounded."""

import datetime as dt
import json

import pytest

from media_pipeline.audit.log import correlation_id
from media_pipeline.notify.announcer import Announcer
from media_pipeline.notify.callbacks import Callbacks
from media_pipeline.notify.events import METADATA_PARSED, RECORDING_QUARANTINED
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.paths import OUTBOX_PREFIX

DAY = dt.date(2026, 11, 20)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "root")


def announced(store, states, event_type=RECORDING_QUARANTINED, run_id="run", told=lambda event: None, close=True):
    """Announce subjects with their states (None: settled); the events."""
    heard = []
    announcer = Announcer(
        store, DAY, run_id, event_type, posted=True, told=lambda event: (heard.append(event), told(event))
    )
    for subject, state in states.items():
        if state is None:
            announcer.settled(subject)
        else:
            announcer.announce(subject, state, {"recording_id": subject})
    if close:
        announcer.close()
    return heard


def batches(store):
    return [store.get_small(key).data for key in sorted(store.sizes(OUTBOX_PREFIX))]


def messages(store):
    return [json.loads(line) for data in batches(store) for line in data.splitlines()]


def test_an_unchanged_state_is_announced_once_and_a_changed_one_again(store):
    (first,) = announced(store, {"a": 1})
    assert announced(store, {"a": 1}, run_id="another run") == []
    (second,) = announced(store, {"a": 2})
    (third,) = announced(store, {"a": 1})
    assert len({first.id, second.id, third.id}) == 3, "back to the old state is news, too"
    assert len(messages(store)) == 3


def test_what_was_settled_between_is_news(store):
    (first,) = announced(store, {"a": 1})
    assert announced(store, {"a": None}) == []
    (second,) = announced(store, {"a": 1})
    assert first.id != second.id


def test_a_run_that_dies_before_it_remembers_gives_the_same_ids_to_the_next(store):
    def dies(event):
        assert messages(store), "durable before anybody is told"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        announced(store, {"a": 1}, told=dies)
    (again,) = announced(store, {"a": 1}, run_id="the next run")
    assert [entry["id"] for entry in messages(store)] == [again.id, again.id]


def test_ten_thousand_interactions_are_a_hundred_messages_of_a_hundred_events(store):
    events = announced(store, {f"conversation-{n}": n for n in range(10_000)}, METADATA_PARSED)
    assert len({event.id for event in events}) == 10_000
    assert len(batches(store)) == 10
    found = messages(store)
    assert len({entry["id"] for entry in found}) == len(found) == 100
    bodies = [json.loads(entry["body"]) for entry in found]
    assert all(len(body["data"]["interactions"]) == 100 for body in bodies)
    assert max(len(entry["body"]) for entry in found) < 64 * 1024
    assert {each["id"] for body in bodies for each in body["data"]["interactions"]} == {event.id for event in events}
    assert announced(store, {f"conversation-{n}": n for n in range(10_000)}, METADATA_PARSED) == []


def test_an_event_carries_the_correlation_id_of_the_audit_log(store):
    announced(store, {"a": 1})
    (entry,) = messages(store)
    body = json.loads(entry["body"])
    assert body["type"] == "recording_quarantined"
    assert body["data"] == {
        "date": "2026-11-20",
        "run_id": "run",
        "correlation_id": correlation_id("run", "a"),
        "recording_id": "a",
    }
    assert dt.datetime.fromisoformat(body["timestamp"]).tzinfo is not None


def test_the_second_file_of_a_recording_has_its_recordings_correlation_id_and_an_id_of_its_own(store):
    announcer = Announcer(store, DAY, "run", RECORDING_QUARANTINED, posted=True, told=lambda event: None)
    for subject in ("a", "a.1"):
        announcer.announce(subject, 1, {"recording_id": "a"}, about="a")
    announcer.close()
    found = messages(store)
    assert len({entry["id"] for entry in found}) == 2
    assert {json.loads(entry["body"])["data"]["correlation_id"] for entry in found} == {correlation_id("run", "a")}


def test_an_id_that_is_no_proper_text_travels_all_the_same(store):
    announcer = Announcer(store, DAY, "run", METADATA_PARSED, posted=True, told=lambda event: None)
    announcer.announce("c", 1, {"interaction_id": "half \ud83d pair"})
    announcer.close()
    (entry,) = messages(store)
    assert json.loads(entry["body"])["data"]["interactions"][0]["interaction_id"] == "half \ud83d pair"


def test_a_memory_that_cannot_be_read_announces_once_more(store):
    announced(store, {"a": 1})
    (key,) = (key for key in store.sizes("announced/") if key.endswith(".json"))
    store.put(key, b"{torn")
    assert len(announced(store, {"a": 1})) == 1


def test_a_callable_that_raises_is_reported_and_the_others_are_called(store):
    heard, reported = [], []

    def breaks(event):
        raise RuntimeError("no https://hooks.example/?token=topsecret today")

    callbacks = Callbacks({RECORDING_QUARANTINED: [breaks, heard.append], METADATA_PARSED: heard.append})
    (event,) = announced(store, {"a": 1}, told=lambda event: callbacks.tell(event, reported.append))
    assert heard == [event]
    (sentence,) = reported
    assert "breaks failed on recording_quarantined" in sentence
    assert "RuntimeError" in sentence
    assert "topsecret" not in sentence


def test_a_callback_for_an_event_that_does_not_exist_is_refused():
    with pytest.raises(Exception, match="There is no event day_complete to call back for"):
        Callbacks({"day_complete": print})
