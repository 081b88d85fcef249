"""A guest's file by its link: what a server sends is taken whole, or not at all."""

import hashlib

import pytest

from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.messaging_source import GuestFile
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.messaging.fetching import Fetcher
from media_pipeline.transfer.http import MediaHttp
from media_pipeline.transfer.outcome import Ending
from media_pipeline_tests.genesys.raw_server import RawServer

WHOLE = b"0123456789" * 10


class Linked:
    """A source whose only file lies behind a link, and that states no hash of it."""

    def __init__(self, link):
        self.file = GuestFile(sha256=None, content=link)

    def guest_file(self, *_):
        return self.file


def part(data, of):
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Length: {len(data)}\r\nContent-Range: bytes 0-{len(data) - 1}/{of}"
    return [head.encode() + b"\r\nConnection: close\r\n\r\n" + data]


@pytest.fixture
def fetched(tmp_path):
    def fetch(*script, stated_size=None):
        stats = CallStats()
        http = MediaHttp(MediaHosts("http://127.0.0.1"), stats)
        with RawServer(script) as server:
            fetcher = Fetcher(
                Linked(f"{server.url}/f"), http, tmp_path, Patience(first_wait_seconds=0.01, retries=2), stats
            )
            with fetcher.fetched("c", "m", "f", None, stated_size) as found:
                found.file.seek(0)
                return found.file.read(), found.size, found.sha256

    return fetch


def test_a_part_that_says_that_there_is_more_is_not_the_file(fetched):
    with pytest.raises(Ending) as ending:
        fetched(part(WHOLE[:50], of=100))
    assert ending.value.reason == "short_body"


def test_a_part_that_is_all_of_it_is_the_file(fetched):
    assert fetched(part(WHOLE[:50], of=100), part(WHOLE, of=100)) == (WHOLE, 100, hashlib.sha256(WHOLE).hexdigest())


def without_length(data):
    return [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + data]


def test_a_file_that_tore_without_a_length_is_fetched_once_more(fetched):
    assert fetched(without_length(WHOLE[:50]), without_length(WHOLE), stated_size=100)[0] == WHOLE


def test_a_file_that_is_twice_smaller_than_was_stated_is_taken_as_it_is(fetched):
    assert fetched(without_length(WHOLE[:50]), without_length(WHOLE[:50]), stated_size=100)[0] == WHOLE[:50]


def test_a_file_that_is_larger_than_was_stated_is_fetched_once(fetched):
    assert fetched(without_length(WHOLE), stated_size=5)[0] == WHOLE
