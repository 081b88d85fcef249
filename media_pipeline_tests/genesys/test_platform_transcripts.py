"""A transcript document becomes segments: offsets, sides, and names only where they are certain."""

import json

import pytest

from media_pipeline.genesys.errors import MalformedReply
from media_pipeline.genesys.platform_transcripts import parse, segments_of

START = 1_611_163_200_000


def phrase(start, end, side="internal", **more):
    return {
        "text": "hello",
        "startTimeMs": START + start,
        "duration": {"milliseconds": end - start},
        "participantPurpose": side,
    } | more


def agent(user_id, start, end=None, purpose="agent"):
    times = {"startTimeMs": START + start} | ({} if end is None else {"endTimeMs": START + end})
    return {"participantPurpose": purpose, "userId": user_id} | times


def segments(*phrases, participants=(), **more):
    document = {"startTime": START, "participants": list(participants), "transcripts": [{"phrases": list(phrases)}]}
    return segments_of(parse(json.dumps(document | more).encode()))


def test_absolute_times_become_offsets_in_order_of_time():
    found = segments(phrase(5_000, 6_000), phrase(1_230, 2_130, "external"))
    assert [(s.start_ms, s.end_ms) for s in found] == [(1_230, 2_130), (5_000, 6_000)]


def test_the_customer_is_the_external_side_and_a_side_not_named_stays_unknown():
    customer, nobody = segments(phrase(0, 1, "external"), phrase(2, 3, None))
    assert (customer.speaker, customer.channel, customer.participant_purpose) == ("customer", 0, "customer")
    assert (nobody.speaker, nobody.channel, nobody.participant_purpose) == ("unknown", None, None)


@pytest.mark.parametrize(
    ("participants", "speaker", "purpose"),
    [
        ([agent("one", 0)], "one", "agent"),
        ([agent("one", 0, 5_000), agent("two", 5_000)], "two", "agent"),
        ([agent("one", 0), agent("two", 4_000)], "internal", "agent"),
        ([agent("one", 0), agent(None, 0, None, "ivr")], "internal", None),
        ([agent(None, 0, None, "ivr")], "internal", "ivr"),
        ([agent("one", 0, 1_000)], "internal", None),
        ([agent("one", 0, 5_500), agent("one", 5_500)], "one", "agent"),
        ([], "internal", None),
    ],
)
def test_an_agent_is_named_only_where_the_times_leave_one(participants, speaker, purpose):
    (found,) = segments(phrase(5_000, 6_000), participants=participants)
    assert (found.speaker, found.participant_purpose, found.channel) == (speaker, purpose, 1)


def test_confidence_is_the_words_mean_else_the_phrases_else_none():
    words = [{"confidence": 0.5}, {"word": "x"}, {"confidence": 1.0}]
    found = segments(
        phrase(0, 1, words=words, confidence=0.1), phrase(2, 3, words=[], confidence=0.25), phrase(4, 5, words=None)
    )
    assert [s.confidence for s in found] == [0.75, 0.25, None]


def test_one_odd_field_does_not_cost_the_transcript():
    odd = phrase(0, 1, confidence="high", words=[{"confidence": "0.5"}, {"confidence": 1}])
    without_end, whole = phrase(2_000, 3_000, confidence="high"), phrase(4_000, 5_000)
    del without_end["duration"]
    found = segments(odd, without_end, whole, participants=[agent(17, 0)])
    assert [(s.start_ms, s.end_ms, s.confidence) for s in found] == [
        (0, 1, 1),
        (2_000, 2_000, None),
        (4_000, 5_000, None),
    ]
    assert {s.speaker for s in found} == {"17"}


def test_a_document_without_phrases_is_an_empty_transcript():
    assert segments_of(parse(b'{"transcripts": null}')) == []
    assert segments_of(parse(b"{}")) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"transcripts": [{"phrases": [{"text": "secret"}]}]}',
        b'{"transcripts": "secret"}',
        b'{"startTime": "secret"}',
        b'{"startTime": 1000000000000000000000000000000}',
        b'{"transcripts": [{"phrases": [{"startTimeMs": 1e300, "duration": {}, "text": "secret"}]}]}',
        b'{"transcripts": [{"phrases": [{"startTimeMs": 1, "duration": {}, "confidence": 1%s}]}]}' % (b"0" * 400),
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_malformed_document_is_refused_without_repeating_it(data):
    with pytest.raises(MalformedReply) as refused:
        parse(data)
    assert "secret" not in str(refused.value)


def test_phrases_without_any_start_time_are_refused():
    with pytest.raises(MalformedReply, match="when it starts"):
        segments(phrase(0, 1), startTime=None)


def test_a_hundred_thousand_phrases_are_parsed_in_seconds():
    words = [{"word": "hello", "confidence": 0.9, "startTimeMs": START, "duration": {"milliseconds": 30}}] * 3
    assert len(segments(*(phrase(n * 10, n * 10 + 9, words=words) for n in range(100_000)))) == 100_000
