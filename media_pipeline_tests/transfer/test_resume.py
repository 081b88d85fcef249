"""A download that another process began: every answer to a resume request has its one right outcome.

Sources of the rules: RFC 9110, sections 13.1.5 (If-Range), 14.4 (Content-Range), 15.3.7 (206), 15.5.17 (416).
"""

import errno
import gzip
import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.source import MediaFile
from media_pipeline.storage.bgzf import BLOCK_BYTES
from media_pipeline.storage.gzi import BlockIndex
from media_pipeline.storage.local import SHA256, LocalStore
from media_pipeline.transfer.download import Downloader
from media_pipeline.transfer.http import MediaHttp
from media_pipeline.transfer.outcome import Effort, Ending
from media_pipeline.transfer.spool import ATTRIBUTE, FOLDER_TRIES, MAX_AGE_SECONDS, Spool
from media_pipeline_tests.transfer.serving import plain, serving, start_of

BODY = random.Random(4).randbytes(1_500_000) + bytes(range(256)) * 6_000
TOTAL = len(BODY)
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
ETAG = '"one"'
SENT_FIRST = 1_000_000
KEPT = SENT_FIRST - SENT_FIRST % BLOCK_BYTES
"""What is left of it in whole blocks."""
KEY = "audio/date=2026-11-20/call.wav.gz"


def cut_off(handler, body, etag):
    """A million bytes of the file, and then nothing more."""
    handler.send_response(206)
    if etag:
        handler.send_header("ETag", etag)
    handler.send_header("Content-Range", f"bytes 0-{TOTAL - 1}/{TOTAL}")
    handler.send_header("Content-Length", str(TOTAL))
    handler.end_headers()
    handler.wfile.write(body[:SENT_FIRST])
    handler.close_connection = True


class Files:
    """One process's way to the store and the spool; each fetch is a new process to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = LocalStore(folder / "root")

    @property
    def parts(self) -> list[Path]:
        return sorted(self.folder.glob("spool/**/*.part*"))

    def fetch(self, answer, *, size=TOTAL, md5=MD5, renewed=None, body=BODY) -> Effort:
        stats, spool, effort = CallStats(), Spool(self.folder / "spool", self.store.url), Effort()
        with serving(answer) as link:
            http = MediaHttp(MediaHosts("http://127.0.0.1"), stats)
            media = MediaFile(file_name=None, content_type="audio/wav", size_bytes=size, md5=md5, link=link)
            fresh = replace(media, size_bytes=renewed or size)
            try:
                downloader = Downloader(http, self.store, spool, Patience(0.001), stats)
                downloader.download(media, KEY, lambda: fresh, effort)
            finally:
                http.close()
        assert gzip.decompress((self.folder / "root" / KEY).read_bytes()) == body
        assert not self.parts
        return effort

    def interrupt(self, *, size=TOTAL, md5=MD5, etag=ETAG, body=BODY) -> None:
        """An earlier run that got a million bytes, and then nothing more."""

        def answer(handler):
            if start_of(handler):
                handler.close_connection = True
                return
            cut_off(handler, body, etag)

        with pytest.raises(Ending):
            self.fetch(answer, size=size, md5=md5)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def rest(handler, *, etag=ETAG, **headers):
    start = start_of(handler)
    headers = {"Content_Range": f"bytes {start}-{TOTAL - 1}/{TOTAL}"} | ({"ETag": etag} if etag else {}) | headers
    plain(handler, 206, BODY[start:], **headers)


def whole(handler, etag=ETAG):
    plain(handler, 200, BODY, ETag=etag)


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


@pytest.mark.parametrize("damage", ["flipped", "torn", "garbage", "zeros", "no identity", "identity cut"])
def test_a_damaged_part_is_never_trusted(files, damage):
    files.interrupt()
    (path,) = files.parts
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    elif damage == "torn":
        del data[-1_000:]
    elif damage == "garbage":
        data += b"\x1f\x8bgarbage" * 100
    elif damage == "zeros":  # what a file system may leave after a power cut
        data[-5_000:] = bytes(5_000)
    elif damage == "no identity":
        os.removexattr(path, ATTRIBUTE)
    else:
        os.setxattr(path, ATTRIBUTE, os.getxattr(path, ATTRIBUTE)[:-4])
    path.write_bytes(data)
    effort = files.fetch(lambda h: rest(h) if start_of(h) else whole(h))
    assert effort.bytes_fetched <= TOTAL


def test_a_file_system_without_attributes_keeps_the_identity_in_a_file(files, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOTSUP, "not supported")

    for call in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, call, refused)
    files.interrupt()
    effort = files.fetch(rest)
    assert effort.bytes_resumed == KEPT
    assert not [path for path in files.folder.glob("spool/**/*") if path.is_file()]


def test_a_kill_while_the_object_is_published_costs_less_than_a_block(files, monkeypatch):
    files.interrupt()

    def killed(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            files.fetch(rest)
    effort = files.fetch(rest)
    assert effort.bytes_fetched == TOTAL % BLOCK_BYTES


def test_the_object_carries_its_hash_and_no_trace_of_the_spool(files):
    files.interrupt()
    files.fetch(rest)
    published = files.folder / "root" / KEY
    assert os.listxattr(published) == [SHA256]
    assert files.store.source_sha256(KEY) == hashlib.sha256(BODY).hexdigest()
    assert published.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_two_processes_never_write_into_one_part(files):
    files.interrupt()
    spool = Spool(files.folder / "spool", files.store.url)
    ours, theirs = spool.partial(KEY), spool.partial(KEY)
    assert ours.path != theirs.path
    assert theirs.identity() is None
    theirs.close()
    assert not Path(theirs.path).exists()
    assert ours.size > 0
    ours.close()
    assert spool.partial(KEY).identity() is not None


def test_a_folder_that_another_run_cleans_away_is_made_again(tmp_path):
    """Each run begins by removing the spool's empty folders, also those that another one made just now."""
    spool = Spool(tmp_path, "root")
    partial = spool.partial(KEY)
    folders = list(Path(partial.path).parents)[: KEY.count("/") + 1]
    partial.close()

    def take_away(opened):
        left = FOLDER_TRIES - 1
        for folder in itertools.cycle(folders):
            if opened.is_set() or not left:
                return
            with suppress(OSError):
                folder.rmdir()
                left -= 1

    for _ in range(100):
        spool.clean()
        cleaner = threading.Thread(target=take_away, args=[opened := threading.Event()])
        cleaner.start()
        try:
            spool.partial(KEY).close()
        finally:
            opened.set()
            cleaner.join()


