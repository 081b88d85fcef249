"""GETs a presigned link: ranged, never with a bearer token, and only from hosts that may serve media."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from urllib.parse import urljoin

from media_pipeline.genesys.addresses import AddressRefused
from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.pacing import CallStats
from media_pipeline.transfer.connections import BUFFER_BYTES, Connection, Connections
from media_pipeline.transfer.exchange import Broken, Exchange
from media_pipeline.transfer.outcome import Ending

PIECE_SECONDS = 1.0
HEAD_BYTES = 512
HEAD_SECONDS = 10.0
"""A body that drips is judged by what came by then, and left to the rule for slow ones."""
MAX_REDIRECTS = 3
OPERATION = "file"


class Reply:
    """A reply whose body is read piece by piece into its connection's buffer, within a context."""

    def __init__(self, connection: Connection, exchange: Exchange, connections: Connections) -> None:
        self._connection = connection
        self._connections = connections
        self._view = connection.buffer
        self._exchange = exchange
        self._filled = 0
        self.status: int = exchange.status
        self.headers: Mapping[str, str] = exchange.headers

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is None and self._exchange.is_drained:
            self._connections.give_back(self._connection)
        else:
            self._connection.close()  # a half-read connection cannot be used again

    def head(self) -> bytes:
        """The body's first bytes, up to 512, which `pieces` yields too; raises Broken."""
        until = time.monotonic() + HEAD_SECONDS
        while self._filled < HEAD_BYTES and self._fill() and time.monotonic() < until:
            pass
        return bytes(self._view[: min(self._filled, HEAD_BYTES)])

    def pieces(self) -> Iterator[memoryview]:
        """The whole body, each piece valid until the next is asked for; raises Broken after what came before it.

        510 KiB each but the last, unless they take longer than a second: then what came by then.
        """
        broken = None
        began = time.monotonic()
        try:
            while True:
                # Before reading on: the read for the head may have filled the buffer already.
                if self._filled == len(self._view) or time.monotonic() - began >= PIECE_SECONDS:
                    yield self._view[: self._filled]
                    self._filled = 0
                    began = time.monotonic()
                if not self._fill():
                    break
        except Broken as error:
            broken = error
        if self._filled:
            yield self._view[: self._filled]
        if broken:
            raise broken

    def interrupt(self) -> None:
        """Let a thread that waits for the body here go on at once, as if the connection had broken."""
        self._connection.interrupt()

    def _fill(self) -> int:
        count = self._exchange.read_into(self._view[self._filled :])
        self._filled += count
        return count


class MediaHttp:
    """Pooled connections to the hosts of download links; safe to use from threads."""

    def __init__(self, hosts: MediaHosts, stats: CallStats, buffer_bytes: int = BUFFER_BYTES) -> None:
        """`buffer_bytes`: what each connection holds, and so the largest piece it gives."""
        self._hosts = hosts
        self._stats = stats
        self._connections = Connections(buffer_bytes, hosts.admits)

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def get(self, link: str, *, offset: int, etag: str | None, length: int | None = None) -> Reply:
        """Ask for all bytes from `offset` on (or `length` of them), of the same entity if `etag` is given.

        Raises Broken, Ending(bad_url). A server may send more than `length`: whoever has enough leaves the context.
        """
        last = "" if length is None else offset + length - 1
        headers = {"Range": f"bytes={offset}-{last}", "Accept-Encoding": "identity", "User-Agent": "media-pipeline"}
        if offset and etag:
            headers["If-Range"] = etag
        for _ in range(MAX_REDIRECTS + 1):
            if refusal := self._hosts.refusal(link):
                raise Ending("bad_url", _sentence(refusal))
            try:
                connection, target = self._connections.take(link)
            except Broken:
                raise Ending("bad_url", "The download link is not a URL.") from None
            began = time.monotonic()
            try:
                exchange = connection.ask(target, headers)
            except Broken:
                self._stats.called(OPERATION, 0, time.monotonic() - began)
                raise
            except AddressRefused as refused:
                raise Ending("bad_url", _sentence(str(refused))) from None
            self._stats.called(OPERATION, exchange.status, time.monotonic() - began)
            location = exchange.location
            if not location:
                return Reply(connection, exchange, self._connections)
            connection.close()
            try:
                link = urljoin(link, location)
            except ValueError:
                raise Ending("bad_url", "The download link redirected to what is not a URL.") from None
        raise Ending("bad_url", f"The download link redirected more than {MAX_REDIRECTS} times.")


def _sentence(refusal: str) -> str:
    return refusal[0].upper() + refusal[1:] + "."
