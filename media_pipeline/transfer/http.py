"""GETs a presigned link: pooled, ranged, never with a bearer token, and only from hosts that may serve media.

urllib3 instead of httpx: at call sizes it costs a third of the CPU per byte. Its errors carry URLs and stay here.
"""

from __future__ import annotations

import logging
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3

from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.pacing import CallStats
from media_pipeline.transfer.outcome import Ending

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
PIECE_BYTES = 256 * 1024
PIECE_SECONDS = 1.0
HEAD_BYTES = 512
MAX_REDIRECTS = 3
OPERATION = "file"

# At DEBUG urllib3 prints paths with their query strings, which are the signatures of presigned URLs.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


class Broken(Exception):
    """The connection failed before the body's end; says nothing of the URL."""


class Reply:
    """A reply whose body is read piece by piece into one buffer."""

    def __init__(self, response: urllib3.BaseHTTPResponse, buffer: bytearray) -> None:
        self._response = response
        self._view = memoryview(buffer)
        self._filled = 0
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    def head(self) -> bytes:
        """The body's first bytes, up to 512, which `pieces` yields too."""
        while self._filled < HEAD_BYTES and self._fill():
            pass
        return bytes(self._view[: min(self._filled, HEAD_BYTES)])

    def pieces(self) -> Iterator[memoryview]:
        """The whole body, each piece valid until the next is asked for; raises Broken.

        256 KiB each but the last, unless they take longer than a second: then what came by then.
        """
        broken = None
        began = time.monotonic()
        try:
            while self._fill():
                if self._filled == PIECE_BYTES or time.monotonic() - began >= PIECE_SECONDS:
                    yield self._view[: self._filled]
                    self._filled = 0
                    began = time.monotonic()
        except Broken as error:
            broken = error
        if self._filled:
            yield self._view[: self._filled]
        if broken:
            raise broken

    def _fill(self) -> int:
        """Read once; 0 at the end."""
        try:
            piece = self._response.read1(PIECE_BYTES - self._filled)
        except urllib3.exceptions.IncompleteRead:
            return 0  # the caller compares what came with what was announced
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Broken(type(error).__name__) from None
        self._view[self._filled : self._filled + len(piece)] = piece
        self._filled += len(piece)
        return len(piece)


class MediaHttp:
    """Pooled connections to the hosts of download links; safe to use from threads."""

    def __init__(self, hosts: MediaHosts, stats: CallStats, connections: int) -> None:
        self._hosts = hosts
        self._stats = stats
        self._buffers: list[bytearray] = []
        options: dict[str, Any] = {
            "maxsize": connections,
            "timeout": urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            "retries": False,
        }
        self._direct = urllib3.PoolManager(**options)
        self._proxies = {
            scheme: urllib3.ProxyManager(url, **options)
            for scheme, url in urllib.request.getproxies().items()
            if scheme in ("http", "https") and url.startswith("http")
        }

    def close(self) -> None:
        """Close all connections."""
        for pool in (self._direct, *self._proxies.values()):
            pool.clear()

    @contextmanager
    def get(self, link: str, *, offset: int, etag: str | None) -> Iterator[Reply]:
        """Ask for all bytes from `offset` on, of the same entity if `etag` is given; raises Broken, Ending(bad_url)."""
        headers = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity", "User-Agent": "media-pipeline"}
        if offset and etag:
            headers["If-Range"] = etag
        response = self._followed(link, headers)
        try:
            buffer = self._buffers.pop() if self._buffers else bytearray(PIECE_BYTES)
            yield Reply(response, buffer)
            self._buffers.append(buffer)
            whole = response.closed or response.length_remaining == 0
        except BaseException:
            whole = False
            raise
        finally:
            # A half-read connection cannot be used again; a drained one goes back to the pool.
            if whole:
                response.release_conn()
            else:
                response.close()

    def _followed(self, link: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        for _ in range(MAX_REDIRECTS + 1):
            if refusal := self._hosts.refusal(link):
                raise Ending("bad_url", refusal[0].upper() + refusal[1:] + ".")
            try:
                response = self._pool(link).request(
                    "GET", link, headers=headers, preload_content=False, decode_content=False, redirect=False
                )
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                self._stats.called(OPERATION, 0)
                raise Broken(type(error).__name__) from None
            self._stats.called(OPERATION, response.status)
            location = response.get_redirect_location()
            if not location:
                return response
            response.close()
            link = urljoin(link, location)
        raise Ending("bad_url", f"The download link redirected more than {MAX_REDIRECTS} times.")

    def _pool(self, link: str) -> urllib3.PoolManager:
        parts = urlsplit(link)
        proxy = self._proxies.get(parts.scheme)
        if proxy is None or urllib.request.proxy_bypass(parts.hostname or ""):
            return self._direct
        return proxy
