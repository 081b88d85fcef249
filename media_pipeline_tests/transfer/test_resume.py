"""A download that another process began: every answer to a resume request has its one right outcome.

Sources of the rules: RFC 9110, sections 13.1.5 (If-Range), 14.4 (Content-Range), 15.3.7 (206), 15.5.17 (416).
"""

import gzip
import time

import pytest

from media_pipeline.storage.bgzf import BLOCK_BYTES
from media_pipeline.storage.gzi import BlockIndex
from media_pipeline.transfer.outcome import Ending
from media_pipeline_tests.transfer.resuming import BODY, ETAG, KEPT, KEY, SENT_FIRST, TOTAL, Files, cut_off, rest, whole
from media_pipeline_tests.transfer.serving import plain, start_of


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_the_next_run_fetches_the_rest_and_nothing_twice(files):
    files.interrupt()
    asked = []

    def answer(handler):
        asked.append((start_of(handler), handler.headers.get("If-Range")))
        rest(handler)

    effort = files.fetch(answer)
    assert asked == [(KEPT, ETAG)]
    assert effort.bytes_resumed == KEPT
    assert effort.bytes_fetched == TOTAL - KEPT
    index = BlockIndex.decode((files.folder / "root" / (KEY + ".gzi")).read_bytes())
    assert len(index.source_offsets) == -(-TOTAL // BLOCK_BYTES)


def first_then(first, then=whole):
    """The first request gets the odd answer, all others a proper one."""
    asked = []

    def answer(handler):
        asked.append(start_of(handler))
        (first if len(asked) == 1 else then)(handler)

    answer.asked = asked
    return answer


def part(handler, start, end, total=TOTAL, body=None, **headers):
    plain(handler, 206, BODY[start:end] if body is None else body, ETag=ETAG, **{
        "Content_Range": f"bytes {start}-{end - 1}/{total}"
    } | headers)  # fmt: skip


def two_fields(handler, name, *values):
    """A 206 of the rest in which one field comes twice."""
    fields = {"Content-Range": f"bytes {KEPT}-{TOTAL - 1}/{TOTAL}", "ETag": ETAG}
    del fields[name]
    handler.send_response(206)
    for field, value in [*fields.items(), *((name, value) for value in values)]:
        handler.send_header(field, value)
    handler.send_header("Content-Length", str(TOTAL - KEPT))
    handler.end_headers()
    handler.wfile.write(BODY[KEPT:])


CONTINUED = {
    "the rest": rest,
    "the rest, total unknown": lambda h: rest(h, Content_Range=f"bytes {KEPT}-{TOTAL - 1}/*"),
    "the rest without a tag, the MD5 being known": lambda h: rest(h, etag=None),
    "the rest with a weak tag, the MD5 being known": lambda h: rest(h, etag='W/"one"'),
    "a shorter part of it": lambda h: part(h, KEPT, KEPT + 300_000),
}
"""The bytes of the earlier run are kept."""
BEGUN_ANEW = {
    "200 with the whole file": whole,
    "200 with another tag": lambda h: whole(h, '"two"'),
    "206 of a file with another tag": lambda h: rest(h, etag='"two"'),
    "416 although the file is longer": lambda h: plain(h, 416, b"", Content_Range=f"bytes */{TOTAL}"),
    "416 of a file that is shorter than what we have": lambda h: plain(h, 416, b"", Content_Range="bytes */1000"),
    "416 without a length": lambda h: plain(h, 416, b""),
}
"""They are thrown away, and never appended to."""
ASKED_AGAIN = {
    "206 without a range": lambda h: plain(h, 206, BODY[KEPT:], ETag=ETAG),
    "206 from before the place": lambda h: part(h, KEPT - 1, TOTAL),
    "206 from behind the place": lambda h: part(h, KEPT + 1, TOTAL),
    "206 of the whole file": lambda h: part(h, 0, TOTAL),
    "206 of a longer file": lambda h: part(h, KEPT, TOTAL, total=TOTAL + 1),
    "206 of a shorter file": lambda h: part(h, KEPT, TOTAL - 1, total=TOTAL - 1),
    "206 with an impossible range": lambda h: part(h, KEPT, TOTAL, Content_Range=f"bytes {KEPT}-{KEPT - 1}/{TOTAL}"),
    "206 with a range beyond the file": lambda h: part(
        h, KEPT, TOTAL, Content_Range=f"bytes {KEPT}-{TOTAL}/{TOTAL}", body=BODY[KEPT:] + b"x"
    ),
    "206 with another unit": lambda h: part(h, KEPT, TOTAL, Content_Range=f"items {KEPT}-{TOTAL - 1}/{TOTAL}"),
    "206 with a body longer than its range": lambda h: part(h, KEPT, KEPT + 100, body=BODY[KEPT : KEPT + 200]),
    "206 of two ranges": lambda h: two_fields(h, "Content-Range", f"bytes {KEPT}-{TOTAL - 1}/{TOTAL}", "bytes 0-1/2"),
    "206 of several parts that says of one": lambda h: rest(h, Content_Type="multipart/byteranges; boundary=x"),
    "101": lambda h: plain(h, 101, b"", Connection="upgrade", Upgrade="websocket"),
    "206 of several parts": lambda h: plain(
        h, 206, b"--x\r\n\r\n" + BODY[KEPT:], ETag=ETAG, Content_Type="multipart/byteranges; boundary=x"
    ),
    "429": lambda h: plain(h, 429, b"", Retry_After="0"),
    "503": lambda h: plain(h, 503, b""),
    "an HTML page with 206": lambda h: rest(h, Content_Type="text/html"),
    "an expired link": lambda h: plain(h, 403, b"<Error/>", Content_Type="application/xml"),
}
"""The answer is refused; the bytes are kept, unless a document came instead of media."""


@pytest.mark.parametrize("name", CONTINUED)
def test_an_answer_that_fits_continues_the_file(files, name):
    files.interrupt()
    answer = first_then(CONTINUED[name], then=rest)
    effort = files.fetch(answer)
    assert answer.asked[0] == KEPT
    assert effort.bytes_fetched == TOTAL - KEPT


@pytest.mark.parametrize("name", BEGUN_ANEW)
def test_an_answer_for_another_file_begins_anew(files, name):
    files.interrupt()
    answer = first_then(BEGUN_ANEW[name])
    files.fetch(answer)
    assert answer.asked[0] == KEPT
    assert set(answer.asked[1:]) <= {0}


@pytest.mark.parametrize("name", ASKED_AGAIN)
def test_an_answer_that_contradicts_the_request_is_refused_and_asked_again(files, name):
    files.interrupt()
    answer = first_then(ASKED_AGAIN[name], then=rest)
    effort = files.fetch(answer)
    assert answer.asked[:2] == [KEPT, 0 if "HTML" in name else KEPT]
    assert effort.bytes_fetched <= TOTAL + SENT_FIRST


def test_a_busy_server_may_say_in_words_how_long_to_wait(files):
    words = b'{"message": "Rate limit exceeded the maximum. Retry the request in [1] seconds"}'
    answer = first_then(lambda h: plain(h, 429, words, Content_Type="application/json"))
    began = time.monotonic()
    files.fetch(answer)
    assert time.monotonic() - began >= 1


def test_a_refusal_that_breaks_off_is_still_one(files):
    def torn(handler):
        handler.send_response(503)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"sorry")
        handler.close_connection = True

    answer = first_then(torn)
    files.fetch(answer)
    assert answer.asked == [0, 0]


