"""Guests' files and the context of their conversations in the guides' dialect (002)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from media_pipeline.genesys.errors import ServerError
from media_pipeline.genesys.messaging_source import GuestReply
from media_pipeline.genesys.pacing import TryAgain
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import decoded_or_nothing, path_segment
from media_pipeline.genesys.watchdog import Watchdog

FILE_PERMISSION = "media:read"
CONTEXT_PERMISSION = "conversation:write"


@contextmanager
def guest_file_bytes(api: Transport, file_id: str, until: float) -> Iterator[GuestReply]:
    """One try of the download, read piece by piece; the token goes to the API's own origin only, redirects or not."""
    path = f"/api/v2/media/download/{path_segment(file_id)}"
    with Watchdog(until) as watchdog:
        try:
            with api.streamed(
                "guest_file", path, {b"Accept": b"*/*"}, watchdog, permission=FILE_PERMISSION
            ) as response:
                yield GuestReply(response.headers, response.iter_raw())
        except httpx.TransportError as error:
            raise _broken(type(error).__name__) from None
        if watchdog.bit:  # the end of a reply without a length looks no different
            raise _broken("too slow")


def put_context(api: Transport, path: str, facts: Mapping[str, str | int | bool]) -> None:
    """Replace the context below a conversation's path."""
    api.call(
        "context",
        "PUT",
        f"{path}/context",
        permission=CONTEXT_PERMISSION,
        body={"context": dict(facts)},
        accepted=(200, 201, 202, 204),
        decode=decoded_or_nothing,
    )


def _broken(how: str) -> TryAgain:
    return TryAgain(ServerError(f"The download of a guest's file broke off ({how}). Check the network and the proxy."))
