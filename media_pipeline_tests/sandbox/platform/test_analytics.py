"""L1-L5: which conversations an interval shows, in which pages, and how jobs end."""

from __future__ import annotations

import itertools

import pytest

from media_pipeline_tests.sandbox.conftest import logged_in
from media_pipeline_tests.sandbox.platform.conftest import DAY, DETAILS, Platform

NEXT_DAY = "2026-11-21T00:00:00Z/2026-11-22T00:00:00Z"
RECORDED = {"type": "and", "predicates": [{"type": "dimension", "dimension": "recording", "value": "true"}]}


def test_a_conversation_over_midnight_is_seen_by_the_jobs_of_both_days_and_by_the_query_of_one(api, platform, truth):
    last = max(truth, key=lambda each: each["created_time"])["platform"]["conversation_id"]
    assert last in platform.listed()
    assert last in platform.listed(interval=NEXT_DAY)
    assert last not in platform.listed(interval=NEXT_DAY, startOfDayIntervalMatching=True)
    seen = api.post(f"{DETAILS}/query", json={"interval": NEXT_DAY}).json()
    assert seen == {"totalHits": 0}


def test_a_days_first_conversation_began_the_evening_before(platform, truth):
    first = min(truth, key=lambda each: each["created_time"])
    assert first["platform"]["date"] == "2026-11-19"
    assert first["platform"]["conversation_id"] in platform.listed(interval="2026-11-19T23:59:30Z/2026-11-19T23:59:50Z")


def test_pages_follow_the_cursor_and_the_last_has_none(platform):
    job_id = platform.finished_job()
    pages = platform.results(job_id, 10)
    assert [len(page) for page in pages] == [10, 10, 10, 9]
    rows = [each for page in pages for each in page]
    assert rows == platform.results(job_id)[0]
    starts = [each["conversationStart"] for each in rows]
    assert starts == sorted(starts)


def test_a_filter_narrows_and_one_for_recordings_leaves_everything(platform, of):
    everything = platform.listed()
    assert platform.listed(segmentFilters=[RECORDED]) == everything
    by = {"type": "and", "predicates": [{"dimension": "mediaType", "value": "chat"}]}
    assert of(media_type="chat")["platform"]["conversation_id"] in platform.listed(segmentFilters=[by])
    assert len(platform.listed(segmentFilters=[by])) < 3
    never = {"type": "and", "predicates": [{"dimension": "recording", "operator": "notExists"}, by["predicates"][0]]}
    waiting = platform.listed(segmentFilters=[never])
    assert waiting == platform.listed(segmentFilters=[by])  # the queue's own session is not recorded
    one = {"type": "or", "predicates": [{"dimension": "conversationId", "value": everything[3]}]}
    assert platform.listed(conversationFilters=[one]) == everything[3:4]


def test_order_and_limit_are_honoured(platform):
    rising = platform.listed()
    assert platform.listed(order="desc") == rising[::-1]
    assert platform.listed(limit=5) == rising[:5]


@pytest.mark.parametrize(
    "change",
    [
        {"interval": None},
        {"interval": "2026-11-20"},
        {"interval": "yesterday/today"},
        {"interval": "2026-11-21T00:00:00Z/2026-11-20T00:00:00Z"},
        {"order": "sideways"},
        {"orderBy": "mood"},
        {"limit": 0},
        {"startOfDayIntervalMatching": "yes"},
        {"colour": "red"},
        {"segmentFilters": [{"predicates": []}]},
        {"segmentFilters": [{"type": "and"}]},
        {"segmentFilters": [{"type": "and", "predicates": [{"dimension": "weather", "value": "rain"}]}]},
        {"segmentFilters": [{"type": "and", "predicates": [{"dimension": "recording", "value": True}]}]},
        {"segmentFilters": [{"type": "and", "predicates": [{"dimension": "recording", "operator": "is"}]}]},
    ],
)
def test_a_query_that_makes_no_sense_is_a_400_in_error_body(api, change):
    answer = api.post(f"{DETAILS}/jobs", json={"interval": DAY, **change})
    assert answer.status_code == 400
    assert set(answer.json()) >= {"message", "code", "status", "contextId", "details", "errors"}


def test_a_strange_cursor_page_size_or_job_is_refused(api, platform):
    job_id, other = platform.finished_job(), platform.finished_job()
    cursor = api.get(f"{DETAILS}/jobs/{other}/results", params={"pageSize": 5}).json()["cursor"]
    for arguments in ({"cursor": cursor}, {"cursor": "é"}, {"pageSize": 10_001}, {"pageSize": 0}):
        assert api.get(f"{DETAILS}/jobs/{job_id}/results", params=arguments).status_code == 400
    assert api.get(f"{DETAILS}/jobs/stranger").status_code == 404
    assert api.get(f"{DETAILS}/jobs/stranger/results").status_code == 404
    assert api.get(f"{DETAILS}/jobs/{platform.job()}/results").status_code == 400  # not fulfilled yet


