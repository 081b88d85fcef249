"""Transcript documents are fetched from their host without a token, again when the link expired, never trusted."""

import httpx
import pytest

from media_pipeline.genesys import platform_documents
from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.errors import GenesysError, MalformedReply, NotFound, PermissionMissing, ServerError
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.platform_documents import Documents
from media_pipeline.genesys.source import ListedRecording
from media_pipeline_tests.transfer.serving import plain, serving

LINK = "https://bucket.s3.amazonaws.com/t.json?X-Amz-Signature=topsecret"
EMPTY = b'{"transcripts": []}'


class Api:
    """Answers T1 and T2 by communication; an exception is raised."""

    def __init__(self, answers=None):
        self.answers, self.asked = answers or {}, []

    def get_json(self, operation, path, *, permission):
        *_, communication, kind = path.split("/")
        self.asked.append((communication, kind))
        answer = self.answers.get((communication, kind), {"url": LINK})
        if isinstance(answer, Exception):
            raise answer
        return answer


def recording(*communications):
    return ListedRecording(
        recording_id="r",
        conversation_id="c",
        media_type="call",
        format="wav",
        started_at=None,
        duration_seconds=None,
        file_state="available",
        communication_ids=communications or ("m",),
    )


@pytest.fixture
def documents():
    made = []

    def make(api, *replies):
        hosts = MediaHosts("https://api.mypurecloud.com")
        found = Documents(api, hosts, CallStats(), Patience(0.001, 0.1), connections=2)
        requests, unsent = [], iter(replies)

        def answer(request):
            requests.append(request)
            reply = next(unsent)
            return reply if isinstance(reply, httpx.Response) else httpx.Response(200, content=reply)

        found._http.close()
        found._http = httpx.Client(transport=httpx.MockTransport(answer))
        found.requests = requests
        made.append(found)
        return found

    yield make
    for each in made:
        each.close()


def urls(*ids):
    return {"urls": [{"recording": {"id": i}, "url": f"https://x.s3.amazonaws.com/{i}"} for i in ids]}


def test_the_link_is_followed_without_a_token(documents):
    found = documents(Api(), EMPTY)
    found.of(recording(), alone=True)
    (request,) = found.requests
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    "link", ["http://169.254.169.254/t", "https://evil.example/t", "file:///etc/passwd", "http://["]
)
def test_a_link_to_elsewhere_is_not_followed(documents, link):
    found = documents(Api({("m", "transcripturl"): {"url": link}}))
    with pytest.raises(MalformedReply, match="was not followed"):
        found.of(recording(), alone=True)
    assert found.requests == []


def test_a_link_that_expired_is_asked_for_once_more(documents):
    api = Api()
    documents(api, httpx.Response(403), EMPTY).of(recording(), alone=True)
    assert len(api.asked) == 2
    with pytest.raises(GenesysError) as refused:
        documents(Api(), *[httpx.Response(403)] * 2).of(recording(), alone=True)
    assert refused.value.reason == "forbidden"
    assert "topsecret" not in str(refused.value)


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([httpx.Response(404)], NotFound),
        ([httpx.Response(302, headers={"Location": "https://evil.example"})], MalformedReply),
        ([httpx.Response(503)] * 20, ServerError),
        ([b"<Error/>"], MalformedReply),
    ],
)
def test_other_answers_are_errors_of_their_own(documents, replies, error):
    with pytest.raises(error):
        documents(Api(), *replies).of(recording(), alone=True)


def test_a_document_that_was_compressed_and_torn_is_asked_for_again_and_then_given_up():
    asked = []

    def answer(handler):
        asked.append(1)
        plain(handler, 200, b"no gzip", Content_Encoding="gzip")

    with serving(answer) as link:
        hosts, stats = MediaHosts("http://127.0.0.1"), CallStats()
        found = Documents(Api({("m", "transcripturl"): {"url": link}}), hosts, stats, Patience(0.001), connections=2)
        with pytest.raises(ServerError) as broken:
            found.of(recording(), alone=True)
        found.close()
    assert len(asked) == 6
    assert "secret" not in str(broken.value)


def test_a_document_that_trickles_in_is_given_up(documents, monkeypatch):
    monkeypatch.setattr(platform_documents, "LONGEST_SECONDS", -1.0)
    with pytest.raises(ServerError, match="too slowly"):
        documents(Api(), *[EMPTY] * 6).of(recording(), alone=True)


def test_a_document_without_end_is_cut_off(documents, monkeypatch):
    monkeypatch.setattr(platform_documents, "MOST_BYTES", 1_000)
    with pytest.raises(MalformedReply, match="longer than"):
        documents(Api(), b" " * 5_000).of(recording(), alone=True)


def test_a_large_document_waits_for_its_turn_and_lets_the_next_one_in(documents, monkeypatch):
    monkeypatch.setattr(platform_documents, "LARGE_BYTES", 10)
    found = documents(Api(), EMPTY, EMPTY)
    for _ in range(2):
        found.of(recording(), alone=True)


def test_one_of_several_recordings_is_told_apart(documents):
    api = Api({("m", "transcripturls"): urls("other"), ("n", "transcripturls"): urls("other", "r")})
    found = documents(api, EMPTY)
    found.of(recording("m", "n"), alone=False)
    assert str(found.requests[0].url).endswith("/r")
    assert api.asked == [("m", "transcripturls"), ("n", "transcripturls")]


def test_a_document_of_another_recording_is_not_taken_for_this_one(documents):
    api = Api({("m", "transcripturls"): urls("r")})
    documents(api, b'{"recordingId": "other"}', EMPTY).of(recording(), alone=True)
    assert [kind for _, kind in api.asked] == ["transcripturl", "transcripturls"]


def test_without_a_communication_there_is_no_transcript(documents):
    nobody = ListedRecording(
        recording_id="r",
        conversation_id="c",
        media_type="chat",
        format=None,
        started_at=None,
        duration_seconds=None,
        file_state="available",
    )
    with pytest.raises(NotFound):
        documents(Api()).of(nobody, alone=True)


def test_a_permission_that_is_missing_for_one_communication_is_not_mistaken_for_none(documents):
    refused = PermissionMissing("speechAndTextAnalytics:data:view")
    api = Api({("m", "transcripturls"): refused, ("n", "transcripturls"): NotFound("none")})
    with pytest.raises(PermissionMissing):
        documents(api).of(recording("m", "n"), alone=False)
