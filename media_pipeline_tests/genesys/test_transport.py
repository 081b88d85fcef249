"""JSON calls whose replies have no end: a thread is held for a bounded time, and the call is made again."""

import time

import pytest

from media_pipeline.genesys import transport as subject
from media_pipeline.genesys.endpoints import Endpoints
from media_pipeline.genesys.errors import ServerError
from media_pipeline.genesys.pacing import CallStats, Pacer, Patience
from media_pipeline.genesys.transport import Transport
from media_pipeline_tests.genesys.raw_server import RawServer, status

DRIPPING = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", *[b" ", 0.05] * 400]
WHOLE = status(200, "Content-Type: application/json", body=b'{"a": 1}')


@pytest.fixture
def ask(monkeypatch):
    monkeypatch.setattr(subject, "BODY_SECONDS", 0.5)

    def asked(server):
        transport = Transport(
            Endpoints(server.url, server.url),
            client_id="id",
            client_secret="secret",
            credential_style="basic",
            pacer=Pacer(0),
            stats=CallStats(),
            patience=Patience(first_wait_seconds=0.01, deadline_seconds=3.0),
            connections=1,
        )
        try:
            return transport.get_json("media", "/x", permission="media:view")
        finally:
            transport.close()

    return asked


def test_a_reply_that_drips_is_given_up_and_asked_for_again(ask):
    with RawServer([DRIPPING, WHOLE]) as server:
        assert ask(server) == {"a": 1}
    assert len(server.asked) == 2


def test_a_server_that_only_drips_ends_with_a_sentence_in_time(ask):
    began = time.monotonic()
    with RawServer([DRIPPING]) as server, pytest.raises(ServerError, match="the reply did not end"):
        ask(server)
    assert time.monotonic() - began < 15
