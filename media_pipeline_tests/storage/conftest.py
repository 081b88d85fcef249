"""Stores to test: on disk, in S3, and in S3 behind a proxy that breaks things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.s3 import S3Store
from media_pipeline.storage.s3_client import connect
from media_pipeline_tests.s3_faults import FaultProxy, fault_proxy
from media_pipeline_tests.s3_server import BUCKET, S3Server

CONNECTIONS = 8


@pytest.fixture(scope="session")
def _client(_s3: S3Server) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _s3.variables().items():
            patch.setenv(name, value)
        client = connect(CONNECTIONS)
    yield client
    client.close()


@pytest.fixture
def client(s3: S3Server, _client: Any) -> Any:
    """A client as the project makes it, of the server's owner."""
    return _client


@pytest.fixture
def in_s3(client: Any, s3_root: str, tmp_path: Path) -> S3Store:
    """A store in the server's bucket."""
    return S3Store(client, BUCKET, urlsplit(s3_root).path, tmp_path / "spool")


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        return LocalStore(tmp_path / "root")
    found: S3Store = request.getfixturevalue("in_s3")
    return found


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy(s3.url) as running:
        yield running


@pytest.fixture
def behind(proxy: FaultProxy, s3_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """A store that reaches the server through the proxy, with short waits between retries."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    monkeypatch.setattr("media_pipeline.storage.s3.FIRST_READ_WAIT_SECONDS", 0.01)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    client = connect(CONNECTIONS)
    yield S3Store(client, BUCKET, urlsplit(s3_root).path, tmp_path / "spool")
    client.close()


@pytest.fixture
def unfinished(client: Any, s3_root: str) -> Callable[[], list[str]]:
    """Keys of the multipart uploads that the server still holds for the test: at its root and beside that."""
    prefix = urlsplit(s3_root).path.strip("/").partition("/")[0] + "/"

    def listed() -> list[str]:
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET, Prefix=prefix)
        return [upload["Key"] for page in pages for upload in page.get("Uploads", ())]

    return listed
