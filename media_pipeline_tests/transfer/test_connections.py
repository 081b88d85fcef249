"""Connections are kept while they are good, and go through the environment's proxy."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from media_pipeline.transfer.connections import Connections, _proxy
from media_pipeline_tests.transfer.serving import plain, serving


@contextmanager
def noted(*, close: bool = False) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """A server that tells which client port asked for what; `close` makes it hang up after each reply, unannounced."""
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.client_address[1], handler.path))
        plain(handler, 200, b"bytes")
        handler.close_connection = close

    with serving(answer) as link:
        yield link.partition("/x?")[0], seen


def fetch(connections: Connections, link: str) -> None:
    connection, target = connections.take(link)
    exchange = connection.ask(target, {})
    while exchange.read_into(connection.buffer):
        pass
    assert exchange.is_drained
    connections.give_back(connection)


def test_one_connection_serves_recording_after_recording():
    connections = Connections()
    with noted() as (base, seen):
        for number in range(5):
            fetch(connections, f"{base}/{number}")
        connections.close()
    assert len({port for port, _ in seen}) == 1


def test_a_connection_the_server_closed_meanwhile_is_not_used_again():
    connections = Connections()
    with noted(close=True) as (base, seen):
        for number in range(3):
            fetch(connections, f"{base}/{number}")
            idle = next(iter(connections._idle.values()))[0]
            while idle.is_fresh():
                pass
        connections.close()
    assert [path for _, path in seen] == ["/0", "/1", "/2"]


def test_what_a_presigned_link_encodes_stays_and_what_it_does_not_is_encoded():
    connections = Connections()
    with noted() as (base, seen):
        fetch(connections, f"{base}/a%2Fb c.wav?X-Amz-Signature=ab%3D&x=~1+2")
        connections.close()
    assert seen[0][1] == "/a%2Fb%20c.wav?X-Amz-Signature=ab%3D&x=~1+2"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.example:3128", ("proxy.example", 3128)),
        ("proxy.example:3128", ("proxy.example", 3128)),
        ("http://proxy.example", ("proxy.example", 80)),
        ("socks5://proxy.example:1080", None),
        ("", None),
    ],
)
def test_the_environments_proxy_is_used_but_for_hosts_it_leaves_out(monkeypatch, url, expected):
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, url)
    monkeypatch.setenv("no_proxy", "inside.example")
    assert _proxy("media.example") == expected
    assert _proxy("inside.example") is None