def test_a_server_that_answers_no_range_but_the_whole_is_read_from_the_start(files):
    """Else what was kept would meet the same answer in each run, for ever."""
    files.interrupt()
    asked = []

    def answer(handler):
        asked.append(start_of(handler))
        part(handler, 0, TOTAL)

    files.fetch(answer)
    assert set(asked[:-1]) == {KEPT}
    assert asked[-1] == 0


def test_a_server_that_is_wrong_from_the_start_too_is_given_up(files):
    files.interrupt()
    answer = first_then(lambda h: part(h, 1, TOTAL), then=lambda h: part(h, 1, TOTAL))
    with pytest.raises(Ending) as ending:
        files.fetch(answer)
    assert ending.value.reason == "bad_range"
    assert set(answer.asked) == {KEPT, 0}
    assert len(answer.asked) <= 12


def test_a_fresh_link_to_a_file_that_has_grown_goes_through_the_spool(files):
    under_way = []

    def grown(handler):
        under_way.extend(files.parts)
        whole(handler)

    refused = first_then(lambda h: plain(h, 403, b""), then=grown)
    files.fetch(refused, size=500_000, renewed=TOTAL)
    assert refused.asked == [0, 0]
    assert [path.name for path in under_way] == ["call.wav.gz.part"]


def test_a_rest_longer_than_announced_is_not_published(files):
    files.interrupt()

    def longer(handler):
        handler.send_response(206)
        handler.send_header("ETag", ETAG)
        handler.send_header("Content-Range", f"bytes {KEPT}-{TOTAL - 1}/{TOTAL}")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in (BODY[KEPT:], b"more"):
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    files.fetch(first_then(longer))