def test_the_query_ends_at_the_wall(api):
    body = {"interval": DAY, "paging": {"pageSize": 100, "pageNumber": 1_000}}
    assert set(api.post(f"{DETAILS}/query", json=body).json()) == {"totalHits"}
    body["paging"]["pageNumber"] = 1_001
    answer = api.post(f"{DETAILS}/query", json=body)
    assert answer.status_code == 400
    assert answer.json()["message"] == "Pagination may not exceed 100000 results."
    body["paging"] = {"pageSize": 101}
    assert api.post(f"{DETAILS}/query", json=body).status_code == 400


def test_slices_of_a_day_are_together_the_day(api):
    def page(start: int, end: int) -> list[str]:
        interval = f"2026-11-20T{start:02}:00:00Z/2026-11-20T{end:02}:59:59.999Z"
        body = {"interval": interval, "paging": {"pageSize": 100}}
        answer = api.post(f"{DETAILS}/query", json=body).json()
        assert len(answer.get("conversations", [])) == answer["totalHits"]
        return [each["conversationId"] for each in answer.get("conversations", [])]

    slices = [page(hour, hour + 5) for hour in range(0, 24, 6)]
    assert set(itertools.chain(*slices)) == set(page(0, 23))


def test_a_job_expires_with_the_clock_and_its_results_with_it(sandbox):
    sandbox.state.settings.token_seconds = 172_800
    with logged_in(sandbox.url) as api:
        job_id = Platform(api).finished_job()
        sandbox.state.clock.offset_seconds = 86_390
        assert api.get(f"{DETAILS}/jobs/{job_id}").json()["state"] == "FULFILLED"
        sandbox.state.clock.offset_seconds = 86_410
        assert api.get(f"{DETAILS}/jobs/{job_id}").json()["state"] == "EXPIRED"
        assert api.get(f"{DETAILS}/jobs/{job_id}/results").status_code == 404


@pytest.mark.parametrize("state", ["FAILED", "EXPIRED", "CANCELLED"])
def test_a_job_that_ends_badly_stays_so_and_the_next_one_heals(sandbox, api, platform, state):
    sandbox.break_with({"fault": "job_state", "state": state, "times": 1})
    job_id = platform.job()
    for _ in range(3):
        answer = api.get(f"{DETAILS}/jobs/{job_id}")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
    assert ("errorMessage" in answer.json()) == (state == "FAILED")
    assert api.get(f"{DETAILS}/jobs/{job_id}/results").status_code in (400, 404)
    platform.finished_job()


def test_a_job_may_never_end(sandbox, api, platform):
    sandbox.break_with({"fault": "job_state", "state": "PENDING"})
    job_id = platform.job()
    assert {api.get(f"{DETAILS}/jobs/{job_id}").status_code for _ in range(5)} == {202}


def test_a_job_can_take_its_time_by_the_clock(sandbox, api, platform):
    sandbox.state.settings.prepare_seconds = 60
    job_id, states = platform.job(), []
    for seconds in (0, 31, 61):
        sandbox.state.clock.offset_seconds = seconds
        states.append(api.get(f"{DETAILS}/jobs/{job_id}").json()["state"])
    assert states == ["QUEUED", "PENDING", "FULFILLED"]


def test_what_the_data_lake_does_not_have_yet_is_not_in_the_results(sandbox, platform):
    everything = platform.listed()
    sandbox.state.clock.offset_seconds = -100 * 365 * 86_400.0  # from before the org's end, that end counts instead
    sandbox.state.settings.analytics_lag_hours = 13
    with logged_in(sandbox.url) as api:
        assert api.get(f"{DETAILS}/jobs/availability").json()["dataAvailabilityDate"] == "2026-11-20T12:00:00.000Z"
        assert 0 < len(Platform(api).listed()) < len(everything)


def test_late_recordings_duplicates_and_nameless_ones_reach_this_side_too(sandbox, platform, of):
    everything = platform.listed()
    late = of(kind="ordinary")
    sandbox.break_with({"fault": "late", "hours": 1_000_000.0, "ids": [late["id"]]})
    assert set(everything) - set(platform.listed()) == {late["platform"]["conversation_id"]}
    sandbox.break_with({"fault": "duplicates", "on": "job_results", "count": 2})
    pages = platform.results(platform.finished_job(), 10)
    assert [each["conversationId"] for each in pages[0][-2:]] == [each["conversationId"] for each in pages[1][:2]]
    sandbox.break_with({"fault": "malformed", "on": "job_results"})
    assert "conversationId" not in platform.results(platform.finished_job())[0][-1]
