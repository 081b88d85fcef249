"""What a killed run leaves of a file in the spool: trusted only as far as it proves itself, and removed in the end."""

import errno
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from media_pipeline.storage.bgzf import BLOCK_BYTES
from media_pipeline.storage.local import SHA256, LocalStore
from media_pipeline.transfer.spool import ATTRIBUTE, FOLDER_TRIES, MAX_AGE_SECONDS, Spool
from media_pipeline_tests.transfer.resuming import (
    BODY,
    ETAG,
    KEPT,
    KEY,
    MD5,
    TOTAL,
    Files,
    rest,
    whole,
)
from media_pipeline_tests.transfer.serving import serving, start_of


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


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
