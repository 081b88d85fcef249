"""What the tests of resumed downloads share: a file, the server's usual answers, and a process's way to the spool."""

import gzip
import hashlib
import random
from dataclasses import replace
from pathlib import Path

import pytest

from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.source import MediaFile
from media_pipeline.storage.bgzf import BLOCK_BYTES
from media_pipeline.storage.local import LocalStore
from media_pipeline.transfer.download import Downloader
from media_pipeline.transfer.http import MediaHttp
from media_pipeline.transfer.outcome import Effort, Ending
from media_pipeline.transfer.spool import Spool
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


def rest(handler, *, etag=ETAG, **headers):
    start = start_of(handler)
    headers = {"Content_Range": f"bytes {start}-{TOTAL - 1}/{TOTAL}"} | ({"ETag": etag} if etag else {}) | headers
    plain(handler, 206, BODY[start:], **headers)


def whole(handler, etag=ETAG):
    plain(handler, 200, BODY, ETag=etag)
