"""S3 as DuckDB can read it, with boto's endpoint, region and credentials."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit


def s3_filesystem() -> Any:
    """Arrow's S3 as fsspec's, for DuckDB's register_filesystem.

    DuckDB's own extension is a download, and s3fs pins boto's version.
    """
    import boto3
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    class S3(ArrowFSWrapper):  # type: ignore[misc]
        protocol = "s3"
        cachable = False

    session = boto3.Session()
    client = session.client("s3")
    options = {"region": client.meta.region_name}
    endpoint = urlsplit(client.meta.endpoint_url)
    if not (endpoint.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
        options |= {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
    credentials = session.get_credentials()
    if credentials is not None:
        frozen = credentials.get_frozen_credentials()
        options |= {"access_key": frozen.access_key, "secret_key": frozen.secret_key, "session_token": frozen.token}
    return S3(S3FileSystem(**options))
