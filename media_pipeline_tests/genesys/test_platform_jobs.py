"""Batches and listings against an API of a few lines: what no sandbox would do or in no time."""

import datetime as dt

import pytest

from media_pipeline.genesys import platform_conversations
from media_pipeline.genesys.errors import (
    MalformedReply,
    ServerError,
)
from media_pipeline.genesys.platform_batches import Batches, Wanted
from media_pipeline.genesys.platform_conversations import DayConversations, query_pages
from media_pipeline.genesys.platform_counting import Counting
from media_pipeline.genesys.source import ListingTally
from media_pipeline_tests.genesys.platform_api import DAY, Api, results, waiter


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
