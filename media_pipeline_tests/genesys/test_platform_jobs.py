"""Batches, links and listings against an API of a few lines: what no sandbox would do or in no time."""

import datetime as dt
import threading
from collections import Counter

import pytest

from media_pipeline.genesys import platform_conversations
from media_pipeline.genesys.errors import (
    AuthenticationError,
    MalformedReply,
    NotFound,
    RateLimited,
    Refused,
    ServerError,
    StillPreparing,
)
from media_pipeline.genesys.pacing import Patience
from media_pipeline.genesys.platform_account import Account
from media_pipeline.genesys.platform_batches import Batches, DeliveredFile, Delivery, Job, Wanted
from media_pipeline.genesys.platform_conversations import DayConversations, query_pages
from media_pipeline.genesys.platform_counting import Counting
from media_pipeline.genesys.platform_facts import Conversation
from media_pipeline.genesys.platform_links import MOST_AHEAD, FileWanted, Links
from media_pipeline.genesys.platform_listing import FAILURES_IN_A_ROW, VAIN_GAPS, Recordings
from media_pipeline.genesys.platform_polling import Pace, Waiter
from media_pipeline.genesys.source import Known, ListingTally

DAY = dt.date(2026, 11, 20)
FIRST = FileWanted(0)


class Api:
    """Answers each operation with a function of method, path and body; counts calls."""

    def __init__(self, **answers):
        self.answers, self.calls = answers, Counter()

    def call(self, operation, method, path, *, permission, body=None, accepted=(200,), decode=None, patience=None):
        self.calls[operation] += 1
        return self.answers[operation](path, body)

    def get_json(self, operation, path, *, permission):
        return self.call(operation, "GET", path, permission=permission)


def waiter():
    return Waiter(Patience(first_wait_seconds=0.001, deadline_seconds=0.05))


def results(*names, **more):
    listed = [{"conversationId": c, "recordingId": r, "resultUrl": u, "contentType": "audio/wav"} for c, r, u in names]
    return {"status": "Completed", "results": listed, "expectedResultCount": len(listed)} | more


def collected(*states, wanted=("c",)):
    replies = iter(states)
    api = Api(batch_submit=lambda *_: {"id": "job"}, batch_state=lambda *_: next(replies))
    batches = Batches(api, waiter())
    return batches.collect(batches.submit([Wanted(each) for each in wanted])), api


def test_files_of_a_recording_keep_their_places_when_results_change_theirs():
    one, two = ("c", "r", "https://s3/a?X-Amz-Signature=9"), ("c", "r", "https://s3/b?X-Amz-Signature=1")
    for order in ((one, two), (two, one), (one, two, one)):
        delivery, _ = collected(results(*order))
        assert [file.link for file in delivery.files["c", "r"]] == [one[2], two[2]]


def test_a_file_that_is_signed_twice_is_one_file():
    signed = "https://s3/{}?X-Amz-Date=1&X-Amz-Expires=600&X-Amz-Signature={}".format
    delivery, _ = collected(results(*(("c", "r", signed(name, n)) for n, name in enumerate(("b", "a", "b", "a")))))
    assert [file.link for file in delivery.files["c", "r"]] == [signed("a", 1), signed("b", 0)]
    delivery, _ = collected(results(("c", "r", "https://h/get?part=1&Signature=x"), ("c", "r", "https://h/get?part=2")))
    assert len(delivery.files["c", "r"]) == 2, "what is no signature may tell files apart"


def test_results_never_asked_for_are_counted_and_left():
    delivery, _ = collected(results(("c", "r", "https://s3/a"), ("other", "r", "https://s3/b")))
    assert list(delivery.files) == [("c", "r")]
    assert delivery.ignored == 1
    api = Api(batch_submit=lambda *_: {"id": "j"}, batch_state=lambda *_: results(("c", "x", "u"), ("c", "r", "v")))
    batches = Batches(api, waiter())
    delivery = batches.collect(batches.submit([Wanted("c", "r")]))
    assert (list(delivery.files), delivery.ignored) == ([("c", "r")], 1)


def test_a_batch_that_completes_with_less_than_it_announced_is_asked_once_more():
    short, whole = results(("c", "r", "u"), expectedResultCount=2), results(("c", "r", "u"), ("c", "s", "v"))
    delivery, api = collected(short, whole)
    assert len(delivery.files) == 2
    assert api.calls["batch_state"] == 2
    delivery, api = collected(short, short)
    assert (len(delivery.files), delivery.finished) == (1, True)


def test_a_batch_that_never_completes_gives_what_it_has():
    stuck = results(("c", "r", "u"), status="InProgress", expectedResultCount=9)
    delivery, _ = collected(*[stuck] * 1000)
    assert (list(delivery.files), delivery.finished) == ([("c", "r")], False)


