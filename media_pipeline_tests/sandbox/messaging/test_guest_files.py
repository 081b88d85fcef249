"""Guest files in both dialects: the same bytes, a life of 24 hours, and whatever a hostile guest may send."""

from __future__ import annotations

import hashlib
import io
import json
import resource

import av
import httpx
import pytest

from media_pipeline.sandbox.messaging.samples import SAMPLES
from media_pipeline_tests.sandbox.messaging.conftest import moved, planted

MESSAGES = "/api/v2/conversations/messages"


def download(api: httpx.Client, file_id: str, **headers: str) -> httpx.Response:
    return api.get(f"/api/v2/media/download/{file_id}", headers=headers)


def attachment(api: httpx.Client, made: dict) -> dict:
    answer = api.get(f"{MESSAGES}/{made['conversation_id']}/messages/{made['message_id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()["normalizedMessage"]["content"][0]["attachment"]


@pytest.mark.parametrize("name", ["png", "jpeg"])
def test_the_pictures_guests_send_are_pictures(name):
    for number in range(20):
        data = SAMPLES[name][0](number)
        with av.open(io.BytesIO(data)) as container:
            (frame,) = container.decode(video=0)
        assert (frame.width, frame.height) == (16, 16)
        assert len({int(each) for each in frame.to_ndarray(format="gray").flatten()}) > 1


def test_a_document_a_guest_sends_names_its_parts_where_they_are():
    data = SAMPLES["pdf"][0](7)
    table = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
    assert data[table:].startswith(b"xref\n0 6\n")
    entries = data[table:].split(b"\n")[3:8]
    assert all(data[int(each[:10]) :].startswith(b"%d 0 obj" % n) for n, each in enumerate(entries, 1))


def test_both_dialects_give_the_same_bytes_of_every_seeded_file(api, admin, files):
    seen = set()
    for conversation in admin.get("/messaging/conversations").json():
        for message in conversation["messages"]:
            for file in message["files"]:
                answer = download(api, file["file_id"])
                if file["sent"] < "2026-11-20T12":
                    assert answer.status_code == 404
                    continue
                seen.add(file["kind"])
                assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
                assert len(answer.content) == file["size"] == int(answer.headers["content-length"])
                assert answer.headers["content-type"] == file["content_type"]
                listed = attachment(api, {**conversation, **message})
                assert (listed["id"], listed["sha256"], listed["filename"]) == (
                    file["file_id"],
                    file["sha256"],
                    file["name"],
                )
                if file["kind"] != "oversize":
                    assert files.get(listed["url"]).content == answer.content
    assert seen >= {"png", "jpeg", "pdf", "oversize", "wrong_type", "unsupported", "empty"}


def test_a_guest_file_dies_after_24_hours_in_both_dialects(sandbox, api, admin, files):
    made = planted(admin)
    url = attachment(api, made)["url"]
    assert download(api, made["file_id"]).status_code == 200
    sandbox.state.settings.playback_seconds = 604_800
    url = attachment(api, made)["url"]
    sandbox.state.settings.token_seconds = 172_800
    token = api.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"},
    ).json()["access_token"]
    api.headers["Authorization"] = f"Bearer {token}"
    moved(sandbox, hours=23, minutes=59)
    assert (download(api, made["file_id"]).status_code, files.get(url).status_code) == (200, 200)
    moved(sandbox, minutes=1)
    assert (download(api, made["file_id"]).status_code, files.get(url).status_code) == (404, 404)


def test_a_download_needs_a_token_and_knows_ranges(sandbox, api, admin):
    made = planted(admin, data=bytes(range(100)))
    assert httpx.get(f"{sandbox.url}/api/v2/media/download/{made['file_id']}").status_code == 401
    part = download(api, made["file_id"], Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers["content-range"] == "bytes 10-19/100"
    beyond = download(api, made["file_id"], Range="bytes=100-")
    assert (beyond.status_code, beyond.json()["status"]) == (416, 416)
    assert download(api, "no-such-file").status_code == 404


def test_a_link_is_presigned_and_takes_no_token(sandbox, api, admin, files):
    url = attachment(api, planted(admin))["url"]
    assert api.get(url).status_code == 400
    assert files.get(url.replace("X-Amz-Signature=", "X-Amz-Signature=0")).status_code == 403
    moved(sandbox, seconds=3_601)
    assert files.get(url).status_code == 403


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "a" * 5_000 + ".png", "nul\0.png", "invoice\u202egpj.exe", "line\nbreak.png", "", "..", "😀"],
)
def test_hostile_names_arrive_as_they_are_in_both_dialects(api, admin, silent, name):
    made = planted(admin, name=name, content_type="image/png")
    (event,) = admin.get("/messaging/events").json()
    assert event["document"]["data"]["file"]["name"] == attachment(api, made)["filename"] == name


def test_a_file_may_lie_about_its_size_type_and_hash(api, admin):
    made = planted(admin, data=b"<script>", content_type="image/png", declared_size=1_024, sha256="0" * 64)
    listed = attachment(api, made)
    assert (listed["contentSizeBytes"], listed["mime"], listed["sha256"]) == (1_024, "image/png", "0" * 64)
    answer = download(api, made["file_id"])
    assert answer.content == b"<script>"
    assert "content-length" not in answer.headers


def test_a_file_of_ten_gigabytes_that_says_1_kb_is_streamed_and_never_held(api, admin):
    made = planted(admin, size=10_000_000_000, declared_size=1_024, sample="png")
    before, read = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    with api.stream("GET", f"/api/v2/media/download/{made['file_id']}") as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        for chunk in answer.iter_raw():
            assert read or chunk.startswith(b"\x89PNG")
            read += len(chunk)
            if read > 500_000_000:
                break
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000
    last = download(api, made["file_id"], Range="bytes=9999999990-")
    assert (last.status_code, len(last.content)) == (206, 10)


def test_what_cannot_be_planted_is_refused(admin):
    for document in ({"base64": "?"}, {"sample": "exe"}, {"size": -1}, {"conversation_id": "none"}, {"colour": 1}):
        answer = admin.post("/messaging/files", content=json.dumps(document))
        assert (answer.status_code, answer.json()["code"]) == (400, "bad.request")