def test_what_nobody_came_back_for_is_removed(files):
    files.interrupt()
    spool = Spool(files.folder / "spool", files.store.url)
    assert spool.clean() == 0
    assert spool.clean(time.time() + MAX_AGE_SECONDS + 10) > 0
    assert not list(files.folder.glob("spool/partial/*/*"))


_CHILD = """
import sys, json
from pathlib import Path
from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.source import MediaFile
from media_pipeline.storage.local import LocalStore
from media_pipeline.transfer.download import Downloader
from media_pipeline.transfer.http import MediaHttp
from media_pipeline.transfer.outcome import Effort
from media_pipeline.transfer.spool import Spool
folder, link, size, md5, key = json.loads(sys.argv[1])
store, stats = LocalStore(Path(folder) / "root"), CallStats()
media = MediaFile(file_name=None, content_type=None, size_bytes=size, md5=md5, link=link)
http = MediaHttp(MediaHosts("http://127.0.0.1"), stats)
Downloader(http, store, Spool(Path(folder) / "spool", store.url), Patience(0.01), stats).download(
    media, key, lambda: media, Effort())
"""


def test_kill_9_loses_less_than_one_chunk(files):
    """A real process, killed in mid-file; what it had not written is what is fetched twice."""
    sent: list[int] = []

    def slowly(handler):
        start = start_of(handler)
        handler.send_response(206)
        handler.send_header("ETag", ETAG)
        handler.send_header("Content-Range", f"bytes {start}-{TOTAL - 1}/{TOTAL}")
        handler.send_header("Content-Length", str(TOTAL - start))
        handler.end_headers()
        for offset in range(start, TOTAL, 50_000):
            handler.wfile.write(BODY[offset : offset + 50_000])
            sent.append(offset)
            time.sleep(0.02)

    with serving(slowly) as link:
        child = subprocess.Popen([sys.executable, "-c", _CHILD, json.dumps([str(files.folder), link, TOTAL, MD5, KEY])])
        deadline = time.monotonic() + 30
        while sum(sent[-1:]) < 1_200_000 and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        reached = sent[-1] + 50_000
    effort = files.fetch(rest)
    assert effort.bytes_resumed > 0
    assert reached - effort.bytes_resumed < 1024 * 1024