def test_an_error_of_an_item_is_kept_without_its_secrets():
    error = {"conversationId": "c", "recordingId": "r", "errorMsg": "No https://s3/a?X-Amz-Signature=topsecret"}
    delivery, _ = collected({"status": "Completed", "results": [error, {"conversationId": "c"}, "nonsense"]})
    assert "topsecret" not in delivery.refused["c", "r"]
    assert delivery.refused["c", ""]


def test_links_never_show_in_a_repr():
    delivery, _ = collected(results(("c", "r", "https://s3/a?topsecret")))
    assert "topsecret" not in repr(delivery)


class FakeBatches:
    """Every recording has one file; links are numbered by batch."""

    def __init__(self, expires="600"):
        self.submitted, self.expires, self.fail = [], expires, None

    def submit(self, wanted):
        if self.fail:
            raise self.fail
        self.submitted.append([item.recording_id for item in wanted])
        now = Waiter(Patience()).now()
        return Job(str(len(self.submitted)), tuple(wanted), now, Pace(now, now, 0.0))

    def collect(self, job):
        delivery = Delivery(job.submitted, finished=True)
        for item in job.wanted:
            if not item.recording_id.startswith("gone"):
                link = f"https://s3/{item.recording_id}?job={job.id}&X-Amz-Expires={self.expires}"
                delivery.add((item.conversation_id, item.recording_id), DeliveredFile(link, "audio/wav"))
        return delivery


def keys(count):
    return [("c", f"r{number:04}") for number in range(count)]


def links_of(batches):
    return Links(batches, waiter(), lambda: 3600.0)


def test_what_is_expected_is_asked_for_a_hundred_at_a_time():
    batches = FakeBatches()
    links = links_of(batches)
    links.expect(keys(250))
    assert [len(batch) for batch in batches.submitted] == [100, 100]
    assert all(isinstance(links.take(key, FIRST), DeliveredFile) for key in keys(250))
    assert [len(batch) for batch in batches.submitted] == [100, 100, 50]


def test_what_a_listing_learned_is_not_asked_for():
    batches = FakeBatches()
    links = links_of(batches)
    links.learn(batches.collect(batches.submit([Wanted(*key) for key in keys(100)])))
    links.expect(keys(100))
    assert all(isinstance(links.take(key, FIRST), DeliveredFile) for key in keys(100))
    assert len(batches.submitted) == 1


class FilesOfOne(FakeBatches):
    """Batches of one recording; `next` says which files come, with "!" for one that is refused."""

    def __init__(self, *following):
        super().__init__()
        self.following = list(following)

    def collect(self, job):
        delivery = Delivery(job.submitted, finished=True)
        for name in self.following.pop(0):
            if name == "!":
                delivery.refused["c", "r"] = "An error occurred."
            else:
                link = f"https://s3/{name}?X-Amz-Signature={job.id}&X-Amz-Expires=600"
                delivery.add(("c", "r"), DeliveredFile(link, "audio/wav"))
        return delivery


def wanted(name, index, of):
    return FileWanted(index, DeliveredFile(f"https://s3/{name}", None).identity, of)


def names(links, *asked):
    found = (links.take(("c", "r"), each) for each in asked)
    return [None if isinstance(each, Delivery) else each.link[len("https://s3/")] for each in found]


def test_a_file_of_several_is_found_wherever_it_comes_in_a_delivery():
    a, b = wanted("a", 0, 2), wanted("b", 1, 2)
    assert names(links_of(FilesOfOne("ab")), a, b) == ["a", "b"]
    assert names(links_of(FilesOfOne("ab")), wanted("a", 1, 2), wanted("b", 0, 2)) == ["a", "b"]
    assert names(links_of(FilesOfOne("ab", "ab")), b, b) == ["b", "b"]


@pytest.mark.parametrize("later", ["b", "!b", "bc", "!bc", "!", ""])
def test_a_link_that_is_asked_for_anew_is_never_another_file(later):
    a, b = wanted("a", 0, 2), wanted("b", 1, 2)
    assert names(links_of(FilesOfOne("ab", later)), a, a) == ["a", None]
    held = links_of(FilesOfOne("ab", later, later))
    assert names(held, a, b, a) == ["a", "b", None]


def test_the_only_file_of_a_recording_may_lie_elsewhere_by_now():
    assert names(links_of(FilesOfOne("x")), wanted("a", 0, 1)) == ["x"]
    for grown in ("xy", "!x"):
        assert names(links_of(FilesOfOne(grown)), wanted("a", 0, 1)) == [None]
    grown = links_of(FilesOfOne("az", "xz"))
    assert names(grown, wanted("z", 0, 1), wanted("z", 0, 1)) == ["z", "z"], "what is left of two is no only file"


