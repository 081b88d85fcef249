"""How a reply travels: at once, in drips, after a stall, or into a connection that is reset. ASGI under uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import socket
import struct
import termios
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from media_pipeline.sandbox.bodies import READ_BYTES
from media_pipeline.sandbox.wire import Reply

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DRIPS_PER_SECOND = 10
DRAIN_SECONDS = 5.0
"""How long a reset waits for the client to read what it was promised."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """What may go wrong on the way; the default is nothing."""

    bytes_per_second: int = 0
    stall_seconds: float = 0.0
    reset_after_bytes: int | None = None
    headers_first: bool = True
    """Whether a reset comes after the status line and headers were sent."""


DIRECT = Delivery()


async def deliver(reply: Reply, delivery: Delivery, *, head: bool, send: Send) -> int:
    """Send the reply, or as much of it as the delivery allows; gives the body bytes handed to the connection."""
    if delivery.reset_after_bytes is not None and not delivery.headers_first:
        await reset(send)
        return 0
    await send({"type": "http.response.start", "status": reply.status, "headers": _headers(reply)})
    if head or reply.length == 0:
        await send({"type": "http.response.body", "body": b""})
        return 0
    if delivery.stall_seconds:
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await asyncio.sleep(delivery.stall_seconds)
    return await _deliver_body(reply, delivery, send)


async def _deliver_body(reply: Reply, delivery: Delivery, send: Send) -> int:
    step = max(delivery.bytes_per_second // DRIPS_PER_SECOND, 1) if delivery.bytes_per_second else READ_BYTES
    end = reply.length
    if delivery.reset_after_bytes is not None:
        end = min(end, delivery.reset_after_bytes)
    sent = 0
    while sent < end and not is_gone(send):
        if sent and delivery.bytes_per_second:
            await asyncio.sleep(step / delivery.bytes_per_second)
        data = _read(reply, sent, min(step, end - sent))
        sent += len(data)
        more = sent < reply.length or delivery.reset_after_bytes is not None
        await send({"type": "http.response.body", "body": data, "more_body": more})
    if delivery.reset_after_bytes is not None:
        await reset(send)
    return sent


def is_gone(send: Send) -> bool:
    """Whether the client has left: uvicorn takes what is sent then without a word, and it must not be counted."""
    return bool(getattr(getattr(send, "__self__", None), "disconnected", False))


def _read(reply: Reply, offset: int, length: int) -> bytes:
    data = reply.body.read(reply.start + offset, length)
    middle = reply.length // 2 - offset
    if reply.flipped and 0 <= middle < len(data):
        data = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
    return data


def _headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    length = {} if reply.chunked else {"Content-Length": str(reply.length)}
    named = {"Content-Type": reply.content_type, **length, **reply.headers}
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]


async def reset(send: Send) -> None:
    """Answer the client with RST once it has what was sent so far.

    ASGI has no way to break a connection; uvicorn's `send` is a method of the object that holds the transport.
    """
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
    connection = transport.get_extra_info("socket")
    for _ in range(int(DRAIN_SECONDS * 100)):
        if transport.is_closing() or not (transport.get_write_buffer_size() or _unread(connection)):
            break
        await asyncio.sleep(0.01)
    with contextlib.suppress(OSError, ValueError):  # the client may have left already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0)  # uvicorn has to see the lost connection before the request ends


def _unread(connection: socket.socket) -> int:
    """Bytes the kernel holds that the client has not acknowledged; a reset would discard them."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
    except (OSError, ValueError):
        return 0
