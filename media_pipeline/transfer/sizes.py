"""How large what a link leads to is, by asking for its first byte: a HEAD would need a link signed for it."""

from __future__ import annotations

import re

import httpx

from media_pipeline.genesys.addresses import AddressRefused, guarded
from media_pipeline.genesys.endpoints import MediaHosts

TIMEOUT_SECONDS = 10.0
_TOTAL = re.compile(r"bytes (?:\d+-\d+|\*)/(\d{1,18})\Z")


class SizeProbe:
    """Asks media hosts for sizes, never with a token; safe to use from threads; close it when done."""

    def __init__(self, hosts: MediaHosts) -> None:
        self._hosts = hosts
        self._http = guarded(httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False), hosts.admits)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def size_of(self, link: str) -> int | None:
        """Bytes behind a link; None when it is refused, unreachable or does not say."""
        if self._hosts.refusal(link):
            return None
        headers = {"Range": "bytes=0-0", "Accept-Encoding": "identity", "User-Agent": "media-pipeline"}
        try:
            with self._http.stream("GET", link, headers=headers) as reply:
                stated = _TOTAL.match(reply.headers.get("Content-Range", ""))
                if reply.status_code in (httpx.codes.PARTIAL_CONTENT, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE):
                    return int(stated[1]) if stated else None
                length = reply.headers.get("Content-Length", "")
                return (
                    int(length) if reply.status_code == httpx.codes.OK and re.fullmatch(r"\d{1,18}", length) else None
                )
        except (httpx.HTTPError, httpx.InvalidURL, AddressRefused):
            return None