def test_where_no_file_stays_in_its_place_as_many_as_were_listed_keep_their_order():
    a, b = wanted("a", 0, 2), wanted("b", 1, 2)
    assert names(links_of(FilesOfOne("xy", "vw", "tu")), a, b, a) == ["x", "w", "t"]
    for other in ("x", "xyz"):
        assert names(links_of(FilesOfOne(other, other)), a) == [None]


def test_a_link_is_handed_out_once():
    batches = FakeBatches()
    links = links_of(batches)
    first, second = links.take(("c", "r"), FIRST), links.take(("c", "r"), FIRST)
    assert first.link != second.link


def test_no_more_is_asked_ahead_than_can_be_used():
    batches = FakeBatches()
    links_of(batches).expect(keys(5_000))
    assert sum(map(len, batches.submitted)) == MOST_AHEAD


def test_links_that_die_before_their_use_make_the_look_ahead_shorter():
    batches = FakeBatches(expires="0")
    links = links_of(batches)
    for start in range(0, 2_000, 100):
        links.expect(keys(2_000)[start : start + 100])
        for key in keys(2_000)[start : start + 100]:
            assert isinstance(links.take(key, FIRST), DeliveredFile)
    assert min(map(len, batches.submitted)) <= 10


def test_what_a_batch_leaves_out_is_told_from_what_it_brings():
    links = links_of(FakeBatches())
    links.expect([("c", "gone")])
    assert isinstance(links.take(("c", "gone"), FIRST), Delivery)


def test_an_error_reaches_all_who_wait_and_the_next_ask_anew():
    batches = FakeBatches()
    links = links_of(batches)
    batches.fail = ServerError("down")
    links.expect(keys(100))
    for key in keys(2):
        with pytest.raises(ServerError, match="down"):
            links.take(key, FIRST)
    batches.fail = None
    assert isinstance(links.take(keys(1)[0], FIRST), DeliveredFile)


