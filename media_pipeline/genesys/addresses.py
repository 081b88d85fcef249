"""Connections to media hosts by the addresses that their names have: looked up once, judged, and connected to just
there, so that no name leads into the network that this runs in. TLS and its server name stay as they are.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import httpcore
import httpx

Admits = Callable[[str, str], bool]
"""Whether this host may be connected to at this address."""
_Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]


class AddressRefused(Exception):
    """A host's name has no address that it may have; says which host."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"the download host {host!r} has an address inside a network, not on the internet; if it is yours, "
            "add its network to MEDIA_DOWNLOAD_NETWORKS"
        )


def admitted(host: str, port: int, admits: Admits) -> list[_Found]:
    """The host's addresses that it may have, as getaddrinfo gives them; raises AddressRefused and OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    fine: list[_Found] = [each for each in found if admits(host, str(each[4][0]))]
    if not fine:
        raise AddressRefused(host)
    return fine


class _Backend(httpcore.SyncBackend):
    """httpcore's connections, to admitted addresses only."""

    def __init__(self, admits: Admits) -> None:
        self._admits = admits

    def connect_tcp(self, host: str, port: int, *more: Any, **options: Any) -> httpcore.NetworkStream:
        try:
            places = admitted(host, port, self._admits)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from None
        problem: Exception | None = None
        for *_, place in places:
            try:
                return super().connect_tcp(str(place[0]), port, *more, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        assert problem is not None
        raise problem


def guarded(client: httpx.Client, admits: Admits) -> httpx.Client:
    """The client with this rule for what it connects to; a proxy is the operator's, and looks names up itself."""
    client._transport._pool._network_backend = _Backend(admits)  # type: ignore[attr-defined]  # no public way in httpx
    return client
