"""The recordings of a day's conversations: each has its row, whatever a batch leaves out."""

import datetime as dt

import pytest

from media_pipeline.genesys.errors import (
    AuthenticationError,
    MalformedReply,
    NotFound,
    RateLimited,
    Refused,
    ServerError,
    StillPreparing,
)
from media_pipeline.genesys.platform_account import Account
from media_pipeline.genesys.platform_batches import Batches, DeliveredFile
from media_pipeline.genesys.platform_facts import Conversation
from media_pipeline.genesys.platform_links import FileWanted, Links
from media_pipeline.genesys.platform_listing import FAILURES_IN_A_ROW, VAIN_GAPS, Recordings
from media_pipeline.genesys.source import Known, ListingTally
from media_pipeline_tests.genesys.platform_api import DAY, Api, results, waiter


def conversations(*ids):
    return [Conversation(each, dt.datetime.combine(DAY, dt.time(), dt.UTC), "call", (), (), ()) for each in ids]


def listing(api):
    batches = Batches(api, waiter())
    return Recordings(api, batches, Links(batches, waiter(), lambda: 3600.0))


@pytest.mark.parametrize("known", [[], [{"id": "other", "fileState": "ARCHIVED"}]])
def test_a_recording_that_a_batch_names_and_metadata_does_not_has_a_row(known):
    reply = results() | {"results": [{"conversationId": "c", "recordingId": "r", "errorMsg": "An error occurred."}]}
    api = Api(batch_submit=lambda *_: {"id": "job"}, batch_state=lambda *_: reply, metadata=lambda *_: known)
    tally = ListingTally()
    found = {each.recording_id: each.file_state for each in listing(api).of(conversations("c"), tally)}
    assert found == {"r": "undelivered"} | ({"other": "archived"} if known else {})
    assert tally.without_recording == 0


@pytest.mark.parametrize("lost", ["batch_submit", "batch_state"])
def test_a_batch_that_is_not_known_does_not_pass_for_recordings_without_files(lost):
    def unknown(*_):
        raise NotFound("Genesys Cloud does not know what was asked for.")

    api = Api(**{"batch_submit": lambda *_: {"id": "job"}, "batch_state": lambda *_: results()} | {lost: unknown})
    with pytest.raises(ServerError, match="was lost"):
        Links(Batches(api, waiter()), waiter(), lambda: 3600.0).take(("c", "r"), FileWanted(0))


def without_metadata_of(broken, error, delivered=()):
    """Batches that deliver only these; metadata of some conversations fails, of all others it names an archived one."""

    def metadata(path, _body):
        conversation_id = path.split("/")[4]
        if conversation_id in broken:
            raise error
        return [{"id": f"r-{conversation_id}", "fileState": "ARCHIVED"}]

    return Api(
        batch_submit=lambda *_: {"id": "job"},
        batch_state=lambda *_: results(*((c, f"r-{c}", f"https://s3/{c}?X-Amz-Expires=9") for c in delivered)),
        metadata=metadata,
    )


@pytest.mark.parametrize(
    "error", [ServerError("down."), Refused("400.", 400), StillPreparing("202."), NotFound("404.")]
)
def test_a_conversation_that_cannot_be_asked_about_does_not_fail_its_neighbours(error):
    ids = [f"c{number}" for number in range(9)]
    api, tally = without_metadata_of({"c4"}, error, delivered=ids[:3]), ListingTally()
    found = {each.recording_id: each.file_state for each in listing(api).of(conversations(*ids), tally)}
    assert found == {f"r-{c}": "available" if c in ids[:3] else "archived" for c in ids if c != "c4"}
    assert tally.unreadable == 1
    assert "c4" in tally.troubles[0]


def test_a_source_that_answers_for_no_conversation_stops_the_listing_after_a_few():
    ids = [f"c{number}" for number in range(50)]
    api = without_metadata_of(ids, ServerError("It kept failing."))
    with pytest.raises(ServerError, match=f"{FAILURES_IN_A_ROW} conversations in a row have: It kept failing"):
        list(listing(api).of(conversations(*ids), ListingTally()))
    assert api.calls["metadata"] == FAILURES_IN_A_ROW


def test_failures_that_are_not_in_a_row_stop_nothing():
    ids = [f"c{number}" for number in range(50)]
    api, tally = without_metadata_of(ids[::2], ServerError("It kept failing.")), ListingTally()
    assert len(list(listing(api).of(conversations(*ids), tally))) == 25
    assert tally.unreadable == 25


@pytest.mark.parametrize("error", [RateLimited("429"), AuthenticationError("401")])
def test_what_no_conversation_would_be_spared_stops_the_listing_at_once(error):
    api = without_metadata_of({"c0"}, error)
    with pytest.raises(type(error)):
        list(listing(api).of(conversations("c0", "c1"), ListingTally()))


def test_what_is_known_of_a_conversation_stands_while_it_cannot_be_asked_about():
    known = [Known(recording_id="r", file_index=0, file_state="pending")]
    api = without_metadata_of({"c"}, ServerError("down."))
    assert list(listing(api).again(conversations("c"), {"c": known}, ListingTally())) == known


def test_a_recording_that_a_listing_missed_once_is_found_when_it_is_listed_again():
    known = [Known(recording_id="r-c", file_index=0, file_state="deleted")]
    api = without_metadata_of((), None, delivered=["c"])
    (found,) = listing(api).again(conversations("c"), {"c": known}, ListingTally())
    assert found.file_state == "available"


@pytest.mark.parametrize("grants", [None, "none", {}])
def test_grants_that_are_no_list_are_not_known(grants):
    with pytest.raises(MalformedReply, match="not a list"):
        Account(Api(client=lambda *_: {"grants": grants}), "id").grants()