def test_many_threads_share_batches():
    batches = FakeBatches()
    links = links_of(batches)
    taken, wanted = [], keys(400)
    links.expect(wanted)

    def work(part):
        taken.extend(links.take(key, FIRST).link for key in wanted[part::8])

    threads = [threading.Thread(target=work, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(set(taken)) == 400
    assert [len(batch) for batch in batches.submitted] == [100] * 4


def test_a_listing_over_the_wall_is_sliced_and_lists_everything_once(monkeypatch):
    """15,000 conversations, all in the day's last minute; each is found by every slice it touches."""
    monkeypatch.setattr(platform_conversations, "WALL", 10_000)
    midnight = dt.datetime.combine(DAY, dt.time(), dt.UTC)
    start_of = {f"c{n}": midnight + dt.timedelta(hours=23, minutes=59, milliseconds=n * 4) for n in range(15_000)}

    def query(_path, body):
        start, end = (dt.datetime.fromisoformat(each) for each in body["interval"].split("/"))
        found = [c for c, at in start_of.items() if start < at + dt.timedelta(seconds=5) and at < end]
        number, size = body["paging"]["pageNumber"], body["paging"]["pageSize"]
        assert number * size <= 10_000
        page = found[(number - 1) * size : number * size]
        shown = [{"conversationId": c, "conversationStart": start_of[c].isoformat()} for c in page]
        return {"conversations": shown, "totalHits": len(found)}

    api = Api(availability=lambda *_: {"dataAvailabilityDate": "2026-11-20T12:00:00.000Z"}, query=query)
    tally = ListingTally()
    found = [c.id for c in DayConversations(api, waiter()).of(DAY, tally)]
    assert sorted(found) == sorted(start_of)
    assert tally.duplicates > 0
    assert tally.basis == "analytics_query"


def near_live(query):
    return Api(availability=lambda *_: {"dataAvailabilityDate": "2026-11-20T12:00:00.000Z"}, query=query)


def test_a_query_that_does_not_count_is_paged_to_its_end():
    def query(_path, body):
        number, size = body["paging"]["pageNumber"], body["paging"]["pageSize"]
        page = range((number - 1) * size, min(number * size, 250))
        return {"conversations": [{"conversationId": f"c{n}", "conversationStart": f"{DAY}T10:00:00Z"} for n in page]}

    assert len(list(DayConversations(near_live(query), waiter()).of(DAY, ListingTally()))) == 250


def test_a_page_that_is_null_is_empty():
    api = Api(
        availability=lambda *_: {"dataAvailabilityDate": "2999-01-01T00:00:00.000Z"},
        job_submit=lambda *_: {"jobId": "j"},
        job_state=lambda *_: {"state": "FULFILLED"},
        job_results=lambda *_: {"conversations": None},
    )
    assert list(DayConversations(api, waiter()).of(DAY, ListingTally())) == []
    assert list(DayConversations(near_live(lambda *_: {"conversations": None}), waiter()).of(DAY, ListingTally())) == []


def test_a_total_may_be_written_as_a_float():
    assert Counting(Api(query=lambda *_: {"totalHits": 250.0})).conversations(DAY) == 250
    for nonsense in (2.5, "250", None, -1, float("inf")):
        with pytest.raises(MalformedReply, match="no totalHits"):
            Counting(Api(query=lambda *_, total=nonsense: {"totalHits": total})).conversations(DAY)


def test_a_query_that_counts_more_than_it_shows_is_no_complete_day():
    def query(_path, body):
        shown = [{"conversationId": "c", "conversationStart": f"{DAY}T10:00:00Z"}]
        return {"conversations": shown if body["paging"]["pageNumber"] == 1 else [], "totalHits": 101}

    with pytest.raises(ServerError, match="counts 101 conversations and shows 1"):
        list(DayConversations(near_live(query), waiter()).of(DAY, ListingTally()))


@pytest.mark.parametrize(("counted", "a_page"), [(5, 100), (0, 100), (250, 50), (100, 100), (5, 50), (250, 100)])
def test_a_query_ends_where_its_pages_end_whatever_is_counted(counted, a_page):
    """A server may count wrong, and may have smaller pages than it was asked for."""

    def query(_path, body):
        first = (body["paging"]["pageNumber"] - 1) * a_page
        return {"conversations": [{"conversationId": f"c{n}"} for n in range(250)][first : first + a_page]} | {
            "totalHits": counted
        }

    pages = query_pages(Api(query=query), {}, *hours())
    assert [each["conversationId"] for page in pages for each in page] == [f"c{n}" for n in range(250)]


def test_a_query_whose_pages_repeat_themselves_ends_with_an_error():
    same = {"conversations": [{"conversationId": "c"}], "totalHits": 9}
    with pytest.raises(MalformedReply, match="repeat themselves"):
        list(query_pages(Api(query=lambda *_: same), {}, *hours()))


def hours():
    start = dt.datetime.combine(DAY, dt.time(), dt.UTC)
    return start, start + dt.timedelta(hours=24)


def test_a_cursor_may_be_a_number_and_nothing_else():
    pages = {"": {"conversations": [{"conversationId": "a"}], "cursor": 1}, "&cursor=1": {"conversations": []}}

    def job_results(path, _body):
        return pages[path.partition("pageSize=1000")[2]]

    api = Api(
        availability=lambda *_: {"dataAvailabilityDate": "2999-01-01T00:00:00.000Z"},
        job_submit=lambda *_: {"jobId": "j"},
        job_state=lambda *_: {"state": "FULFILLED"},
        job_results=job_results,
    )
    list(DayConversations(api, waiter()).of(DAY, ListingTally()))
    assert api.calls["job_results"] == 2
    pages[""]["cursor"] = {"next": 1}
    with pytest.raises(MalformedReply, match="neither text nor a number"):
        list(DayConversations(api, waiter()).of(DAY, ListingTally()))


def test_a_cursor_that_comes_twice_ends_the_listing_with_an_error():
    api = Api(
        availability=lambda *_: {"dataAvailabilityDate": "2026-11-22T00:00:00.000Z"},
        job_submit=lambda *_: {"jobId": "j"},
        job_state=lambda *_: {"state": "FULFILLED"},
        job_results=lambda *_: {"conversations": [], "cursor": "again"},
    )
    with pytest.raises(MalformedReply, match="repeat themselves"):
        list(DayConversations(api, waiter()).of(DAY, ListingTally()))


def test_conversations_of_other_days_are_counted_and_left():
    entries = [
        {"conversationId": "before", "conversationStart": "2026-11-19T23:59:59.999Z"},
        {"conversationId": "first", "conversationStart": "2026-11-20T00:00:00.000Z"},
        {"conversationId": "first", "conversationStart": "2026-11-20T00:00:00.000Z"},
        {"conversationId": "last", "conversationStart": "2026-11-20T23:59:59.999Z"},
        {"conversationId": "after", "conversationStart": "2026-11-21T00:00:00.000Z"},
        {"conversationStart": "2026-11-20T10:00:00.000Z"},
    ]
    api = Api(
        availability=lambda *_: {"dataAvailabilityDate": "2026-11-21T00:00:00.000Z"},
        job_submit=lambda *_: {"jobId": "j"},
        job_state=lambda *_: {"state": "FULFILLED"},
        job_results=lambda *_: {"conversations": entries},
    )
    tally = ListingTally()
    assert [c.id for c in DayConversations(api, waiter()).of(DAY, tally)] == ["first", "last"]
    assert (tally.other_days, tally.duplicates, tally.malformed) == (2, 1, 1)


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
        Links(Batches(api, waiter()), waiter(), lambda: 3600.0).take(("c", "r"), FIRST)


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