def test_without_a_checksum_a_missing_tag_begins_anew(files):
    files.interrupt(md5=None)
    answer = first_then(lambda h: rest(h, etag=None))
    files.fetch(answer, md5=None)
    assert answer.asked == [KEPT, 0]


@pytest.mark.parametrize("etag", [None, 'W/"one"'])
def test_without_tag_and_checksum_a_break_begins_anew(files, etag):
    """The file may have changed at the same size: nothing would tell (RFC 9110, 15.3.7.3)."""

    answer = first_then(lambda handler: cut_off(handler, bytes(SENT_FIRST), etag))
    files.fetch(answer, md5=None)
    assert answer.asked == [0, 0]


def test_a_file_of_another_length_replaces_one_whose_size_was_not_stated(files):
    files.interrupt(size=None, md5=None, etag='"old"', body=bytes(SENT_FIRST))
    answer = first_then(lambda h: plain(h, 200, BODY[:-1000], ETag='"new"'))
    with pytest.raises(AssertionError):  # `fetch` compares with the whole
        files.fetch(answer, size=None, md5=None)
    assert answer.asked == [KEPT]
    assert gzip.decompress((files.folder / "root" / KEY).read_bytes()) == BODY[:-1000]


def test_bytes_that_nothing_can_vouch_for_are_not_continued(files):
    files.interrupt(md5=None, etag=None)
    answer = first_then(whole)
    files.fetch(answer, md5=None)
    assert answer.asked == [0]


@pytest.mark.parametrize("change", [{"md5": "0" * 32}, {"size": TOTAL + 1}, {"md5": None}])
def test_bytes_of_a_file_the_source_describes_otherwise_are_not_continued(files, change):
    files.interrupt(**change)
    answer = first_then(whole)
    files.fetch(answer)
    assert answer.asked == [0]


def test_a_file_that_was_whole_before_the_kill_costs_one_request_and_no_byte(files):
    files.interrupt()
    files.folder.joinpath("cut").touch()

    def to_the_end_then_broken(handler):
        start = start_of(handler)
        if start >= TOTAL - TOTAL % BLOCK_BYTES:
            handler.close_connection = True
            return
        end = TOTAL - TOTAL % BLOCK_BYTES
        part(handler, start, end)

    with pytest.raises(Ending):
        files.fetch(to_the_end_then_broken)
    effort = files.fetch(rest)
    assert effort.bytes_fetched == TOTAL % BLOCK_BYTES
