"""Downloads against servers of other habits than the sandbox's: chunked, without lengths, in small parts, endless."""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType, SimpleNamespace

import pytest

from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.source import MediaFile
from media_pipeline.storage.lease import LeaseLost
from media_pipeline.storage.local import LocalStore
from media_pipeline.transfer.connections import BUFFER_BYTES, Connections
from media_pipeline.transfer.download import Downloader
from media_pipeline.transfer.http import MediaHttp, Reply
from media_pipeline.transfer.outcome import Effort, Ending, Stored
from media_pipeline.transfer.spool import Spool
from media_pipeline_tests.transfer.serving import Answer, chunked, plain, serving, start_of

BODY = b"RIFF" + bytes(range(256)) * 2_000
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


@pytest.fixture
def fetch(tmp_path):
    store = LocalStore(tmp_path)
    spool = Spool(tmp_path / "spool", store.url)
    stats = CallStats()

    def run(
        answer: Answer,
        *,
        size: int | None = None,
        md5: str | None = None,
        effort: Effort | None = None,
        guard: Callable[[], None] = lambda: None,
    ) -> tuple[Stored, Effort]:
        effort = effort or Effort()
        with serving(answer) as link:
            http = MediaHttp(MediaHosts("http://127.0.0.1"), stats)
            media = MediaFile(file_name=None, content_type="audio/wav", size_bytes=size, md5=md5, link=link)
            try:
                downloader = Downloader(http, store, spool, Patience(0.001), stats, guard)
                stored = downloader.download(media, "x.gz", lambda: media, effort)
            finally:
                http.close()
                assert not list(tmp_path.glob(".staging/*"))
        assert gzip.decompress((tmp_path / "x.gz").read_bytes()) == BODY
        return stored, effort

    return run


def refused(fetch, tmp_path, answer: Answer, **facts: object) -> str:
    with pytest.raises(Ending) as ending:
        fetch(answer, **facts)
    assert not (tmp_path / "x.gz").exists()
    assert "secret" not in ending.value.sentence
    return ending.value.reason


def test_no_bearer_token_reaches_the_link_and_every_request_is_ranged(fetch):
    seen = []

    def answer(handler):
        seen.append(dict(handler.headers))
        plain(handler, 206, BODY, Content_Range=f"bytes 0-{len(BODY) - 1}/{len(BODY)}")

    stored, _ = fetch(answer)
    assert "Authorization" not in seen[0]
    assert seen[0]["Range"] == "bytes=0-"
    assert seen[0]["Accept-Encoding"] == "identity"
    assert stored.integrity_basis == "length_and_range"
    assert stored.content_type == "audio/wav"


def test_a_chunked_body_is_proved_by_size_or_checksum(fetch):
    assert fetch(lambda h: chunked(h, BODY[:1000], BODY[1000:]), md5=MD5)[0].integrity_basis == "source_md5"
    assert fetch(lambda h: chunked(h, BODY), size=len(BODY))[0].integrity_basis == "length_and_range"


@pytest.mark.parametrize("first", [1, 511, 512, BUFFER_BYTES - 1, BUFFER_BYTES])
def test_however_much_comes_with_the_head_no_byte_is_lost(first):
    body = random.Random(first).randbytes(3 * BUFFER_BYTES + 5)
    reads = iter([first, 700])

    class Exchange:
        status, headers, sent = 206, MappingProxyType({}), 0

        def read_into(self, room: memoryview) -> int:
            assert room, "a read into no room looks like the body's end"
            part = body[self.sent : self.sent + min(next(reads, len(room)), len(room))]
            room[: len(part)] = part
            self.sent += len(part)
            return len(part)

    reply = Reply(SimpleNamespace(buffer=memoryview(bytearray(BUFFER_BYTES))), Exchange(), Connections())
    assert reply.head() == body[: len(reply.head())]
    assert b"".join(map(bytes, reply.pieces())) == body


def test_a_body_that_nothing_can_prove_is_not_kept(fetch, tmp_path):
    assert refused(fetch, tmp_path, lambda h: chunked(h, BODY)) == "unverifiable"


def test_an_endless_body_that_nothing_can_prove_is_not_read(fetch, tmp_path):
    def endless(handler):
        handler.close_connection = True
        with suppress(OSError):  # whoever asked has gone
            chunked(handler, *([BODY] * 200), end=False)

    effort = Effort()
    assert refused(fetch, tmp_path, endless, effort=effort) == "unverifiable"
    assert (effort.attempts, effort.bytes_fetched) == (1, 0)