def test_files_that_are_listed_again_keep_the_indexes_they_had():
    first, second = (DeliveredFile(f"https://s3/{name}", None).identity for name in "zy")
    known = [
        Known(recording_id="r", file_index=0, file_state="available", source_file=first),
        Known(recording_id="r", file_index=1, file_state="deleted", source_file=second),
    ]
    delivered = results(("c", "r", "https://s3/y?X-Amz-Expires=9"), ("c", "r", "https://s3/z?X-Amz-Expires=9"))
    api = Api(batch_submit=lambda *_: {"id": "job"}, batch_state=lambda *_: delivered)
    found = listing(api).again(conversations("c"), {"c": known}, ListingTally())
    assert {one.file_index: (one.file_state, one.source_file) for one in found} == {
        0: ("available", first),
        1: ("available", second),
    }


def test_what_is_settled_is_not_asked_about_again():
    known = {c: [Known(recording_id="r", file_index=0, file_state=c)] for c in ("available", "archived")}
    api = Api()
    assert list(listing(api).again(conversations(*known), known, ListingTally())) == [one for (one,) in known.values()]
    assert not api.calls


def with_a_gap(metadata, *, gap=1, delivered=("c0", "c1", "c2"), errors=0):
    """A batch per hundred conversations that delivers one recording of each and announces more."""
    asked = {}

    def submit(_path, body):
        asked[f"job{len(asked)}"] = [entry["conversationId"] for entry in body["batchDownloadRequestList"]]
        return {"id": f"job{len(asked) - 1}"}

    def state(path, _body):
        mine = [c for c in asked[path.split("/")[-1]] if c in delivered]
        reply = results(*((c, f"r-{c}", f"https://s3/{c}?X-Amz-Expires=9") for c in mine))
        refused = [{"conversationId": c, "recordingId": f"e-{c}", "errorMsg": "No."} for c in mine[:errors]]
        found = reply["results"] + refused
        return reply | {
            "results": found,
            "resultCount": len(found),
            "errorCount": len(refused),
            "expectedResultCount": len(found) + gap,
        }

    def of_conversation(path, _body):
        conversation_id = path.split("/")[4]
        return [{"id": f"r-{conversation_id}", "fileState": "AVAILABLE"}, *metadata.get(conversation_id, [])]

    return Api(batch_submit=submit, batch_state=state, metadata=of_conversation)


@pytest.mark.parametrize(
    ("state", "expected"), [("UPLOADING", "pending"), ("AVAILABLE", "undelivered"), ("ARCHIVED", "archived")]
)
def test_a_further_recording_that_was_announced_and_did_not_come_has_its_row(state, expected):
    api, tally = with_a_gap({"c1": [{"id": "second", "fileState": state}]}), ListingTally()
    found = {each.recording_id: each.file_state for each in listing(api).of(conversations("c0", "c1", "c2"), tally)}
    assert found == {"r-c0": "available", "r-c1": "available", "r-c2": "available", "second": expected}
    assert tally.missing_results == 0


def test_an_error_does_not_hide_what_did_not_come():
    api = with_a_gap({"c1": [{"id": "second", "fileState": "UPLOADING"}]}, errors=1)
    found = {each.recording_id: each.file_state for each in listing(api).of(conversations("c0", "c1"), ListingTally())}
    assert (found["second"], found["e-c0"]) == ("pending", "undelivered")


def test_a_day_that_brought_what_it_announced_asks_for_no_metadata():
    api, tally = with_a_gap({}, gap=0), ListingTally()
    assert len(list(listing(api).of(conversations("c0", "c1", "c2"), tally))) == 3
    assert (api.calls["metadata"], tally.missing_results) == (0, 0)


def test_what_is_missing_and_known_already_is_not_looked_for_again():
    api = with_a_gap({}, delivered=("c0", "c1"))
    api.answers["metadata"] = lambda *_: [{"id": "r-c2", "fileState": "UPLOADING"}]
    tally = ListingTally()
    assert len(list(listing(api).of(conversations("c0", "c1", "c2"), tally))) == 3
    assert (api.calls["metadata"], tally.missing_results) == (1, 0)


def test_no_conversation_is_asked_about_twice_for_a_gap():
    api = with_a_gap({}, delivered=("c0", "c1"), gap=2)
    api.answers["metadata"] = lambda path, _: [{"id": f"r-{path.split('/')[4]}", "fileState": "UPLOADING"}]
    tally = ListingTally()
    assert len(list(listing(api).of(conversations("c0", "c1", "c2"), tally))) == 3
    assert (api.calls["metadata"], tally.missing_results) == (3, 1)


def test_a_source_that_always_announces_too_much_is_asked_a_few_times_and_counted():
    ids = [f"c{number}" for number in range(1_000)]
    api, tally = with_a_gap({}, delivered=ids), ListingTally()
    assert len(list(listing(api).of(conversations(*ids), tally))) == 1_000
    assert api.calls["metadata"] == VAIN_GAPS * 100
    assert tally.missing_results == 10


def test_a_further_recording_that_is_known_is_asked_about_until_it_comes():
    known = {
        "c1": [
            Known(recording_id="r-c1", file_index=0, file_state="available"),
            Known(recording_id="second", file_index=0, file_state="pending"),
        ]
    }
    api = with_a_gap({"c1": [{"id": "second", "fileState": "UPLOADING"}]}, gap=0)
    found = listing(api).again(conversations("c1"), known, ListingTally())
    assert {one.recording_id: one.file_state for one in found} == {"r-c1": "available", "second": "pending"}