@pytest.mark.parametrize("size", [len(BODY), None])
def test_what_comes_after_another_run_took_over_is_not_published(fetch, tmp_path, size):
    def taken_over():
        raise LeaseLost("taken over")

    with pytest.raises(LeaseLost):
        fetch(lambda h: plain(h, 200, BODY, ETag='"1"'), size=size, guard=taken_over)
    assert not list(tmp_path.glob("x.gz*"))


def test_a_chunked_body_that_breaks_or_overflows_is_refused(fetch, tmp_path):
    assert refused(fetch, tmp_path, lambda h: chunked(h, BODY[:1000], end=False), size=len(BODY)) == "short_body"
    assert refused(fetch, tmp_path, lambda h: chunked(h, BODY, b"more"), size=len(BODY)) == "bad_range"


def test_a_server_that_hands_out_small_parts_is_asked_until_the_file_is_whole(fetch):
    def answer(handler):
        start = start_of(handler)
        part = BODY[start : start + 20_000]
        plain(handler, 206, part, ETag='"1"', Content_Range=f"bytes {start}-{start + len(part) - 1}/{len(BODY)}")

    stored, effort = fetch(answer, size=len(BODY))
    assert effort.attempts == -(-len(BODY) // 20_000)
    assert effort.bytes_fetched == stored.source_size_bytes


def test_a_file_that_is_begun_anew_for_ever_is_given_up(fetch, tmp_path):
    """Each reply is long enough to look like progress, none goes further than the one before."""
    attempts = []

    def answer(handler):
        attempts.append(1)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        handler.wfile.write(BODY[:200_000])
        handler.close_connection = True

    assert refused(fetch, tmp_path, answer, size=len(BODY)) == "short_body"
    assert len(attempts) <= 8


def test_an_if_range_answered_with_the_whole_file_replaces_what_was_there(fetch):
    asked = []

    def answer(handler):
        asked.append((start_of(handler), handler.headers.get("If-Range")))
        if len(asked) == 1:
            handler.send_response(206)
            handler.send_header("ETag", '"old"')
            handler.send_header("Content-Range", f"bytes 0-{len(BODY) - 1}/{len(BODY)}")
            handler.send_header("Content-Length", str(len(BODY)))
            handler.end_headers()
            handler.wfile.write(b"RIFF" + b"old bytes" * 10_000)
            handler.close_connection = True
        else:
            plain(handler, 200, BODY, ETag='"new"')

    fetch(answer, md5=MD5)
    assert asked[1] == (90_004, '"old"')


def test_an_empty_file_of_unknown_size_is_told_from_a_lost_one(fetch, tmp_path):
    assert refused(fetch, tmp_path, lambda h: plain(h, 416, b"", Content_Range="bytes */0")) == "zero_bytes"
    assert refused(fetch, tmp_path, lambda h: plain(h, 200, b"")) == "zero_bytes"
    assert refused(fetch, tmp_path, lambda h: plain(h, 200, b""), size=10) == "short_body"


def test_a_link_that_leads_nowhere_is_renewed_once(fetch, tmp_path):
    assert refused(fetch, tmp_path, lambda h: plain(h, 404, b"<Error/>", Content_Type="application/xml")) == "no_file"
    assert refused(fetch, tmp_path, lambda h: plain(h, 400, b"<Error/>", Content_Type="application/xml")) == "not_media"


def test_links_that_expire_again_and_again_are_renewed_while_the_file_gets_further(fetch):
    """Each link gives 80 kB and breaks off, and then it is refused."""
    asked = []

    def answer(handler):
        asked.append(start_of(handler))
        if len(asked) % 2 == 0:
            plain(handler, 403, b"")
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {asked[-1]}-{len(BODY) - 1}/{len(BODY)}")
        handler.send_header("Content-Length", str(len(BODY) - asked[-1]))
        handler.end_headers()
        handler.wfile.write(BODY[asked[-1] :][:80_000])
        handler.close_connection = True

    fetch(answer, md5=MD5)
    assert sorted(set(asked)) == list(range(0, len(BODY), 80_000))


def test_an_encoded_body_is_not_media(fetch, tmp_path):
    encoded = gzip.compress(BODY)
    for coding in ("gzip", "aws-chunked, gzip"):
        with pytest.raises(Ending, match="not_media") as ending:
            fetch(lambda h, coding=coding: plain(h, 200, encoded, Content_Encoding=coding))
        assert "with a Content-Encoding that was not asked for" in ending.value.sentence
        assert "document" not in ending.value.sentence
    assert not (tmp_path / "x.gz").exists()


def test_how_an_upload_was_framed_is_no_encoding_of_the_bytes(fetch):
    fetch(lambda h: plain(h, 200, BODY, Content_Encoding="aws-chunked"))
